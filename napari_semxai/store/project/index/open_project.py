"""An open project: its files, the index over them, what was read, what waits to be written."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.store.project.rescue import unsaved_masks
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_semxai.store.project.cache import Entry, ProjectCache
    from napari_semxai.store.project.index.index import ProjectIndex
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import BoolMask, QueueFilter, ReviewChange, ReviewRecord


class OpenProject:
    """An open project; all that writes is for the writing thread.

    Parameters
    ----------
    project : Project
        Its files.
    index : ProjectIndex
        The index over them.
    cache : ProjectCache
        What was read.
    """

    def __init__(self, project: Project, index: ProjectIndex, cache: ProjectCache) -> None:
        self.project, self.index, self.cache = project, index, cache
        self._failed: dict[str, tuple[ReviewChange, ...]] = {}
        self.pixel_sizes: dict[str, float] = {}
        """What was typed, by image: it counts before it is written."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Images with changes that could not be written so far."""
        return tuple(self._failed)

    @property
    def unwritten(self) -> list[str]:
        """What could not be written so far, and where it is kept, in words."""
        return [
            f"{image_id}: could not be saved in the project; {self._keep(image_id, change)}"
            for image_id, changes in self._failed.items()
            for change in changes
        ]

    def pixel_size(self, image_id: str) -> float | None:
        """Return the edge of a pixel of an image in metres; None where nobody knows it."""
        return self.pixel_sizes.get(image_id, self.project.image(image_id).pixel_size)

    def ask(
        self, chosen: QueueFilter, annotator: str, *, every_file: bool = False
    ) -> dict[str, Any]:
        """Return the fields of `Queue` that come from the index; for a thread."""
        self.index.refresh(every_file=every_file)
        status = self.index.status()
        states = status.states.get(annotator.strip().casefold(), {})
        return {
            "shown": self.index.queue(chosen),
            "reviewed": sum(count for state, count in states.items() if state.is_reviewed),
            "annotators": tuple(status.states),
        }

    def unsaved(self, folder: Path) -> list[str]:
        """Return the images with recovery copies that hold another mask than the project.

        Copies of what is written are removed. For a thread.
        """
        keys = {self.cache.key(image.id): image.id for image in self.project.images}
        return unsaved_masks(folder, keys, self._stored)

    def first_readable(
        self, images: Sequence[str], wanted: Callable[[], bool]
    ) -> tuple[Entry | None, dict[str, str]]:
        """Read the first of some images that can be read; for a thread.

        Parameters
        ----------
        images : sequence of str
            Tried in this order.
        wanted : callable
            Whether to go on with the next one.

        Returns
        -------
        Entry or None, dict
            The image, None where none can be read, and why each before it cannot.
        """
        failed: dict[str, str] = {}
        for image_id in images:
            try:
                return self.cache.load(image_id), failed
            except (InputError, OSError, MemoryError) as error:
                failed[image_id] = str(error) or type(error).__name__
            if not wanted():
                break
        return None, failed

    def claim(self) -> tuple[list[ReviewRecord], dict[str, str]]:
        """Acquire the annotator's write lock, and write what could not be written before.

        Returns
        -------
        list of ReviewRecord, dict
            What was written, and the message of each image where that failed.

        Raises
        ------
        InputError
            When another program writes as the annotator, or the project cannot be written.
        """
        self.project.claim(self.cache.annotator)
        failed: dict[str, str] = {}
        return self.project.write_kept(self.cache.annotator, failed), failed

    def write(self, image_id: str, *new: ReviewChange) -> ReviewRecord | None:
        """Write changes of an image after those that failed before.

        Raises
        ------
        InputError
            When it cannot be written; the changes wait for the next call, and in files.
        """
        annotator = self.cache.annotator
        waiting = [*self._failed.pop(image_id, ()), *new]
        record = None
        try:
            while waiting:
                record = self.project.write_review(image_id, annotator, waiting[0])
                self.cache.written(record)
                waiting.pop(0)
                self.note(record)
        except (InputError, OSError):
            for change in waiting:
                self._keep(image_id, change)
            raise
        finally:
            if waiting:
                self._failed[image_id] = tuple(waiting)
        return record or self.project.record(image_id, annotator)

    def note(self, record: ReviewRecord) -> None:
        """Tell the index of a record that was written; where it cannot, a look at the files will.

        With that it need not read the annotator's folder for the next filter.
        """
        with suppress(InputError):
            self.index.put(record)

    def close(self) -> None:
        """Try once more to write what failed, and close the project.

        Raises
        ------
        InputError or OSError
            For the last image that failed again.
        """
        problem: InputError | OSError | None = None
        with closing(self.project), closing(self.index):
            for image_id in self.failed:
                try:
                    self.write(image_id)
                except (InputError, OSError) as error:
                    problem = error
        if problem is not None:
            raise problem

    def _stored(self, image_id: str) -> BoolMask:
        mask = self.project.mask(image_id, self.cache.annotator)
        return np.zeros(self.project.image(image_id).shape, bool) if mask is None else mask

    def _keep(self, image_id: str, change: ReviewChange) -> str:
        return self.project.keep(image_id, self.cache.annotator, change)
