"""Review: say of every mask what it is worth, and take that back."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.state.review import PastReview
from napari_semxai.store.project.cache import after_change
from napari_semxai.types import ReviewChange, ReviewState

if TYPE_CHECKING:
    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.controllers.project.review_writer import ReviewWriter
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.cache import Entry
    from napari_semxai.store.project.index.open_project import OpenProject
    from napari_semxai.types import SemImage

_NEED_MASK = (ReviewState.ACCEPTED, ReviewState.CORRECTED)
SEEN_AT_LEAST = 0.3
"""Seconds that an image is open before it can be reviewed: nobody sees it in less."""
KEPT_REVIEWS = 200
"""How many reviews can be undone: each keeps a bit for a pixel."""
LONGEST_LOOK = 300.0
"""Seconds of an image that count as work: longer is a break."""


class ReviewController:
    """Records what the annotator says of the open image's mask, and undoes it.

    Parameters
    ----------
    session : Session
        Where the answers go.
    images : ImageController
        Goes on to the next image.
    edit : EditController
        Knows the mask of the current one.
    writer : ReviewWriter
        Writes reviews.
    writes : Jobs
        Reads what is to be undone, after the writes that were asked for before.
    """

    def __init__(
        self,
        session: Session,
        images: ImageController,
        edit: EditController,
        writer: ReviewWriter,
        writes: Jobs,
    ) -> None:
        self._session, self._images, self._edit = session, images, edit
        self._writer, self._writes = writer, writes
        self._undone = 0
        self.seen_at_least = SEEN_AT_LEAST
        self._shown_at = 0.0
        self._asked = ""
        session.events.image.connect(self._on_image_changed)

    def accept(self) -> None:
        """Say that the mask is right: "corrected" where a person changed it."""
        made = self._edit.recorder.is_edited(self._edit.mask)
        self.review(ReviewState.CORRECTED if made else ReviewState.ACCEPTED)

    def review(self, state: ReviewState) -> None:
        """Say what the mask is worth, write it, and go on to the next image."""
        entry, queue = self._session.entry, self._session.queue
        if entry is None or queue is None:
            self._session.message = "Open a project first: there is no queue to review"
            return
        mask = self._edit.mask
        if state in _NEED_MASK and (mask is None or not mask.any()):
            self._session.message = (
                "The mask is empty: generate or paint one, or choose 'No defect'"
            )
            return
        why = self._too_early(state)
        if why:
            self._session.say(why)
            return
        before = self._writer.as_shown(entry)
        if state is ReviewState.NO_DEFECT and mask is not None and mask.any():
            # Also where no image follows, what is shown is what is written.
            self._edit.propose(np.zeros_like(mask), str(state))
        ahead = queue.onward(1)
        self._writer.write(ReviewChange(state=state), self._edit.mask)
        self._remember(before)
        if ahead:
            self._images.go(*ahead)
        else:
            self._session.message = "That was the last image of the queue"

    def undo(self) -> None:
        """Undo the latest review, and open its image; the history keeps both."""
        project, past = self._session.project, self._session.past_reviews
        if project is None or not past:
            self._session.message = "There is no review to undo"
            return
        self._session.past_reviews = past[:-1]
        self._undone += 1
        # After the writes that were asked for before. Each has a name, so that none is dropped.
        self._writes.run(
            f"undo review {self._undone}",
            partial(project.cache.load, past[-1].before.image),
            partial(self._take_back, project, past[-1]),
        )

    def annotate(self, *, label: str | None = None, comment: str | None = None) -> None:
        """Set class or comment of the current image."""
        self._writer.write(ReviewChange(label=label, comment=comment))

    def type(self, field: str, text: str | None) -> None:
        """Remember what is being typed as "label" or "comment"; None where it is as it was."""
        self._writer.type(field, text)

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
        if self._session.entry is None:
            return False
        self._writer.write(ReviewChange(), self._edit.mask)
        return True

    def _too_early(self, state: ReviewState) -> str:
        """Return why a person should not review yet; "" where all is well."""
        if time.monotonic() - self._shown_at < self.seen_at_least:
            return "Not reviewed: the image has only just opened"
        unfinished = self._unfinished() if state in _NEED_MASK else ""
        # Said once; whoever presses again wants the mask as it is.
        asked, self._asked = self._asked, unfinished
        return "" if asked or not unfinished else f"{unfinished}. Wait, or press once more"

    def _unfinished(self) -> str:
        """Return what is still to come of the mask on show."""
        session = self._session
        generation, clicks = session.generation, session.clicks
        if generation.running and not session.edited:
            return f"The mask is still being made ({generation.done:,} of {generation.total:,})"
        if clicks.offer is not None:
            return "SAM 2's answer is not applied"
        return "SAM 2 has not answered yet" if clicks.state.is_waiting and clicks.prompts else ""

    def _on_image_changed(self, _: SemImage | None) -> None:
        self._shown_at, self._asked = time.monotonic(), ""

    def _remember(self, before: Entry) -> None:
        entry, kept = self._session.entry, self._session.past_reviews
        if entry is not None:
            bits = None if before.mask is None else np.packbits(before.mask)
            looked = min(time.monotonic() - self._shown_at, LONGEST_LOOK)
            shape = before.image.gray.shape
            past = PastReview(before.record, entry.record, bits, shape, looked)
            self._session.past_reviews = (*kept, past)[-KEPT_REVIEWS:]
            self._session.tally = self._session.tally.with_review(past)

    def _take_back(self, project: OpenProject, past: PastReview, read: Entry) -> None:
        session, current = self._session, self._session.entry
        if project is not session.project:
            return
        # An undo before this one may have changed what was read.
        entry = project.cache.get(read.id) or read
        is_open = current is not None and current.id == entry.id
        what = f"“{past.after.state}” of {project.name(entry.id)}"
        if entry.record.state is not past.after.state or (is_open and self._edit.unsaved):
            session.say(f"{what} was not undone: its mask or review has changed since")
            return
        session.tally = session.tally.with_review(past, -1)
        change = past.undone(entry.record)
        # Another image to the window, so that it opens anew where it is open.
        entry = replace(after_change(entry, change), image=replace(entry.image))
        project.cache.put(entry)
        if is_open:
            # What is left is no longer compared with the mask that is taken back.
            session.update_image(entry=entry, record=entry.record)
        # They hold the mask that is taken back, and would be found when the image opens.
        self._edit.copies.forget(project.cache.key(entry.id))
        self._writer.submit(project, entry.id, change)
        session.say(f"Undone: {what}; it is “{entry.record.state}” again")
        self._images.show_entry(project, entry)
