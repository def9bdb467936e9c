"""Masks for a whole queue, made by the engine behind everything else."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask, known_by, learned_mask
from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.controllers.edit.recipe import versions
from napari_semxai.controllers.jobs import Failures
from napari_semxai.state.session import Found, KeptCandidates, ModelChoice, Origin
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.companions import (
    compared_values,
    comparison_of,
    reference_digests,
)
from napari_semxai.store.images.mask_parts import region_counts, region_mask
from napari_semxai.store.images.read import auto_border
from napari_semxai.types import (
    IDLE,
    CandidatePool,
    Failure,
    GenerateRequest,
    GenerateUpdate,
    InputError,
    MaskRecipe,
    MaskSettings,
    ModelInfo,
    Progress,
    ReviewChange,
    ReviewState,
    WarmRequest,
)
from napari_semxai.types.learned import LearnedMask, LearnedRequest
from napari_semxai.types.settings import LEARNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.controllers.project.queue import QueueController
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import OpenProject
    from napari_semxai.types import BoolMask, Border, ReviewRecord, SemImage

QUEUE = "queue"
TITLE = "Masks"
_PATIENCE = 3
"""Images that may fail one after the other before the run stops."""


class _Run:
    """One pass over the queue with the settings that it began with."""

    def __init__(
        self, opened: OpenProject, annotator: str, settings: MaskSettings, waiting: list[str]
    ) -> None:
        self.opened, self.annotator = opened, annotator
        self.settings, self.model = settings, ModelInfo("", "", "")
        self.waiting, self.total = waiting, len(waiting)
        self.began = time.monotonic()
        self.pool: CandidatePool | LearnedMask | None = None
        self.difference: Difference | None = None
        self.made = self.failed = 0
        self.without: list[str] = []
        """Images without a mask at the end, though they were to get one."""
        self.versions = versions()

    @property
    def learned(self) -> bool:
        """Whether a learned network answers instead of SAM 2."""
        return self.settings.algorithm.algorithm == LEARNED


class QueueMasks:
    """Give every image of the queue a mask by the current settings, one after the other.

    Reviewed images, masks that a person changed or chose, and masks that these settings made
    before are left alone. Clicks and the open image go before this in the engine.

    Parameters
    ----------
    session : Session
        Has the settings, and is told of progress.
    images : ImageController
        Shows a mask that was made of the open image.
    queue : QueueController
        Looks again at the end.
    engine : EngineClient
        Runs the network.
    jobs, writes : Jobs
        Read images; run Algorithm 1 and write.
    """

    def __init__(
        self,
        session: Session,
        images: ImageController,
        queue: QueueController,
        engine: EngineClient,
        jobs: Jobs,
        writes: Jobs,
    ) -> None:
        self._session, self._images, self._queue = session, images, queue
        self._engine = engine
        self._jobs, self._writes = jobs, writes
        self._run: _Run | None = None
        self._failures = Failures(session.events.failure_over.emit)
        session.events.queue.connect(self._on_queue_changed)

    def start(self) -> None:
        """Begin with the images that the filter shows."""
        opened, queue = self._session.project, self._session.queue
        if opened is None or queue is None or self._run is not None or self._session.is_busy():
            return
        # Reversed, because the next one is taken from the end.
        waiting = [row.image for row in reversed(queue.shown) if _open(row.state)]
        run = self._run = _Run(opened, queue.annotator, self._session.settings, waiting)
        self._session.batch = Progress(TITLE, 0, run.total)
        learned = self._session.learned.used
        if run.learned and learned is not None:
            # Its file told the digest.
            run.model = ModelInfo(learned.name, learned.sha256, "cpu")
            self._next(run)
            return
        # Only the network's digest tells which masks it has made before.
        self._engine.submit(
            WarmRequest(run.settings.model, run.settings.device),
            destination=QUEUE,
            on_update=partial(self._on_update, run),
            on_done=partial(self._next, run),
            on_failed=partial(self._on_write_failed, run),
            background=True,
        )

    def cancel(self) -> None:
        """Stop; the masks made so far stay."""
        if self._run is not None:
            self._run = None
            self._engine.forget(QUEUE)
            self._jobs.forget(QUEUE)
            self._session.batch = IDLE

    def _next(self, run: _Run) -> None:
        # Cancelled, or another run has begun: answers of this one are still arriving.
        if run is not self._run:
            return
        done = run.total - len(run.waiting)
        if not run.waiting:
            self._run = None
            self._session.batch = IDLE
            ready = f"Masks for {done - len(run.without):,} images are ready"
            failed = f"; {len(run.without):,} failed" if run.without else ""
            self._session.message = ready + failed
            if not run.without:
                self._failures.end(QUEUE)
            self._queue.refresh(retry=False)
            return
        # Without those that were skipped, which take no time.
        each = (time.monotonic() - run.began) / run.made if run.made else None
        left = None if each is None else each * len(run.waiting)
        self._session.batch = Progress(TITLE, done, run.total, left)
        image_id = run.waiting.pop()
        self._jobs.run(
            QUEUE,
            partial(_read, run, image_id),
            partial(self._on_read, run, image_id),
            partial(self._on_read_failed, run, image_id),
        )

    def _on_read(self, run: _Run, image_id: str, read: tuple[SemImage, Border] | None) -> None:
        if read is None:
            self._next(run)
            return
        image, border = read
        run.pool, run.difference, settings = None, None, run.settings
        compare = comparison_of(image, settings.algorithm, border)
        request: GenerateRequest | LearnedRequest = GenerateRequest(
            image.gray, settings.model, settings.device, settings.generate, compare
        )
        if run.learned:
            request = LearnedRequest(image.gray, settings.algorithm.network)
        self._engine.submit(
            request,
            destination=QUEUE,
            on_update=partial(self._on_update, run),
            on_done=partial(self._on_generated, run, image_id, image),
            on_failed=partial(self._on_failed, run, image_id),
            background=True,
        )

    def _on_update(self, run: _Run, answer: Any) -> None:
        if isinstance(answer, ModelInfo):
            run.model = answer
        elif isinstance(answer, Difference):
            run.difference = answer
        elif isinstance(answer, LearnedMask):
            run.pool = answer
        elif isinstance(answer, GenerateUpdate) and answer.pool is not None:
            run.pool = answer.pool

    def _on_generated(self, run: _Run, image_id: str, image: SemImage) -> None:
        if run.pool is None or run is not self._run:
            return
        write = partial(
            _write, run, image_id, image, run.pool, run.difference, self._images.is_edited
        )
        self._writes.run(
            f"mask {image_id}",
            write,
            partial(self._on_written, run, image_id),
            partial(self._on_write_failed, run),
        )

    def _on_written(self, run: _Run, image_id: str, made: KeptCandidates | None) -> None:
        run.made, run.failed = run.made + 1, 0
        if made is not None:
            self._images.candidates.remember(run.opened.cache.key(image_id), made)
        self._images.reopen(image_id)
        self._next(run)

    def _on_read_failed(self, run: _Run, image_id: str, message: str) -> None:
        queue = self._session.queue
        if queue is not None and run is self._run:
            self._session.queue = queue.with_unreadable({image_id: message})
        self._on_failed(run, image_id, message)

    def _on_failed(self, run: _Run, image_id: str, message: str) -> None:
        """Say it, and go on with the next image unless none succeeds."""
        run.failed += 1
        run.without.append(image_id)
        if run.failed < _PATIENCE:
            self._session.message = message
            self._next(run)
        else:
            self._on_write_failed(run, message)

    def _on_write_failed(self, run: _Run, message: str) -> None:
        """Stop: the next mask could not be written either."""
        if run is self._run:
            self.cancel()
            failure = Failure(f"{message}. Batch generation stopped.")
            self._failures.note(QUEUE, failure)
            self._session.message = failure

    def _on_queue_changed(self, queue: object) -> None:
        if queue is None:
            self.cancel()


def _by_hand(record: ReviewRecord | None) -> bool:
    """Return whether a mask is a person's: made, changed, chosen or reviewed."""
    if record is None or not record.mask_sha256:
        return False
    recipe = record.recipe
    automatic = recipe is not None and recipe.base != "mask" and not recipe.edits
    chosen = recipe is not None and bool(recipe.settings.get("overridden"))
    return not _open(record.state) or chosen or not automatic


