"""Research: Algorithm 1 over alpha and beta on the current image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.robust import stage_2
from napari_semxai.algorithms.sweep import advice, sweep_image, sweep_set
from napari_semxai.state.research import ImageSweep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.controllers.evaluate import EvaluateController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import AlgorithmSettings, Automatic, Session
    from napari_semxai.types import BoolMask, SemImage

ALPHAS = np.linspace(0.0, 10.0, 81)
BETAS = np.linspace(0.0, 1.0, 61)


class ResearchController:
    """What the Research dock can ask for of the current image.

    Parameters
    ----------
    session : Session
        Where the answers go.
    jobs : Jobs
        Computes them.
    evaluate : EvaluateController
        Knows the truth that is compared with.
    """

    def __init__(self, session: Session, jobs: Jobs, evaluate: EvaluateController) -> None:
        self._session, self._jobs, self._evaluate = session, jobs, evaluate
        session.events.image.connect(self._on_image_changed)

    def sweep(self) -> None:
        """Score every alpha and beta against the truth of the Scores dock."""
        image, automatic = self._session.image, self._session.automatic
        truth = self._evaluate.truth
        if (
            image is None
            or automatic is None
            or truth is None
            or truth.shape != automatic.pool.shape
        ):
            self._session.message = (
                "A sweep needs candidates (Mask candidates → Generate) and a truth of the image's "
                "size (Scores)."
            )
            return
        self._jobs.run(
            "sweep",
            partial(_sweep, automatic, truth, image.gray, self._session.algorithm),
            self._on_swept,
            self._on_failed,
        )

    def _on_image_changed(self, image: SemImage | None) -> None:
        self._jobs.forget("sweep")
        self._session.sweep = None

    def _on_swept(self, sweep: ImageSweep) -> None:
        self._session.sweep = sweep

    def _on_failed(self, message: str) -> None:
        self._session.message = message


def _sweep(
    automatic: Automatic, truth: BoolMask, gray: NDArray[np.uint8], settings: AlgorithmSettings
) -> ImageSweep:
    find = stage_2(
        settings.algorithm,
        gray,
        connectivity=settings.connectivity,
        ignore_border=automatic.border,
    )
    plane = sweep_image(automatic.pool, truth, ALPHAS, BETAS, find)
    result = sweep_set([plane], ALPHAS, BETAS)
    return ImageSweep(result, plane, advice(result))
