"""Candidates: ranked by Algorithm 1 for the open image, kept for the images that were left."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask, stage_two
from napari_semxai.algorithms.algorithm1.candidates import filter_candidates, same_candidate
from napari_semxai.algorithms.algorithm1.ground_truth import rank
from napari_semxai.algorithms.algorithm1.winner_map import winner_envelope
from napari_semxai.state.session import Automatic, Found, KeptCandidates
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.read import auto_border
from napari_semxai.types.settings import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_semxai.algorithms.algorithm1.ground_truth import Defect
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Origin, Session
    from napari_semxai.types import (
        BoolMask,
        Border,
        CandidatePool,
        FilterSettings,
        IntArray,
        LeftOut,
        SemImage,
    )

    _Filtered: TypeAlias = tuple[CandidatePool, FilterSettings, bool, IntArray, CandidatePool]

JOB = "stage 2"
WINNER = "winner beside a reference"

# Two masks each: 256 MB at 4096 x 4096. The whole alpha-beta plane has a handful of winners.
_WINNERS_KEPT = 8
_IMAGES_KEPT = 1000
"""Images whose candidates are kept: about 20 kB each at 480 x 480."""


class Ranking:
    """Filters and ranks the session's candidates; the network is not needed.

    Parameters
    ----------
    session : Session
        Candidates, thresholds and settings.
    jobs : Jobs, optional
        Computes what sliders can lead to before they do.

    Attributes
    ----------
    chosen : int or None
        The winner that a person chose, by its place in the whole pool.
    origin : Origin or None
        What made the candidates of the current image.
    passed : FilterSettings or None
        Those that they passed, where the others are not kept.
    """

    def __init__(self, session: Session, jobs: Jobs | None = None) -> None:
        self._session, self._jobs = session, jobs
        self.chosen: int | None = None
        self.origin: Origin | None = None
        self.passed: FilterSettings | None = None
        self._strips: Border = (0, 0, 0, 0)
        self._filtered: _Filtered | None = None
        self._stage_two: StageTwo | None = None
        self._awaited = False

    def start_image(self, image: SemImage | None) -> None:
        """Let all go that belonged to the image before."""
        self._filtered = self._stage_two = None
        self.chosen = self.origin = self.passed = None
        self._strips = (0, 0, 0, 0) if image is None else auto_border(image)

    @property
    def left_out(self) -> LeftOut:
        """What counts for nothing on the current image: the border, and what a person marked."""
        return self._session.algorithm.left_out(self._strips, self._session.ignored)

    @property
    def found(self) -> Found | None:
        """The candidates of the current image; None without any."""
        session = self._session
        if session.pool is None or self.origin is None:
            return None
        difference = session.difference and session.difference.light
        return Found(session.pool, self.chosen, self.origin, self.passed, difference)

    def resume(self, found: Found) -> None:
        """Bring back what was `found` on the current image."""
        self.chosen, self.origin, self.passed = found.chosen, found.origin, found.filters
        self._session.pool, self._session.difference = found.pool, found.difference

    def take(self, pool: CandidatePool, origin: Origin) -> None:
        """Rank other candidates of the current image from now on; the chosen winner stays."""
        session = self._session
        if session.pool is not None and self.chosen is not None:
            self.chosen = same_candidate(session.pool, self.chosen, pool)
        self.origin, self.passed, session.pool = origin, None, pool
        self.forget_defects()

    def choose(self, row: int | None) -> None:
        """Choose candidate `row` of the filtered pool; None chooses none."""
        automatic = self._session.automatic
        if row is None or automatic is None:
            self.chosen = None
        elif 0 <= row < len(automatic.indices):
            self.chosen = int(automatic.indices[row])

    def forget_defects(self) -> None:
        """Let the defects go: something besides alpha and beta has changed."""
        self._stage_two = None

    def rank(self) -> Automatic:
        """Run Algorithm 1.

        Raises
        ------
        RuntimeError
            Without an image or candidates.
        """
        session, left_out = self._session, self.left_out
        if session.image is None or self.origin is None:
            raise RuntimeError("candidates were ranked without an image")
        indices, pool = self._filter()
        rows = np.flatnonzero(indices == self.chosen)
        truth = automatic_mask(
            pool,
            session.image,
            session.algorithm,
            left_out,
            winner=int(rows[0]) if rows.size else None,
            # The cache knows candidates by their place in the whole pool: filters come and go.
            known=lambda row: self._defect(int(indices[row]), left_out),
        )
        difference = session.difference if session.algorithm.compares else None
        return Automatic(pool, indices, truth, left_out, bool(rows.size), self.origin, difference)

    def prepare(self) -> None:
        """Let every winner that alpha and beta can reach be computed before they do."""
        automatic = self._session.automatic
        if self._jobs is not None and self._stage_two is not None and automatic is not None:
            pool, distances = automatic.pool, automatic.truth.distances
            rows = winner_envelope(pool.areas, distances, pool.shape).candidates
            self._stage_two.prepare(self._jobs, automatic.indices[rows].tolist())

    def waits(self, again: Callable[[], None]) -> bool:
        """Return whether the winner's defect is computed behind the window, and `again` called.

        Beside a reference that takes up to seconds, and while a person marks what is to be
        ignored each stroke asks anew.
        """
        session, left_out = self._session, self.left_out
        difference = session.difference if session.algorithm.compares else None
        compares = difference is not None and not difference.reason
        if self._jobs is None or not (compares or left_out.region is not None):
            return False
        indices, pool = self._filter()
        alpha, beta = session.algorithm.alpha, session.algorithm.beta
        ranking = rank(pool.areas, pool.centroids, pool.shape, alpha=alpha, beta=beta)
        winner = self.chosen if self.chosen in indices else None
        if winner is None and ranking.winner is not None:
            winner = int(indices[ranking.winner])
        stage = self._stage(left_out)
        if winner is None or stage.knows(winner):
            return False
        # One at a time: candidates come faster than the defects in them.
        if not self._awaited:
            self._awaited = True
            done = partial(self._on_awaited, stage, winner, again)
            self._jobs.run(WINNER, partial(stage.compute, winner), done, self._on_await_failed)
        return True

    def _on_awaited(
        self,
        stage: StageTwo,
        winner: int,
        again: Callable[[], None],
        found: tuple[BoolMask, Defect],
    ) -> None:
        self._awaited = False
        stage.keep(winner, found)
        again()

    def _on_await_failed(self, message: str) -> None:
        self._awaited = False
        self._session.say(message)

    def _defect(self, candidate: int, left_out: LeftOut) -> tuple[BoolMask, Defect]:
        return self._stage(left_out).of(candidate)

    def _stage(self, left_out: LeftOut) -> StageTwo:
        session = self._session
        if session.pool is None or session.image is None:
            raise RuntimeError("stage 2 was asked for without candidates")
        if self._stage_two is None:
            gray, compares = session.image.gray, session.algorithm.compares
            difference = session.difference if compares else None
            find = stage_two(session.algorithm, gray, left_out, self._filter()[1], difference)
            self._stage_two = StageTwo(session.pool, find)
        return self._stage_two

    def _filter(self) -> tuple[IntArray, CandidatePool]:
        pool, filters = self._session.pool, self._session.filters
        if pool is None:
            raise RuntimeError("filters were applied without candidates")
        compares = self._session.algorithm.compares
        if self._filtered is None or self._filtered[:3] != (pool, filters, compares):
            indices = filter_candidates(pool, filters)
            if pool.proposed is not None and not compares:
                # What only the comparison asked about is no candidate without it.
                indices = indices[~pool.proposed[indices]]
            before = () if self._filtered is None else self._filtered[3]
            # The robust variant asks the candidates that pass.
            if self._session.algorithm.algorithm != PAPER and not np.array_equal(indices, before):
                self._stage_two = None
            self._filtered = (pool, filters, compares, indices, pool.take(indices))
        return self._filtered[3:]


class StageTwo:
    """Winners with their defects, for one pool and one choice of all but alpha and beta.

    Parameters
    ----------
    pool : CandidatePool
        All candidates.
    find : callable
        Finds the defect in a surface, see `automatic.stage_two`.
    """

    def __init__(self, pool: CandidatePool, find: Callable[[BoolMask], Defect]) -> None:
        self._pool = pool
        self._find = find
        self._known: dict[int, tuple[BoolMask, Defect]] = {}
        self._asked: list[int] = []

    def of(self, candidate: int) -> tuple[BoolMask, Defect]:
        """Return the mask of a candidate and the defect it leads to."""
        found = self._known.pop(candidate, None) or self.compute(candidate)
        # The one used last stands last.
        self.keep(candidate, found)
        return found

    def knows(self, candidate: int) -> bool:
        """Return whether a candidate's defect is there already."""
        return candidate in self._known

    def prepare(self, jobs: Jobs, candidates: Iterable[int]) -> None:
        """Compute the defects of these candidates behind the window, unless that was asked."""
        wanted = list(candidates)[:_WINNERS_KEPT]
        if wanted != self._asked:
            self._asked = wanted
            missing = [candidate for candidate in wanted if candidate not in self._known]
            jobs.run(
                JOB,
                lambda: [(candidate, self.compute(candidate)) for candidate in missing],
                self._on_prepared,
                _said_later,
            )

    def _on_prepared(self, found: list[tuple[int, tuple[BoolMask, Defect]]]) -> None:
        for candidate, value in found:
            if candidate not in self._known:
                self.keep(candidate, value)

    def compute(self, candidate: int) -> tuple[BoolMask, Defect]:
        """Return what `of` does, without the cache; may run behind the window."""
        surface = self._pool.mask(candidate)
        return surface, self._find(surface)

    def keep(self, candidate: int, value: tuple[BoolMask, Defect]) -> None:
        """Put what was computed into the cache; what was used longest ago goes."""
        self._known[candidate] = value
        while len(self._known) > _WINNERS_KEPT:
            del self._known[next(iter(self._known))]