def _open(state: ReviewState) -> bool:
    """Return whether nothing is decided of an image; what a rule accepted stays as it is, too."""
    return state is ReviewState.CANDIDATE


def _made_before(run: _Run, image_id: str, record: ReviewRecord | None) -> bool:
    """Return whether this run would make the automatic mask that is there."""
    recipe = None if record is None else record.recipe
    if record is None or recipe is None or recipe.base != "automatic":
        return False
    made = recipe.settings
    try:
        settings = MaskSettings.from_json(made, run.settings.device)
    except InputError:
        return False
    image = run.opened.project.image(image_id)
    digests = reference_digests(image.path, settings.algorithm, image.reference)
    return (
        settings == run.settings
        and [(made.get("compared") or {}).get("sha256", "")] == (digests or [""])
        and made.get("network", made["model"]).get("sha256") == run.model.sha256
        # Not of candidates that were still coming.
        and "points_done" not in made
        and made.get("ignored", "") == record.ignored
        and recipe.image_sha256 == image.sha256
        and recipe.versions == run.versions
    )


def _read(run: _Run, image_id: str) -> tuple[SemImage, Border] | None:
    """Read an image, and find its border; None where its mask is a person's, or made already."""
    record = run.opened.project.record(image_id, run.annotator)
    if _by_hand(record) or _made_before(run, image_id, record):
        return None
    image = run.opened.project.read_image(image_id)
    return image, run.settings.algorithm.border(auto_border(image))


