"""Image in, defect mask with its whole record out: what ``mask`` and ``demo`` share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask
from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.store.images.read import auto_border
from napari_semxai.types import (
    Border,
    CandidatePool,
    GenerateSettings,
    GroundTruth,
    MaskSettings,
    ModelInfo,
    SemImage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.backends.sam2.segmenter import Segmenter
    from napari_semxai.types import GenerateUpdate


@dataclass(frozen=True, slots=True, eq=False)
class MaskResult:
    """A mask and how it came about.

    Attributes
    ----------
    image, pool, truth, model
        What went in and what each step gave.
    border : tuple of int
        (top, right, bottom, left) that was ignored.
    seconds : dict
        Seconds each step took.
    """

    image: SemImage
    pool: CandidatePool
    truth: GroundTruth
    border: Border
    model: ModelInfo
    seconds: dict[str, float]


class Pipeline:
    """Runs images through one network, loaded when the first one comes.

    Parameters
    ----------
    settings : MaskSettings
        The same for all images.
    """

    def __init__(self, settings: MaskSettings) -> None:
        self.settings = settings
        self.load_seconds = 0.0
        self.on_update: Callable[[GenerateUpdate], None] | None = None
        self._segmenter: Segmenter | None = None

    def load(self) -> Segmenter:
        """Load the network, which imports torch."""
        if self._segmenter is None:
            start = time.perf_counter()
            from napari_semxai.backends.sam2.segmenter import Segmenter

            self._segmenter = Segmenter(
                self.settings.model, device=self.settings.device, steady=True
            )
            self.load_seconds = time.perf_counter() - start
        return self._segmenter

    def run(
        self, image: SemImage, on_update: Callable[[GenerateUpdate], None] | None = None
    ) -> MaskResult:
        """Find the defect mask of an image.

        Parameters
        ----------
        image : SemImage
            What to look at.
        on_update : callable, optional
            Called with the network's progress.

        Returns
        -------
        MaskResult
            With an empty mask and a reason where there is no defect.
        """
        settings, segmenter = self.settings, self.load()
        start = time.perf_counter()
        segmenter.embed(image.gray)
        encoded = time.perf_counter()
        everything = _candidates(segmenter, image, settings.generate, on_update or self.on_update)
        decoded = time.perf_counter()
        pool = everything.take(filter_candidates(everything, settings.filters))
        filtered = time.perf_counter()
        border = settings.algorithm.border(auto_border(image))
        truth = automatic_mask(pool, image, settings.algorithm, border)
        seconds = {
            "encoder": encoded - start,
            "decoder": decoded - encoded,
            "filters": filtered - decoded,
            "algorithm_1": time.perf_counter() - filtered,
        }
        return MaskResult(image, pool, truth, border, segmenter.info, seconds)


def _candidates(
    segmenter: Segmenter,
    image: SemImage,
    settings: GenerateSettings,
    on_update: Callable[[GenerateUpdate], None] | None,
) -> CandidatePool:
    pool = None
    for update in segmenter.generate(image.gray, settings):
        pool = pool if update.pool is None else update.pool
        if on_update is not None:
            on_update(update)
    if pool is None:
        raise RuntimeError("the network ended without a pool of candidates")
    return pool
