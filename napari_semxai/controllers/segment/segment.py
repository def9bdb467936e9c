"""Segment: candidates from the engine, Algorithm 1 over them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.algorithm1.automatic import learned_mask
from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.controllers.jobs import Failures
from napari_semxai.controllers.segment.candidates import Ranking
from napari_semxai.state.session import Automatic, ModelChoice, Origin
from napari_semxai.store.images.companions import comparison_of
from napari_semxai.types import (
    IDLE,
    CandidatePool,
    Failure,
    GenerateRequest,
    GenerateSettings,
    GenerateUpdate,
    JobState,
    ModelInfo,
    Progress,
    WarmRequest,
)
from napari_semxai.types.learned import LearnedMask, LearnedRequest
from napari_semxai.types.settings import LEARNED, usual_filters

if TYPE_CHECKING:
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.session import Found, Session
    from napari_semxai.types import AlgorithmSettings, FilterSettings, LeftOut, SemImage
    from napari_semxai.types.image import CompareRequest

CANDIDATES = "candidates"
WARM = "warm"


class SegmentController:
    """Generates candidates and ranks them by Algorithm 1.

    Parameters
    ----------
    session : Session
        Where the answers go.
    engine : EngineClient
        Runs the network.
    jobs : Jobs, optional
        Computes what sliders can lead to before they do.

    Attributes
    ----------
    ranking : Ranking
        Makes a mask of candidates.
    """

    def __init__(self, session: Session, engine: EngineClient, jobs: Jobs | None = None) -> None:
        self._session, self._engine = session, engine
        self._failures = Failures(session.events.failure_over.emit)
        self.ranking = Ranking(session, jobs)
        self._asked: Origin | None = None
        self._learned: tuple[LearnedMask, Origin] | None = None
        session.events.ignored.connect(self._on_ignored_changed)

    def warm(self) -> None:
        """Start the engine and load the chosen network behind the window."""
        choice = self._session.choice
        self._engine.submit(
            WarmRequest(choice.model, choice.device),
            destination=WARM,
            on_update=partial(setattr, self._session, "model"),
            on_done=partial(self._failures.end, WARM),
            on_failed=self._on_warm_failed,
            background=True,
        )

    def start_image(self, image: SemImage | None) -> None:
        """Let what belonged to the previous image go; `image` is about to be the current one."""
        # Not by force: the engine may be at work for the queue, or hold what comes back soon.
        self._engine.forget(CANDIDATES)
        session = self._session
        self._asked = self._learned = None
        self.ranking.start_image(image)
        session.automatic = session.preview = session.pool = session.difference = None
        session.generation = IDLE

    def resume(self, found: Found) -> None:
        """Bring back what was found on the current image, see `Ranking.found`."""
        self._asked = found.origin
        self.ranking.resume(found)
        if found.difference is not None and found.difference.is_light:
            # Another mask follows from candidates that are compared with nothing.
            self._compare()
        else:
            self._rank()

    def choose_model(self, choice: ModelChoice) -> None:
        """Use another network or device from now on.

        Its thresholds come along, unless other ones than the usual were chosen.
        """
        before = self._session.choice
        self._session.choice = choice
        if self._session.filters == usual_filters(before.model):
            self.set_filters(usual_filters(choice.model))
        self._session.model = None
        self.warm()

    def set_generate(self, settings: GenerateSettings) -> None:
        """Change what the network is asked for next time."""
        self._session.generate = settings

    def generate(self) -> None:
        """Ask the engine for candidates of the current image, or a learned network for a mask."""
        if self._session.algorithm.algorithm == LEARNED:
            self._ask_learned()
            return
        # Not the floor that an earlier look at weak candidates left.
        usual = GenerateSettings().pred_iou_floor
        self._set_floor(min(usual, self._session.filters.pred_iou_thresh))
        self._ask(self._session.choice, self._session.generate)

    def cancel(self) -> None:
        """Stop generating; the candidates so far stay."""
        if self._session.generation.running:
            self._engine.cancel(CANDIDATES)
            self._session.generation = replace(self._session.generation, state=JobState.CANCELLED)

    def set_algorithm(self, **change: Any) -> None:
        """Change fields of `AlgorithmSettings` and apply them at once."""
        before = self._session.algorithm
        self._session.algorithm = after = replace(before, **change)
        # All but alpha and beta decide what stage 2 makes of a winner.
        if replace(before, alpha=after.alpha, beta=after.beta) != after:
            self.ranking.forget_defects()
        if (before.algorithm, before.network) != (after.algorithm, after.network):
            self._learned = None
            if after.algorithm == LEARNED:
                self._ask_learned()
            elif before.algorithm == LEARNED:
                # Its mask is no answer of the other algorithm.
                self._engine.forget(CANDIDATES)
                self._session.automatic, self._session.generation = None, IDLE
        self._set_reference(before, after)
        self._rank()

    def _set_reference(self, before: AlgorithmSettings, after: AlgorithmSettings) -> None:
        """Compare with another reference; what differs is asked about anew, too."""
        session = self._session
        if before.reference != after.reference:
            session.difference = None
            if session.pool is not None:
                session.pool = replace(session.pool, compared_logits=None)
        asked = session.pool is not None or session.generation.running
        missing = session.difference is None and (after.compares, after.reference) != (
            before.compares,
            before.reference,
        )
        if after.compares and missing and asked and self._asked is not None:
            self._ask(self._asked.choice, self._asked.generate)

    def set_filters(self, filters: FilterSettings) -> None:
        """Change the thresholds that select candidates and apply them at once.

        Below the predicted IoU that the pool goes down to, the network is asked for the rest.
        """
        before, self._session.filters = self._session.filters, filters
        self._rank()
        if self._session.pool is not None and self._asked is not None:
            asked = self._asked.generate
            if self.ranking.passed is not None and filters != before:
                # What did not pass was not kept.
                self._ask(self._asked.choice, asked)
            if filters.pred_iou_thresh < asked.pred_iou_floor:
                # A run over the queue asks for what is shown here.
                self._set_floor(
                    min(self._session.generate.pred_iou_floor, filters.pred_iou_thresh)
                )
                wanted = replace(asked, pred_iou_floor=filters.pred_iou_thresh)
                self._ask(self._asked.choice, wanted)

    def choose_winner(self, row: int | None) -> None:
        """Take candidate `row` of the filtered pool as winner; None goes back to the ranking."""
        self.ranking.choose(row)
        self._rank()

    def show_preview(self, row: int | None) -> None:
        """Show candidate `row` of the filtered pool without choosing it; None hides it."""
        automatic = self._session.automatic
        if row is None or automatic is None or not 0 <= row < len(automatic.pool):
            self._session.preview = None
        else:
            self._session.preview = automatic.pool.mask(row)

    def _on_ignored_changed(self) -> None:
        self.ranking.forget_defects()
        self._rank()

    def _on_answer(self, answer: Any) -> None:
        session, asked = self._session, self._asked
        if asked is None:
            return
        if isinstance(answer, ModelInfo):
            self._asked = replace(asked, model=answer)
            # Another network may have been chosen since; a learned one is not among the choices.
            if asked.choice == session.choice and session.algorithm.algorithm != LEARNED:
                session.model = answer
        elif isinstance(answer, Difference):
            session.difference = answer
            self.ranking.forget_defects()
            if not session.generation.running:
                self._rank()
        elif isinstance(answer, LearnedMask):
            self._learned = answer, asked
            self._rank()
        elif isinstance(answer, GenerateUpdate):
            session.generation = _progress(answer)
            if answer.pool is not None:
                points = (answer.done, answer.total) if answer.done < answer.total else None
                self.ranking.take(answer.pool, replace(asked, points=points))
                self._rank()

    def _on_generated(self) -> None:
        self._session.generation = replace(self._session.generation, state=JobState.DONE)
        if self._learned is None:
            self.ranking.prepare()

    def _on_failed(self, message: str) -> None:
        self._session.generation = Progress(state=JobState.FAILED, message=message)

    def _on_warm_failed(self, message: str) -> None:
        self._failures.note(WARM, message)
        self._session.message = Failure(message)

    def _ask(self, choice: ModelChoice, settings: GenerateSettings) -> None:
        session = self._session
        if session.image is None:
            return
        self._asked = Origin(choice, settings)
        session.generation = Progress("load", 0, settings.points_per_side**2)
        border, gray = self.ranking.left_out.border, session.image.gray
        compare = comparison_of(session.image, session.algorithm, border)
        self._submit(GenerateRequest(gray, choice.model, choice.device, settings, compare))

    def _compare(self) -> None:
        image, border = self._session.image, self.ranking.left_out.border
        if image is not None:
            request = comparison_of(image, self._session.algorithm, border)
            if request is not None:
                self._submit(replace(request, image=image.gray))

    def _submit(self, request: GenerateRequest | LearnedRequest | CompareRequest) -> None:
        self._engine.submit(
            request,
            destination=CANDIDATES,
            on_update=self._on_answer,
            on_done=self._on_generated,
            on_failed=self._on_failed,
        )

    def _ask_learned(self) -> None:
        session = self._session
        if session.image is None:
            return
        self._asked = Origin(session.choice, session.generate)
        session.generation = Progress("load", 0, 1)
        self._submit(LearnedRequest(session.image.gray, session.algorithm.network))

    def _set_floor(self, floor: float) -> None:
        if floor != self._session.generate.pred_iou_floor:
            self._session.generate = replace(self._session.generate, pred_iou_floor=floor)

    def _rank(self) -> None:
        """Run Algorithm 1 over the pool; the network is not needed."""
        session = self._session
        if session.algorithm.algorithm == LEARNED:
            if self._learned is not None:
                session.automatic = _automatic(*self._learned, self.ranking.left_out)
            return
        if session.pool is None or session.image is None or self.ranking.origin is None:
            return
        if self.ranking.waits(self._rank):
            return
        session.automatic = self.ranking.rank()
        # Of candidates that more will join soon it would be in vain.
        if not session.generation.running:
            self.ranking.prepare()


def _progress(update: GenerateUpdate) -> Progress:
    """Return how far it is without the update's pool, which would stay alive."""
    return Progress(update.stage, update.done, update.total, update.seconds_left)


def _automatic(found: LearnedMask, origin: Origin, left_out: LeftOut) -> Automatic:
    """Return the mask of a learned network, which has no candidates."""
    pool, none = CandidatePool.empty(found.mask.shape), np.empty(0, np.int64)
    return Automatic(pool, none, learned_mask(found, left_out), left_out, False, origin)
