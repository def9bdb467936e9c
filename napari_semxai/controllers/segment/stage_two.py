"""Stage 2 of Algorithm 1, computed once for each winner and, where possible, ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.algorithms.algorithm1.automatic import stage_two

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_semxai.algorithms.algorithm1.ground_truth import Defect
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.types import (
        AlgorithmSettings,
        BoolMask,
        Border,
        CandidatePool,
        SemImage,
    )

JOB = "stage 2"

# Two masks each: 256 MB at 4096 x 4096. The whole alpha-beta plane has a handful of winners.
_KEPT = 8


class StageTwo:
    """Winners with their defects, for one pool and one choice of all but alpha and beta.

    Parameters
    ----------
    pool : CandidatePool
        All candidates.
    image : SemImage
        Theirs.
    settings : AlgorithmSettings
        Alpha and beta do not matter.
    border : tuple of int
        What is ignored.
    """

    def __init__(
        self, pool: CandidatePool, image: SemImage, settings: AlgorithmSettings, border: Border
    ) -> None:
        self._pool = pool
        self._find: Callable[[BoolMask], Defect] = stage_two(settings, image.gray, border)
        self._known: dict[int, tuple[BoolMask, Defect]] = {}
        self._asked: list[int] = []

    def of(self, candidate: int) -> tuple[BoolMask, Defect]:
        """Return the mask of a candidate and the defect it leads to."""
        found = self._known.pop(candidate, None) or self._compute(candidate)
        # The one used last stands last.
        self._keep(candidate, found)
        return found

    def prepare(self, jobs: Jobs, candidates: Iterable[int]) -> None:
        """Compute the defects of these candidates behind the window, unless that was asked."""
        wanted = list(candidates)[:_KEPT]
        if wanted != self._asked:
            self._asked = wanted
            missing = [candidate for candidate in wanted if candidate not in self._known]
            jobs.run(
                JOB,
                lambda: [(candidate, self._compute(candidate)) for candidate in missing],
                self._on_prepared,
                _nothing,
            )

    def _on_prepared(self, found: list[tuple[int, tuple[BoolMask, Defect]]]) -> None:
        for candidate, value in found:
            if candidate not in self._known:
                self._keep(candidate, value)

    def _compute(self, candidate: int) -> tuple[BoolMask, Defect]:
        surface = self._pool.mask(candidate)
        return surface, self._find(surface)

    def _keep(self, candidate: int, value: tuple[BoolMask, Defect]) -> None:
        self._known[candidate] = value
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]


def _nothing(_: str) -> None:
    """Whoever asks for the winner later is told what is wrong."""
