"""Segment: candidates from the engine, Algorithm 1 over them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from napari_semxai.algorithms.candidates import filter_candidates
from napari_semxai.algorithms.ground_truth import (
    Defect,
    as_border,
    combine,
    defect_in,
    no_winner,
    rank,
)
from napari_semxai.algorithms.robust import robust_defect
from napari_semxai.state.session import Automatic, Generation
from napari_semxai.store.images import auto_border
from napari_semxai.types import GenerateRequest, GenerateUpdate, ModelInfo, WarmRequest

if TYPE_CHECKING:
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.session import ModelChoice, Session
    from napari_semxai.types import (
        BoolMask,
        Border,
        CandidatePool,
        FilterSettings,
        GenerateSettings,
        IntArray,
        SemImage,
    )

CANDIDATES = "candidates"
WARM = "warm"

# Two masks each: 256 MB at 4096 x 4096. The whole alpha-beta plane has a handful of winners.
_WINNERS_KEPT = 8


class AlgorithmChange(TypedDict, total=False):
    """Fields of `AlgorithmSettings` to replace."""

    alpha: float
    beta: float
    connectivity: int
    ignore_border: int | None
    algorithm: str


class SegmentController:
    """What the Mask candidates dock can ask for.

    Parameters
    ----------
    session : Session
        Where the answers go.
    engine : EngineClient
        Runs the network.
    """

    def __init__(self, session: Session, engine: EngineClient) -> None:
        self._session = session
        self._engine = engine
        self._chosen: int | None = None
        self._filtered: tuple[CandidatePool, FilterSettings, IntArray, CandidatePool] | None = None
        self._strips: Border = (0, 0, 0, 0)
        self._forget_defects()

    def warm(self) -> None:
        """Start the engine and load the chosen network behind the window."""
        choice = self._session.choice
        self._engine.submit(
            WarmRequest(choice.model, choice.device),
            destination=WARM,
            on_update=self._on_answer,
            on_done=_nothing,
            on_failed=self._on_warm_failed,
            background=True,
        )

    def open(self, image: SemImage | None) -> None:
        """Make `image` the current one; what belonged to the previous one is let go."""
        # Not by force: the engine may be at work for the queue, or hold what comes back soon.
        self._engine.forget(CANDIDATES)
        session = self._session
        self._chosen, self._filtered = None, None
        self._forget_defects()
        self._strips = (0, 0, 0, 0) if image is None else auto_border(image)
        session.automatic = session.preview = session.pool = None
        session.generation = Generation()
        session.edited = False
        session.image = image

    def choose_model(self, choice: ModelChoice) -> None:
        """Use another network or device from now on."""
        self._session.choice = choice
        self._session.model = None
        self.warm()

    def set_generate(self, settings: GenerateSettings) -> None:
        """Change what the network is asked for next time."""
        self._session.generate = settings

    def generate(self) -> None:
        """Ask the engine for candidates of the current image."""
        session = self._session
        if session.image is None:
            return
        session.generation = Generation("running", "load", 0, session.generate.points_per_side**2)
        self._engine.submit(
            GenerateRequest(
                session.image.gray, session.choice.model, session.choice.device, session.generate
            ),
            destination=CANDIDATES,
            on_update=self._on_answer,
            on_done=self._on_generated,
            on_failed=self._on_failed,
        )

    def cancel(self) -> None:
        """Stop generating; the candidates so far stay."""
        if self._session.generation.state == "running":
            self._engine.cancel(CANDIDATES)
            self._session.generation = replace(self._session.generation, state="cancelled")

    def set_algorithm(self, **change: Unpack[AlgorithmChange]) -> None:
        """Change parameters of Algorithm 1 and apply them at once."""
        before = self._session.algorithm
        self._session.algorithm = after = replace(before, **change)
        # All but alpha and beta decide what stage 2 makes of a winner.
        if replace(before, alpha=after.alpha, beta=after.beta) != after:
            self._forget_defects()
        self._rank()

    def set_filters(self, filters: FilterSettings) -> None:
        """Change the thresholds that select candidates and apply them at once."""
        self._session.filters = filters
        self._rank()

    def choose_winner(self, row: int | None) -> None:
        """Take candidate `row` of the filtered pool as winner; None goes back to the ranking."""
        automatic = self._session.automatic
        known = row is not None and automatic is not None
        self._chosen = int(automatic.indices[row]) if known else None  # type: ignore[union-attr]
        self._rank()

    def show_preview(self, row: int | None) -> None:
        """Show candidate `row` of the filtered pool without choosing it; None hides it."""
        automatic = self._session.automatic
        if row is None or automatic is None or row >= len(automatic.pool):
            self._session.preview = None
        else:
            self._session.preview = automatic.pool.mask(row)

    def border(self) -> Border:
        """Return the border that Algorithm 1 ignores on the current image."""
        chosen = self._session.algorithm.ignore_border
        return self._strips if chosen is None else as_border(chosen)

    def _on_answer(self, answer: Any) -> None:
        session = self._session
        if isinstance(answer, ModelInfo):
            session.model = answer
        elif isinstance(answer, GenerateUpdate):
            session.generation = Generation(
                "running", answer.stage, answer.done, answer.total, answer.seconds_left
            )
            if answer.pool is not None:
                session.pool = answer.pool
                self._chosen = None
                self._forget_defects()
                self._rank()

    def _on_generated(self) -> None:
        self._session.generation = replace(self._session.generation, state="done")

    def _on_failed(self, message: str) -> None:
        self._session.generation = Generation("failed", message=message)

    def _on_warm_failed(self, message: str) -> None:
        self._session.message = message

    def _forget_defects(self) -> None:
        self._defect = lru_cache(maxsize=_WINNERS_KEPT)(self._compute_defect)

    def _compute_defect(self, candidate: int) -> tuple[BoolMask, Defect]:
        """Return winner and stage 2 of one candidate of the whole pool."""
        pool, image = self._session.pool, self._session.image
        if pool is None or image is None:
            raise RuntimeError("stage 2 was asked for without candidates")
        surface = pool.mask(candidate)
        settings = self._session.algorithm
        find = defect_in if settings.algorithm == "paper" else partial(robust_defect, image.gray)
        return surface, find(
            surface, connectivity=settings.connectivity, ignore_border=self.border()
        )

    def _filter(self) -> tuple[IntArray, CandidatePool]:
        pool, filters = self._session.pool, self._session.filters
        if pool is None:
            raise RuntimeError("filters were applied without candidates")
        if self._filtered is None or self._filtered[:2] != (pool, filters):
            indices = filter_candidates(pool, filters)
            self._filtered = (pool, filters, indices, pool.take(indices))
        return self._filtered[2:]

    def _rank(self) -> None:
        """Run Algorithm 1 over the pool; the network is not needed."""
        if self._session.pool is None:
            return
        indices, pool = self._filter()
        settings = self._session.algorithm
        ranking = rank(
            pool.areas, pool.centroids, pool.shape, alpha=settings.alpha, beta=settings.beta
        )
        chosen = np.flatnonzero(indices == self._chosen)
        if chosen.size:
            ranking = replace(ranking, winner=int(chosen[0]))
        if ranking.winner is None:
            surface = np.zeros(pool.shape, dtype=bool)
            defect = no_winner(pool.shape, len(pool), settings.beta)
        else:
            surface, defect = self._defect(int(indices[ranking.winner]))
        truth = combine(ranking, pool.areas, pool.centroids, surface, defect)
        self._session.automatic = Automatic(
            pool, indices, truth, self.border(), overridden=bool(chosen.size)
        )


def _nothing() -> None:
    """Ignore the end of a warm-up: its one answer has arrived."""
