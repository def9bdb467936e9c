"""Review: go through a project's images, and say of every mask what it is worth."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_semxai.controllers.project.cache import after_change
from napari_semxai.controllers.project.review_writer import ReviewWriter
from napari_semxai.state.review import Opening, PastReview
from napari_semxai.state.session import Proposal
from napari_semxai.types import ReviewChange, ReviewState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.edit.images import ImageController
    from napari_semxai.controllers.edit.recipe import RecipeRecorder
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.cache import Entry
    from napari_semxai.controllers.project.open_project import OpenProject
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.review import Left
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, ReviewRecord, SemImage

_NEED_MASK = (ReviewState.ACCEPTED, ReviewState.CORRECTED)
KEPT_REVIEWS = 200
"""How many reviews can be undone: each keeps a bit for a pixel."""
_NAMED = 5
AHEAD = (1, 2, -1)
"""Which neighbours are read before they are asked for."""


class ReviewController:
    """Records reviews, undoes them, and moves through the queue.

    Parameters
    ----------
    session : Session
        Where the answers go.
    images, edit
        Show an image, and know the mask of the current one.
    recorder : RecipeRecorder
        Knows how the mask was made.
    jobs, writes : Jobs
        Read images; write reviews, one after the other.
    """

    typed_wanted = Signal()
    """What was typed for the open image, but not entered, is wanted now."""

    def __init__(
        self,
        session: Session,
        images: ImageController,
        edit: EditController,
        recorder: RecipeRecorder,
        jobs: Jobs,
        writes: Jobs,
    ) -> None:
        self._session, self._images, self._edit = session, images, edit
        self._recorder, self._jobs, self._writes = recorder, jobs, writes
        self.opened: OpenProject | None = None
        self._writer = ReviewWriter(session, edit, writes, lambda: self.opened)
        self._current: Entry | None = None
        self._undone = 0
        self._wanted: tuple[str, ...] = ()
        edit.leaving.connect(self._on_leaving)
        edit.left.connect(self._on_left)
        edit.stroke_begun.connect(self._on_stroke_begun)
        session.events.image.connect(self._on_image_changed)

    def begin(self, opened: OpenProject, queue: Queue, at: str = "") -> None:
        """Go through a project, from image `at` or the first one without a review on."""
        self.end()
        self.opened = opened
        self._session.queue = queue
        # The project before may be this same one, with strokes that are still to be written.
        claimed = partial(self._on_claimed, opened, at)
        failed = partial(self._on_claim_failed, opened, at)
        self._writes.run("begin", opened.claim, claimed, failed)

    def end(self) -> None:
        """Save what is unsaved, and close the project once it is written."""
        opened = self.opened
        if opened is None:
            return
        self._images.show(None)
        self.opened = self._session.queue = None
        self._session.agreement = self._session.past_reviews = ()
        self._writes.run("close project", opened.close, _nothing, self._on_failed)

    def go(self, *images: str) -> None:
        """Open the first of these images that can be read; say which ones cannot.

        Nothing happens where the first one is open.
        """
        opened, current = self.opened, self._current
        if opened is None or not images or (current and current.id == images[0]):
            return
        self._wanted = images
        known = opened.cache.get(images[0])
        if known is not None:
            self._show(opened, known)
        else:
            read = partial(opened.first_readable, images, lambda: self._wanted is images)
            self._jobs.run("open image", read, partial(self._on_read, opened), self._on_failed)

    def mask_came(self, image_id: str) -> None:
        """Show the mask that was made behind, unless a person has begun with the image."""
        current = self._current
        if current is None or current.id != image_id or self._session.edited:
            return
        if current.mask is None and self._session.automatic is None:
            self._current = None
            self.go(image_id)

    def accept(self) -> None:
        """Say that the mask is right: "corrected" where a person changed it."""
        made = self._recorder.edited
        self.review(ReviewState.CORRECTED if made else ReviewState.ACCEPTED)

    def review(self, state: ReviewState) -> None:
        """Say what the mask is worth, write it, and go on to the next image."""
        queue = self._session.queue
        if self._current is None or queue is None:
            self._session.message = "Open a project first: there is no queue to review"
            return
        mask = self._edit.mask
        if state in _NEED_MASK and (mask is None or not mask.any()):
            self._session.message = (
                "The mask is empty: generate or paint one, or choose 'No defect'"
            )
            return
        before = self._as_shown(self._current)
        self.typed_wanted.emit()
        if state is ReviewState.NO_DEFECT and mask is not None and mask.any():
            # Also where no image follows, what is shown is what is written.
            self._session.proposal = Proposal(np.zeros_like(mask), "no defect")
        ahead = queue.onward(1)
        self._write(ReviewChange(state=state), self._edit.mask)
        self._remember(before, self._current.record)
        if ahead:
            self.go(*ahead)
        else:
            self._session.message = "That was the last image of the queue"

    def undo(self) -> None:
        """Undo the latest review, and open its image; the history keeps both."""
        opened, past = self.opened, self._session.past_reviews
        if opened is None or not past:
            self._session.message = "There is no review to undo"
            return
        self._session.past_reviews = past[:-1]
        self._undone += 1
        # After the writes that were asked for before. Each has a name, so that none is dropped.
        self._writes.run(
            f"undo review {self._undone}",
            partial(opened.cache.load, past[-1].before.image),
            partial(self._take_back, opened, past[-1]),
            self._on_failed,
        )

    def annotate(self, *, label: str | None = None, comment: str | None = None) -> None:
        """Set class or comment of the current image."""
        self._write(ReviewChange(label=label, comment=comment), None)

    def set_class(self, number: int) -> None:
        """Set the class that is `number` in the project's list, counted from 1."""
        queue = self._session.queue
        if queue is not None:
            # Without a list the number is the class.
            labels = list(queue.class_names) or [str(n) for n in range(1, 10)]
            if number <= len(labels):
                self.annotate(label=labels[number - 1])
            else:
                self._session.message = (
                    f"This project has {len(labels)} classes; there is no class {number}"
                )

    def save(self) -> bool:
        """Write the current mask to the project; False without a project."""
        if self._current is None:
            return False
        self.typed_wanted.emit()
        self._write(ReviewChange(), self._edit.mask)
        return True

    def _as_shown(self, entry: Entry) -> Entry:
        """Return the current entry with the mask that the window shows."""
        mask = self._edit.mask
        stored = np.zeros(entry.image.gray.shape, bool) if entry.mask is None else entry.mask
        if mask is None or np.array_equal(mask, stored):
            return entry
        recipe, score = self._recorder.recipe(mask), self._recorder.score
        return after_change(entry, ReviewChange(mask=mask.copy(), recipe=recipe, score=score))

    def _remember(self, before: Entry, after: ReviewRecord) -> None:
        bits = None if before.mask is None else np.packbits(before.mask)
        past = PastReview(before.record, after, bits, before.image.gray.shape)
        self._session.past_reviews = (*self._session.past_reviews, past)[-KEPT_REVIEWS:]

    def _take_back(self, opened: OpenProject, past: PastReview, read: Entry) -> None:
        if opened is not self.opened:
            return
        # An undo before this one may have changed what was read.
        entry = opened.cache.get(read.id) or read
        is_open = self._current is not None and self._current.id == entry.id
        what = f"“{past.after.state}” of {entry.id}"
        if entry.record.state is not past.after.state or (is_open and self._edit.unsaved):
            self._session.message = f"{what} was not undone: its mask or review has changed since"
            return
        change = past.undone(entry.record)
        # Another image to the window, so that it opens anew where it is open.
        entry = replace(after_change(entry, change), image=replace(entry.image))
        opened.cache.put(entry)
        if is_open:
            self._current, self._session.record = entry, entry.record
        # They hold the mask that is taken back, and would be found when the image opens.
        self._edit.give_up(opened.cache.key(entry.id))
        self._writer.submit(opened, entry.id, change)
        self._session.message = f"Undone: {what}; it is “{entry.record.state}” again"
        self._show(opened, entry)

    def _on_claimed(
        self, opened: OpenProject, at: str, done: tuple[list[ReviewRecord], dict[str, str]]
    ) -> None:
        records, failed = done
        for record in records:
            self._writer.show(opened, record)
        self._begin_at(opened, at)
        if records:
            names = ", ".join(record.image for record in records)
            self._session.message = f"Reviews that failed to save earlier are now saved: {names}"
        if failed:
            self._session.message = next(iter(failed.values()))

    def _on_claim_failed(self, opened: OpenProject, at: str, message: str) -> None:
        """Say before anybody paints that nothing can be written; reading goes on."""
        self._begin_at(opened, at)
        self._session.message = message

    def _begin_at(self, opened: OpenProject, at: str) -> None:
        queue = self._session.queue
        if queue is not None and opened is self.opened:
            every = (row.image for row in queue.shown)
            wanted = (*([at] if at else []), *queue.unreviewed(), *every)
            self.go(*dict.fromkeys(wanted))

    def _on_read(self, opened: OpenProject, read: tuple[Entry | None, dict[str, str]]) -> None:
        entry, failed = read
        if self._session.queue is None or opened is not self.opened:
            return
        if failed:
            self._session.queue = self._session.queue.with_unreadable(failed)
            self._session.message = _unreadable(failed, skipped=entry is not None)
        if entry is not None:
            self._show(opened, entry)

    def _on_read_ahead_failed(self, opened: OpenProject, image_id: str, message: str) -> None:
        """Mark an image in the list; it is said once somebody comes to it."""
        if self._session.queue is not None and opened is self.opened:
            self._session.queue = self._session.queue.with_unreadable({image_id: message})

    def _show(self, opened: OpenProject, entry: Entry) -> None:
        queue = self._session.queue
        if queue is None or opened is not self.opened:
            return
        stored = not opened.cache.unwritten(entry.id)
        key, pixel_size = opened.cache.key(entry.id), opened.pixel_size(entry.id)
        opening = Opening(key, entry.mask, entry.by_hand, stored, pixel_size)
        self._images.show(entry.image, opening)
        # Leaving has written the image before; from here on strokes are this one's.
        self._current = entry
        self._recorder.begin(entry.image, entry.mask, entry.record.recipe)
        self._session.record = entry.record
        number = opened.cache.number(entry.id)
        queue = self._session.queue = (self._session.queue or queue).at(entry.id, number)
        for image_id in map(queue.step, AHEAD):
            if image_id is not None and opened.cache.get(image_id) is None:
                read = partial(opened.cache.load, image_id)
                failed = partial(self._on_read_ahead_failed, opened, image_id)
                self._jobs.run(f"read {image_id}", read, _nothing, failed)

    def _on_image_changed(self, image: SemImage | None) -> None:
        if self._current is not None and self._current.image is not image:
            self._current = self._session.record = None
            if self._session.queue is not None:
                self._session.queue = replace(self._session.queue, current="")

    def _on_stroke_begun(self) -> None:
        """Show at once that a review is void; it is written with the mask."""
        record = self._session.record
        if self._current is not None and record is not None and record.state.is_reviewed:
            self._session.record = replace(
                record, state=ReviewState.CANDIDATE, voided=record.state
            )

    def _on_leaving(self) -> None:
        """Take what was typed, and keep an automatic mask that was not there before."""
        self.typed_wanted.emit()
        entry, mask = self._current, self._edit.mask
        if entry is None or mask is None or entry.record.state.is_reviewed:
            return
        new = mask.any() if entry.mask is None else not np.array_equal(mask, entry.mask)
        if new and self._session.automatic is not None and not self._session.edited:
            self._write(ReviewChange(), mask)

    def _on_left(self, left: Left) -> None:
        """Write strokes that an image is left with; it is the current one still."""
        if self._current is not None and left.image is self._current.image:
            self._write(ReviewChange(), left.mask)

    def _write(self, change: ReviewChange, mask: BoolMask | None) -> None:
        """Write a change, with `mask` as it is now."""
        entry, opened = self._current, self.opened
        if entry is None or opened is None:
            return
        if change.state is ReviewState.NO_DEFECT:
            mask = np.zeros(entry.image.gray.shape, dtype=bool)
        if mask is not None:
            recipe, score = self._recorder.recipe(mask), self._recorder.score
            change = replace(change, mask=mask.copy(), recipe=recipe, score=score)
            self._edit.keep()
        change = change.classified(self._session.explanation.classification)
        self._current = after_change(entry, change)
        # From a review on, sliders show what they would do beside the mask.
        self._session.edited |= self._current.by_hand
        opened.cache.put(self._current)
        self._session.record = self._current.record
        self._writer.submit(opened, entry.id, change)

    def _on_failed(self, message: str) -> None:
        self._session.message = message


def _unreadable(failed: Mapping[str, str], *, skipped: bool) -> str:
    """Name the images that cannot be read, and why the first one cannot."""
    names, why = list(failed), next(iter(failed.values()))
    more = "" if len(names) <= _NAMED else f" and {len(names) - _NAMED:,} more"
    named = ", ".join(names[:_NAMED]) + more
    if skipped:
        return f"Skipped: {named} cannot be read ({why})"
    if len(names) == 1:
        return f"{named} cannot be read ({why})"
    return f"None of the {len(names):,} images left can be read: {named} ({why})"


def _nothing(_: object) -> None:
    """Ignore the result."""
