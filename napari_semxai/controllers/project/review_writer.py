"""Writing the open image's reviews and masks behind the window, in the order they were made."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.state.open_image import SaveStage, SaveState
from napari_semxai.store.project.index.open_project import after_change, same_region
from napari_semxai.types import ReviewChange, ReviewState

if TYPE_CHECKING:
    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.open_image import Left
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import Entry, OpenProject
    from napari_semxai.types import BoolMask, QueueFilter, ReviewRecord


class ReviewWriter:
    """Takes changes of the open image, shows them at once, and writes them to its project.

    Parameters
    ----------
    session : Session
        Shows what was written, and what could not be.
    edit : EditController
        Learns which strokes are on disk, and knows how the mask was made.
    writes : Jobs
        Writes, one after the other.
    """

    def __init__(self, session: Session, edit: EditController, writes: Jobs) -> None:
        self._session, self._edit, self._writes = session, edit, writes
        self._typed: dict[str, str] = {}

    def type(self, field: str, text: str | None) -> None:
        """Remember what is being typed as class or comment; it goes along with what is written.

        Parameters
        ----------
        field : str
            "label" or "comment".
        text : str or None
            None where it is as it was.
        """
        self._typed.pop(field, None)
        if text is not None:
            self._typed[field] = text

    def write(self, change: ReviewChange, mask: BoolMask | None = None) -> None:
        """Write a change of the open image, with `mask` as it is now and what was typed."""
        session = self._session
        entry, project = session.entry, session.project
        if entry is None or project is None:
            return
        typed, self._typed = self._typed, {}
        if change.label is None:
            change = replace(change, label=typed.get("label"))
        if change.comment is None:
            change = replace(change, comment=typed.get("comment"))
        if change.state is ReviewState.NO_DEFECT:
            mask = np.zeros(entry.image.gray.shape, dtype=bool)
        if mask is not None:
            change = self._with_mask(change, mask)
            self._edit.keep()
        change = change.classified(session.explanation.classification)
        entry = after_change(entry, change)
        project.cache.put(entry)
        # From a review on, sliders show what they would do beside the mask.
        edited = session.edited or entry.by_hand
        session.update_image(entry=entry, record=entry.record, edited=edited)
        self.submit(project, entry.id, change)

    def keep(self, left: Left | None) -> None:
        """Write what the open image is left with: what was typed, strokes, an automatic mask."""
        entry = self._session.entry
        if entry is None:
            self._typed.clear()
            return
        if left is not None and (left.unsaved or self._is_new(entry, left.mask)):
            self.write(ReviewChange(), left.mask)
        elif self._typed:
            self.write(ReviewChange())

    def as_shown(self, entry: Entry) -> Entry:
        """Return the open image's entry with the mask that the window shows."""
        mask = self._edit.mask
        stored = np.zeros(entry.image.gray.shape, bool) if entry.mask is None else entry.mask
        ignored = self._session.ignored
        if mask is None or (np.array_equal(mask, stored) and same_region(ignored, entry.ignored)):
            return entry
        return after_change(entry, self._with_mask(ReviewChange(), mask))

    def submit(self, project: OpenProject, image_id: str, *changes: ReviewChange) -> None:
        """Write changes of an image, and whatever of it could not be written before."""
        self._writes.run(
            f"write {image_id}",
            partial(project.write, image_id, *changes),
            partial(self._on_written, project),
            partial(self._on_failed, image_id),
        )

    def show(self, project: OpenProject, record: ReviewRecord) -> None:
        """Show that an image is on disk as its record says."""
        session, entry = self._session, self._session.entry
        queue, key = session.queue, project.cache.key(record.image)
        self._edit.kept(key, f"Saved in the project: {record.state}")
        if queue is None or project is not session.project:
            return
        if (
            entry is not None
            and entry.id == record.image
            and not project.cache.unwritten(entry.id)
        ):
            # Only what is written knows its time. Strokes made since keep it void.
            shown = session.record if self._edit.unsaved else record
            session.update_image(entry=replace(entry, record=record), record=shown)
        listed = queue.with_record(record, project.project.image(record.image).label)
        if listed is not None:
            session.queue = listed
        else:
            # Only the index knows whether an image that the filter hides was reviewed before.
            question = partial(project.ask, queue.filter, queue.annotator)
            counted = partial(self._on_counted, queue.filter)
            # Not said where it fails: the next question of a person says it.
            self._writes.run("count", question, counted, _ignore)

    def _with_mask(self, change: ReviewChange, mask: BoolMask) -> ReviewChange:
        recorder, entry = self._edit.recorder, self._session.entry
        ignored = self._session.ignored
        if ignored is None and entry is not None and entry.ignored is not None:
            # It was taken back.
            ignored = np.zeros_like(mask)
        return replace(
            change,
            mask=mask.copy(),
            recipe=recorder.recipe(mask),
            score=recorder.score,
            ignored=ignored,
        )

    def _is_new(self, entry: Entry, mask: BoolMask) -> bool:
        """Return whether an automatic mask is to be kept that was not there before."""
        session = self._session
        settled = entry.record.state is not ReviewState.CANDIDATE
        if settled or session.automatic is None or session.edited:
            return False
        return bool(mask.any()) if entry.mask is None else not np.array_equal(mask, entry.mask)

    def _on_written(self, project: OpenProject, record: ReviewRecord | None) -> None:
        for image_id in project.failed:
            # The drive is back: so is what it did not take.
            self._writes.run(
                f"write {image_id}",
                partial(project.write, image_id),
                partial(self._on_written_late, project),
                partial(self._on_failed, image_id),
            )
        if record is not None:
            self.show(project, record)

    def _on_written_late(self, project: OpenProject, record: ReviewRecord | None) -> None:
        if not project.failed:
            self._session.say("Reviews that failed to save earlier are now saved")
        self._on_written(project, record)

    def _on_counted(self, asked: QueueFilter, answer: dict[str, Any]) -> None:
        queue = self._session.queue
        if queue is not None and queue.filter is asked:
            self._session.queue = replace(queue, **answer)

    def _on_failed(self, image_id: str, message: str) -> None:
        """Say it; the mask stays in memory, and the next save of any image tries again."""
        entry = self._session.entry
        if entry is not None and entry.id == image_id:
            self._session.update_image(save=SaveState(SaveStage.FAILED, message=message))
        self._session.say(message)


def _ignore(_: str) -> None:
    """Ignore: what a person asks for next says it."""
