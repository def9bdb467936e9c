"""Review: say of every mask what it is worth, and take that back."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.state.review import NEED_MASK, PastReview
from napari_semxai.state.session import named
from napari_semxai.store.project.certificates import accept_by_rule
from napari_semxai.store.project.index.open_project import after_change
from napari_semxai.types import InputError, ReviewChange, ReviewRecord, ReviewState
from napari_semxai.types.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.controllers.project.review_writer import ReviewWriter
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.certificates import Certificate
    from napari_semxai.store.project.index.open_project import Entry, OpenProject
    from napari_semxai.types import BoolMask, QueueFilter, SemImage

    _Change = Callable[[ReviewRecord, BoolMask | None], ReviewChange]

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
        self.review(ReviewState.ACCEPTED)

    def review(self, state: ReviewState) -> None:
        """Say what the mask is worth, write it, and go on to the next image."""
        queue = self._session.queue
        ahead = () if queue is None else queue.onward(1)
        if not self.record(state):
            return
        if ahead:
            self._images.go(*ahead)
        else:
            self._session.message = "That was the last image of the queue"

    def record(self, state: ReviewState, group: int = 0) -> bool:
        """Say what the mask is worth, and write it.

        Parameters
        ----------
        state : ReviewState
            What it is worth.
        group : int
            As `PastReview.group`.

        Returns
        -------
        bool
            Whether that was done; where not, it is said why.
        """
        entry, queue = self._session.entry, self._session.queue
        if entry is None or queue is None:
            self._session.message = "Open a project first: there is no queue to review"
            return False
        if self._images.bring_back():
            return False
        mask = self._edit.mask
        if state in NEED_MASK and (mask is None or not mask.any()):
            why = "The mask is empty: generate or paint one, or choose 'No defect'"
        else:
            why = self._too_early(state)
        if why:
            self._session.say(why)
            return False
        before = self._writer.as_shown(entry)
        if state is ReviewState.NO_DEFECT and mask is not None and mask.any():
            # Also where no image follows, what is shown is what is written.
            self._edit.propose(np.zeros_like(mask), str(state))
        if state is ReviewState.ACCEPTED and self._edit.recorder.is_edited(self._edit.mask):
            state = ReviewState.CORRECTED
        self._writer.write(ReviewChange(state=state), self._edit.mask)
        self._note(before, group)
        return True

    def undo(self) -> None:
        """Undo the latest review, and open its image; the history keeps both.

        Reviews of several images at once go together; none of them is opened.
        """
        project, past = self._session.project, self._session.past_reviews
        if project is None or not past:
            self._session.message = "There is no review to undo"
            return
        count = sum(one.group == past[-1].group for one in past) if past[-1].group else 1
        self._session.past_reviews, last = past[:-count], past[-count:]
        entry, queue = self._session.entry, self._session.queue
        for one in last:
            if count == 1 or (entry is not None and entry.id == one.before.image):
                self._undo_one(project, one)
        others = [one for one in last if entry is None or entry.id != one.before.image]
        if count > 1 and others and queue is not None:
            self._undone += 1
            self._writes.run(
                f"undo review {self._undone}",
                partial(_take_all_back, project, queue.filter, others),
                self._on_taken_back,
            )

    def remember(self, *reviews: PastReview) -> None:
        """Let reviews be undone; a group is never cut."""
        kept = (*self._session.past_reviews, *reviews)
        self._session.past_reviews = kept[-max(KEPT_REVIEWS, len(reviews)) :]

    def _undo_one(self, project: OpenProject, past: PastReview) -> None:
        self._undone += 1
        # After the writes that were asked for before. Each has a name, so that none is dropped.
        self._writes.run(
            f"undo review {self._undone}",
            partial(project.cache.load, past.before.image),
            partial(self._take_back, project, past),
        )

    def _on_taken_back(self, done: tuple[int, list[str], dict[str, Any]]) -> None:
        undone, changed, answer = done
        if self._session.queue is not None:
            self._session.queue = replace(self._session.queue, **answer)
        left = f"; changed since, and left: {', '.join(changed[:3])}" if changed else ""
        self._session.say(f"Undone: reviews of {undone:,} images{left}")

    def annotate(
        self, *, label: str | None = None, comment: str | None = None, group: int = 0
    ) -> None:
        """Set class or comment of the current image; with a group, its undo takes that back."""
        before = self._session.entry
        self._writer.write(ReviewChange(label=label, comment=comment))
        if group and before is not None:
            self._note(before, group, counted=False)

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
                    f"The project's list has {len(labels)} classes, none in place {number}"
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
        unfinished = self._unfinished() if state in NEED_MASK else ""
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

    def _note(self, before: Entry, group: int, *, counted: bool = True) -> None:
        entry, shape = self._session.entry, before.image.gray.shape
        if entry is not None:
            bits = None if before.mask is None else np.packbits(before.mask)
            looked = min(time.monotonic() - self._shown_at, LONGEST_LOOK) if counted else 0.0
            region = np.packbits(np.zeros(shape) > 0 if before.ignored is None else before.ignored)
            past = PastReview(before.record, entry.record, bits, shape, looked, group, region)
            self.remember(past)
            if counted:
                self._session.tally = self._session.tally.with_review(past)

    def _take_back(self, project: OpenProject, past: PastReview, read: Entry) -> None:
        session, current = self._session, self._session.entry
        if project is not session.project:
            return
        # An undo before this one may have changed what was read.
        entry = project.cache.get(read.id) or read
        is_open = current is not None and current.id == entry.id
        what = f"“{past.after.state}” of {project.name(entry.id)}"
        if _is_other(entry.record, past.after) or (is_open and self._edit.unsaved):
            session.say(f"{what} was not undone: its mask or review has changed since")
            return
        if past.seconds:
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


class GroupReview:
    """Says of several images of the queue what their masks are worth, or what class they show.

    Parameters
    ----------
    session : Session
        Has the queue.
    review : ReviewController
        Reviews the open image, which may have strokes that no file holds.
    writes : Jobs
        Writes reviews.
    """

    def __init__(self, session: Session, review: ReviewController, writes: Jobs) -> None:
        self._session, self._review, self._writes = session, review, writes
        self._groups = 0

    def review(self, images: Sequence[str], state: ReviewState) -> None:
        """Set the state of images by id; those without a mask are left out where it needs one.

        "accepted" becomes "corrected" where a person changed the mask.
        """
        others = self._begin(images)
        if len(others) < len(images):
            self._review.record(state, self._groups)
        self._run(others, partial(_reviewed, state), str(state))

    def set_class(self, images: Sequence[str], label: str) -> None:
        """Set the class of images by id."""
        others = self._begin(images)
        if len(others) < len(images):
            self._review.annotate(label=label, group=self._groups)
        self._run(others, lambda _record, _mask: ReviewChange(label=label), f"class {label}")

    def accept_by_rule(self, images: Sequence[str], certificate: Certificate) -> None:
        """Accept masks unseen that a certificate allows; the open image is left to its person."""
        change = partial(accept_by_rule, certificate)
        self._run(self._begin(images), change, str(ReviewState.BY_RULE))

    def _begin(self, images: Sequence[str]) -> list[str]:
        self._groups += 1
        entry = self._session.entry
        return [one for one in images if entry is None or one != entry.id]

    def _run(self, images: list[str], change: _Change, what: str) -> None:
        project, queue = self._session.project, self._session.queue
        if project is None or queue is None or not images:
            return
        self._writes.run(
            f"group review {self._groups}",
            partial(_write_all, project, queue.filter, images, change, self._groups),
            partial(self._on_written, project, what),
        )

    def _on_written(
        self,
        project: OpenProject,
        what: str,
        done: tuple[list[PastReview], dict[str, str], dict[str, Any]],
    ) -> None:
        past, left, answer = done
        queue = self._session.queue
        if queue is None or project is not self._session.project:
            return
        self._review.remember(*past)
        self._session.queue = replace(queue, **answer)
        names = [f"{project.name(one)} ({why})" for one, why in left.items()]
        missing = f"; left out: {named(names, 3)}" if names else ""
        self._session.say(f"{counted(len(past), 'image')}: {what}{missing}")


def _reviewed(state: ReviewState, record: ReviewRecord, mask: BoolMask | None) -> ReviewChange:
    """Return the review of a mask as it is stored."""
    if state in NEED_MASK and (mask is None or not mask.any()):
        raise InputError("no mask")
    by_hand = record.recipe is None or record.recipe.base == "mask" or bool(record.recipe.edits)
    corrected = state is ReviewState.ACCEPTED and by_hand
    return ReviewChange(state=ReviewState.CORRECTED if corrected else state)


def _write_all(
    project: OpenProject, shown: QueueFilter, images: list[str], change: _Change, group: int
) -> tuple[list[PastReview], dict[str, str], dict[str, Any]]:
    """Write the same change of many images; for the writing thread.

    What can be undone is returned, why an image was left out, and fields of `Queue` afterwards.
    """
    past, left = [], {}
    annotator = project.cache.annotator
    for image_id in images:
        try:
            before = project.project.record(image_id, annotator)
            before = before or ReviewRecord(image_id, annotator)
            mask = project.project.mask(image_id, annotator) if before.mask_sha256 else None
            if project.cache.unwritten(image_id):
                raise InputError("still being written")
            after = project.project.write_review(image_id, annotator, change(before, mask))
        except (InputError, OSError) as error:
            left[image_id] = str(error)
            continue
        project.note(after)
        # It holds the record before.
        project.cache.drop(image_id)
        bits = None if mask is None else np.packbits(mask)
        shape = project.project.image(image_id).shape
        past.append(PastReview(before, after, bits, shape, group=group))
    return past, left, project.ask(shown, annotator)


def _is_other(now: ReviewRecord, after: ReviewRecord) -> bool:
    # Of a mask without a review no state tells that it was worked on since.
    same = after.state.is_reviewed or now.mask_sha256 == after.mask_sha256
    return now.state is not after.state or not same


def _take_all_back(
    project: OpenProject, shown: QueueFilter, past: Sequence[PastReview]
) -> tuple[int, list[str], dict[str, Any]]:
    """Undo reviews of images that are not open; for the writing thread.

    The answer is how many were, names of images that changed since, and fields of `Queue`.
    """
    undone, changed = 0, []
    annotator = project.cache.annotator
    for one in past:
        image_id = one.before.image
        record = project.project.record(image_id, annotator)
        if record is None or _is_other(record, one.after):
            changed.append(project.name(image_id))
            continue
        project.note(project.project.write_review(image_id, annotator, one.undone(record)))
        project.cache.drop(image_id)
        undone += 1
    return undone, changed, project.ask(shown, annotator)
