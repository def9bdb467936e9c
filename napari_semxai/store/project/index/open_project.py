"""An open project: its files, the index over them, what was read, what waits to be written."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.store.disk.recovery_copies import (
    discard_recovery,
    list_recoveries,
    load_recovery,
)
from napari_semxai.store.disk.safety_net import SafetyNet
from napari_semxai.store.project.files import annotator_key
from napari_semxai.store.project.records import seconds
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_semxai.store.disk.recovery_copies import Recovery
    from napari_semxai.store.project.cache import Entry, ProjectCache
    from napari_semxai.store.project.index.index import ProjectIndex
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import QueueFilter, ReviewChange, ReviewRecord


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
        self._net: SafetyNet[str, ReviewChange] = SafetyNet(self._write)
        self.pixel_sizes: dict[str, float] = {}
        """What was typed, by image: it counts before it is written."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Images with changes that could not be written so far."""
        return self._net.places

    @property
    def unwritten(self) -> list[str]:
        """What could not be written so far, and where it is kept, in words."""
        return [
            f"{self.name(image_id)}: could not be saved in the project; "
            f"{self._keep(image_id, change)}"
            for image_id in self._net.places
            for change in self._net.waiting(image_id)
        ]

    def name(self, image_id: str) -> str:
        """Return what people call an image."""
        return self.project.image(image_id).name

    def pixel_size(self, image_id: str) -> float | None:
        """Return the edge of a pixel of an image in metres; None where nobody knows it."""
        return self.pixel_sizes.get(image_id, self.project.image(image_id).pixel_size)

    def ask(
        self, chosen: QueueFilter, annotator: str, *, every_file: bool = False
    ) -> dict[str, Any]:
        """Return the fields of `Queue` that come from the index; for a thread."""
        self.index.refresh(every_file=every_file)
        status = self.index.status()
        states = status.states.get(annotator_key(annotator), {})
        return {
            "shown": self.index.queue(chosen),
            "reviewed": sum(count for state, count in states.items() if state.is_reviewed),
            "annotators": tuple(status.states),
        }

    def unsaved(self, folder: Path) -> list[str]:
        """Return the images with recovery copies that hold another mask than the project.

        Copies of what is written are removed. For a thread.
        """
        images = {self.cache.key(image.id): image.id for image in self.project.images}
        found: dict[str, None] = {}
        for copy in list_recoveries(folder):
            if copy.key not in images or copy.is_change:
                continue
            if self._is_stored(copy, images[copy.key]):
                discard_recovery(copy.path)
            else:
                found[images[copy.key]] = None
        return list(found)

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
        return write_kept(self.project, self.cache.annotator)

    def write(self, image_id: str, *new: ReviewChange) -> ReviewRecord | None:
        """Write changes of an image after those that failed before.

        Raises
        ------
        InputError
            When it cannot be written; the changes wait for the next call, and in files.
        """
        self._net.put(image_id, *new)
        records, failed = self._net.flush(image_id)
        if failed:
            for change in self._net.waiting(image_id):
                self._keep(image_id, change)
            raise failed[image_id]
        return records[-1] if records else self.project.record(image_id, self.cache.annotator)

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
        with closing(self.project), closing(self.index):
            _, failed = self._net.flush()
        if failed:
            raise list(failed.values())[-1]

    def _write(self, image_id: str, change: ReviewChange) -> ReviewRecord:
        record = self.project.write_review(image_id, self.cache.annotator, change)
        self.cache.written(record)
        self.note(record)
        return record

    def _is_stored(self, copy: Recovery, image_id: str) -> bool:
        try:
            copied = load_recovery(copy.path)[0] != 0
            stored = self.project.mask(image_id, self.cache.annotator)
        except InputError:
            # The copy may be all there is.
            return False
        return not copied.any() if stored is None else np.array_equal(copied, stored)

    def _keep(self, image_id: str, change: ReviewChange) -> str:
        image = self.project.image(image_id)
        return self.project.rescue.keep(image, self.cache.annotator, change)


def write_kept(project: Project, annotator: str) -> tuple[list[ReviewRecord], dict[str, str]]:
    """Write what an earlier session had to keep elsewhere, and remove those files.

    Of images that the annotator has changed since, nothing is written.

    Returns
    -------
    list of ReviewRecord, dict
        Of the images that were written, and the message of each that still cannot be.
    """
    written: list[ReviewRecord] = []
    failed: dict[str, str] = {}
    for image_id, copies in project.rescue.changes(annotator).items():
        try:
            old = project.record(image_id, annotator)
            # Decided anew since, perhaps on another machine: the later word counts.
            if old is not None and seconds(old.time) > copies[0].saved_at:
                continue
            changes = map(project.rescue.load, copies)
            records = [project.write_review(image_id, annotator, change) for change in changes]
            written.append(records[-1])
        except InputError as error:
            failed[image_id] = str(error)
    return written, failed
