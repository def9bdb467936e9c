"""Writing reviews behind the window, and telling the queue once they are on disk."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_semxai.state.session import SaveState

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.open_project import OpenProject
    from napari_semxai.state.session import Session
    from napari_semxai.types import QueueFilter, ReviewChange, ReviewRecord


class ReviewWriter:
    """Takes changes in the order they were made.

    Parameters
    ----------
    session : Session
        Shows what was written, and what could not be.
    edit : EditController
        Learns which strokes are on disk.
    writes : Jobs
        Writes, one after the other.
    current : callable
        The project that is open, or None.
    """

    def __init__(
        self,
        session: Session,
        edit: EditController,
        writes: Jobs,
        current: Callable[[], OpenProject | None],
    ) -> None:
        self._session, self._edit, self._writes = session, edit, writes
        self._current = current

    def submit(self, opened: OpenProject, image_id: str, *changes: ReviewChange) -> None:
        """Write changes of an image, and whatever of it could not be written before."""
        self._writes.run(
            f"write {image_id}",
            partial(opened.write, image_id, *changes),
            partial(self._on_written, opened),
            partial(self._on_failed, image_id),
        )

    def show(self, opened: OpenProject, record: ReviewRecord) -> None:
        """Show that an image is on disk as its record says."""
        queue = self._session.queue
        self._edit.kept(opened.cache.key(record.image), f"Saved in the project: {record.state}")
        if queue is None or opened is not self._current():
            return
        shown = queue.with_record(record, opened.project.image(record.image).label)
        if shown is not None:
            self._session.queue = shown
        else:
            # Only the index knows whether an image that the filter hides was reviewed before.
            question = partial(opened.ask, queue.filter, queue.annotator)
            counted = partial(self._on_counted, queue.filter)
            self._writes.run("count", question, counted, lambda _: None)

    def _on_written(self, opened: OpenProject, record: ReviewRecord | None) -> None:
        for image_id in opened.failed:
            # The drive is back: so is what it did not take.
            self.submit(opened, image_id)
        if record is not None:
            self.show(opened, record)

    def _on_counted(self, asked: QueueFilter, answer: dict[str, Any]) -> None:
        queue = self._session.queue
        if queue is not None and queue.filter is asked:
            self._session.queue = replace(queue, **answer)

    def _on_failed(self, image_id: str, message: str) -> None:
        """Say it; the mask stays in memory, and the next save of any image tries again."""
        queue = self._session.queue
        if queue is not None and queue.current == image_id:
            self._session.save = SaveState("failed", message=message)
        self._session.message = message