def _ignored(run: _Run, image_id: str, image: SemImage) -> BoolMask | None:
    """Return what the annotator has marked to be ignored, as it is stored now."""
    record = run.opened.project.record(image_id, run.annotator)
    return None if record is None else region_mask(record.ignored, image.gray.shape)


def _write(
    run: _Run,
    image_id: str,
    image: SemImage,
    pool: CandidatePool | LearnedMask,
    difference: Difference | None,
    is_edited: Callable[[str], bool],
) -> KeptCandidates | None:
    """Run Algorithm 1 and store its mask, unless a person made one meanwhile."""
    settings = run.settings
    region = _ignored(run, image_id, image)
    left_out = settings.algorithm.left_out(auto_border(image), region)
    if isinstance(pool, LearnedMask):
        chosen, truth = CandidatePool.empty(pool.mask.shape), learned_mask(pool, left_out)
    else:
        chosen = pool.take(filter_candidates(pool, settings.filters))
        known = known_by(settings.algorithm, image.gray, left_out, chosen, difference)
        truth = automatic_mask(chosen, image, settings.algorithm, left_out, known=known)
    found: dict[str, Any] = {"winner": truth.winner, "overridden": False}
    found |= {} if region is None else {"ignored": region_counts(region)}
    compared = compared_values(difference)
    found |= {} if compared is None else {"compared": compared}
    recipe = MaskRecipe(
        "automatic",
        array_digest(truth.mask),
        array_digest(image.pixels),
        settings.to_json(run.model.sha256, left_out.border) | found,
        versions=run.versions,
        turned=image.turned,
    )
    score = truth.certainty(chosen.predicted_iou)
    # Asked again: minutes have passed since `_read`, and this is the writing thread, so nothing
    # comes between this look and the write.
    by_hand = _by_hand(run.opened.project.record(image_id, run.annotator))
    # Strokes and clicks on the open image are in no file yet; theirs is another base and score.
    if is_edited(image_id) or by_hand or run.opened.cache.unwritten(image_id):
        return None
    change = ReviewChange(mask=truth.mask, recipe=recipe, score=score)
    run.opened.note(run.opened.project.write_review(image_id, run.annotator, change))
    # It holds the image as it was before this mask.
    run.opened.cache.drop(image_id)
    if isinstance(pool, LearnedMask):
        return None
    origin = Origin(ModelChoice(settings.model, settings.device), settings.generate, run.model)
    kept = Found(chosen, None, origin, settings.filters, difference and difference.light)
    return KeptCandidates(kept, settings.algorithm, recipe.base_sha256)