def _said_later(_: str) -> None:
    """Whoever asks for the winner later is told what is wrong."""


class CandidateMemory:
    """The candidates of a project's images, to come back to.

    Parameters
    ----------
    session : Session
        The open image, its candidates, and the settings of now.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: dict[str, KeptCandidates] = {}

    def remember(self, key: str, candidates: KeptCandidates) -> None:
        """Keep the candidates of an image by its key; the image kept first goes."""
        self._kept.pop(key, None)
        self._kept[key] = candidates
        while len(self._kept) > _IMAGES_KEPT:
            del self._kept[next(iter(self._kept))]

    def remember_current(self) -> None:
        """Keep the candidates of the open image, unless their pool is not complete."""
        session = self._session
        current, automatic = session.current, session.automatic
        if current is None or automatic is None or automatic.origin.points is not None:
            return
        truth = automatic.truth
        chosen = truth.winner if automatic.overridden else None
        difference = automatic.difference and automatic.difference.light
        found = Found(automatic.pool, chosen, automatic.origin, session.filters, difference)
        kept = KeptCandidates(found, session.algorithm, array_digest(truth.mask))
        self.remember(current.key, kept)

    def of_current(self) -> Found | None:
        """Return what was found on the open image, where it leads to the mask that is there.

        A mask by hand may lie beside it; with other settings it would lead elsewhere.
        """
        session, current = self._session, self._session.current
        kept = None if current is None else self._kept.get(current.key)
        if current is None or current.entry is None or kept is None:
            return None
        if (kept.found.filters, kept.algorithm) != (session.filters, session.algorithm):
            return None
        entry = current.entry
        fits = entry.by_hand or entry.record.mask_sha256 == kept.mask_sha256
        return kept.found if fits else None
