"""Research: Algorithm 1 over alpha and beta on the current image, and results of runs on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.algorithm1.automatic import stage_two
from napari_semxai.algorithms.algorithm1.sweep import advice, sweep_image, sweep_set
from napari_semxai.controllers.research.runs import read_result
from napari_semxai.state.explanation import Heatmaps
from napari_semxai.state.research import ImageSweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.scores.evaluate import EvaluateController
    from napari_semxai.state.research import RunResult
    from napari_semxai.state.session import Automatic, Session
    from napari_semxai.types import AlgorithmSettings, BoolMask, Heatmap

ALPHAS = np.linspace(0.0, 10.0, 81)
BETAS = np.linspace(0.0, 1.0, 61)
_RESULT = "open result"


class ResearchController:
    """Sweeps α and β over the current image, and opens results of runs.

    Parameters
    ----------
    session : Session
        Where the answers go.
    jobs : Jobs
        Computes them.
    evaluate : EvaluateController
        Knows the truth that is compared with.
    propose : callable
        Takes mask, title and details of an edit: `EditController.propose`.
    """

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        evaluate: EvaluateController,
        propose: Callable[[BoolMask, str, Mapping[str, Any]], None],
    ) -> None:
        self._session, self._jobs, self._evaluate = session, jobs, evaluate
        self._propose = propose
        self._swept: tuple[object, ...] = ()
        session.events.image.connect(self._forget)
        session.events.automatic.connect(self._on_automatic_changed)

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
        self._swept = self._basis(automatic)
        self._jobs.run(
            "sweep",
            partial(_sweep, automatic, truth, image.gray, self._session.algorithm),
            self._on_swept,
        )

    def open_result(
        self, on_read: Callable[[RunResult], None], on_failed: Callable[[str], None]
    ) -> None:
        """Read what the run left in its folder, first of all for the current image."""
        run, image = self._session.run, self._session.image
        if run is not None:
            self._jobs.run(_RESULT, partial(read_result, run, image), on_read, on_failed)

    def forget_result(self) -> None:
        """Hand over no result that is still to come."""
        self._jobs.forget(_RESULT)

    def show_result(self, result: RunResult) -> None:
        """Lay a result over its image, if that is still the current one.

        A mask that a person has edited stays: see `take_mask`.
        """
        if result.image is not self._session.image:
            return
        found, explanation = result.heatmap, self._session.explanation
        if found is not None:
            kind = _kind(found)
            others = [heatmap for heatmap in explanation.heatmaps.all if _kind(heatmap) != kind]
            explanation.heatmaps = Heatmaps(found, (*others, found))
            if explanation.hides_heat_map:
                # Whoever opens it wants to see it.
                explanation.alone = ""
        elif not self._session.edited:
            self.take_mask(result)

    def take_mask(self, result: RunResult) -> None:
        """Bring the mask of a result into the mask editor as one undoable edit."""
        if result.mask is not None and result.image is self._session.image:
            details = {} if result.picture is None else {"file": result.picture.name}
            self._propose(result.mask, "mask from a run", details)

    def _on_automatic_changed(self, automatic: Automatic | None) -> None:
        """Drop a sweep of other candidates: its scores and numbers are not those on show."""
        if self._swept and (automatic is None or self._basis(automatic) != self._swept):
            self._forget()

    def _basis(self, automatic: Automatic) -> tuple[object, ...]:
        """Return all that the plane follows from, besides the truth; not where the sliders are."""
        settings, candidates = self._session.algorithm, tuple(automatic.indices.tolist())
        stage_two = settings.algorithm, settings.connectivity, automatic.left_out
        return self._session.pool, candidates, *stage_two

    def _forget(self) -> None:
        self._swept = ()
        self._jobs.forget("sweep")
        self._session.sweep = None

    def _on_swept(self, sweep: ImageSweep) -> None:
        self._session.sweep = sweep


def _kind(heatmap: Heatmap) -> tuple[object, ...]:
    """Return what tells heat maps of one image apart."""
    return heatmap.method, heatmap.layers, heatmap.class_name, heatmap.inside_mask


def _sweep(
    automatic: Automatic, truth: BoolMask, gray: NDArray[np.uint8], settings: AlgorithmSettings
) -> ImageSweep:
    find = stage_two(settings, gray, automatic.left_out, automatic.pool)
    plane = sweep_image(automatic.pool, truth, ALPHAS, BETAS, find)
    result = sweep_set([plane], ALPHAS, BETAS)
    return ImageSweep(result, plane, advice(result))
