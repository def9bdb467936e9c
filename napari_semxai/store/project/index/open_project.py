"""An open project: its files, the index over them, what was read, what waits to be written."""

from __future__ import annotations

from collections import Counter, OrderedDict
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.store.disk.safety_net import (
    SafetyNet,
    discard_recovery,
    list_recoveries,
    load_recovery,
)
from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.store.project.files import annotator_key
from napari_semxai.store.project.records import seconds
from napari_semxai.types import BoolMask, InputError, ReviewRecord, ReviewState, SemImage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_semxai.store.disk.safety_net import Recovery
    from napari_semxai.store.project.index.index import ProjectIndex
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import QueueFilter, ReviewChange

KEPT = 8


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One image with all that is stored of it.

    Attributes
    ----------
    id : str
        In the project.
    image : SemImage
        Its pixels.
    mask : ndarray of bool, shape (M, N), or None
        The annotator's mask.
    record : ReviewRecord
        What the annotator said; an empty one where nothing was said.
    ignored : ndarray of bool, shape (M, N), or None
        Pixels that count for nothing; None for none.
    """

    id: str
    image: SemImage
    mask: BoolMask | None
    record: ReviewRecord
    ignored: BoolMask | None = None

    @property
    def by_hand(self) -> bool:
        """Whether a person made or reviewed the mask."""
        record = self.record
        if self.mask is None:
            return False
        recipe = record.recipe
        # Where something was marked to be ignored, and nothing else done, the mask is empty.
        bases = ("automatic", "empty") if self.ignored is not None else ("automatic",)
        automatic = recipe is not None and recipe.base in bases and not recipe.edits
        return record.state is not ReviewState.CANDIDATE or not automatic


class ProjectCache:
    """Entries by image; what was changed here counts before what lies on disk.

    Parameters
    ----------
    project : Project
        What is read.
    annotator : str
        Whose masks.
    """

    def __init__(self, project: Project, annotator: str) -> None:
        self._project = project
        self.annotator = annotator
        self._numbers = {image.id: n for n, image in enumerate(project.images, start=1)}
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._unwritten, self._drops = Counter[str](), Counter[str]()
        self._lock = Lock()

    def number(self, image_id: str) -> int:
        """Return the place of an image in the project, counted from 1."""
        return self._numbers[image_id]

    def key(self, image_id: str) -> str:
        """Return what names an image's mask in recovery and rescue files."""
        return f"{self._project.info.id} {image_id} {annotator_key(self.annotator)}"

    def get(self, image_id: str) -> Entry | None:
        """Return an entry that was read before."""
        with self._lock:
            return self._entries.get(image_id)

    def load(self, image_id: str) -> Entry:
        """Read an entry, unless it is there; for a thread.

        Raises
        ------
        InputError
            When a file cannot be read.
        """
        drops, known = self._drops[image_id], self.get(image_id)
        if known is not None:
            return known
        record = self._project.record(image_id, self.annotator)
        image = self._project.read_image(image_id)
        entry = Entry(
            image_id,
            image,
            None if record is None else self._project.mask(image_id, self.annotator),
            record or ReviewRecord(image_id, self.annotator),
            None if record is None else region_mask(record.ignored, image.gray.shape),
        )
        with self._lock:
            if drops == self._drops[image_id]:
                # What a person changed meanwhile is newer than what was read.
                return self._keep(self._entries.get(image_id, entry))
        return self.load(image_id)

    def put(self, entry: Entry) -> None:
        """Take an entry that was changed; it stays until `written` tells that it is on disk."""
        with self._lock:
            self._unwritten[entry.id] += 1
            self._keep(entry)

    def written(self, record: ReviewRecord) -> None:
        """Note that one change of an entry is on disk."""
        with self._lock:
            self._unwritten[record.image] -= 1
            known = self._entries.get(record.image)
            if known is not None and self._unwritten[record.image] <= 0:
                self._entries[record.image] = replace(known, record=record)

    def unwritten(self, image_id: str) -> bool:
        """Return whether changes of an entry are not on disk yet."""
        with self._lock:
            return self._unwritten[image_id] > 0

    def drop(self, image_id: str) -> None:
        """Forget an entry that was changed on disk, also while it is read."""
        with self._lock:
            self._drops[image_id] += 1
            if self._unwritten[image_id] <= 0:
                self._entries.pop(image_id, None)

    def _keep(self, entry: Entry) -> Entry:
        self._entries[entry.id] = entry
        self._entries.move_to_end(entry.id)
        over = len(self._entries) - KEPT
        written = [name for name in self._entries if self._unwritten[name] <= 0]
        for name in written[: max(over, 0)]:
            del self._entries[name]
        return entry


def voided_by_edit(record: ReviewRecord) -> ReviewRecord:
    """Return a record as it is from the first change of its mask on."""
    voided = record.state if record.state.is_reviewed else record.voided
    return replace(record, state=ReviewState.CANDIDATE, voided=voided, rule="")


def after_change(entry: Entry, change: ReviewChange) -> Entry:
    """Return an entry as it will be once `change` is written."""
    ignored = entry.ignored if change.ignored is None else _some(change.ignored)
    if change.back is not None:
        return replace(entry, mask=change.mask, record=change.back, ignored=ignored)
    record, mask = entry.record, entry.mask
    if change.mask is not None:
        edited = change.mask.any() if mask is None else not np.array_equal(change.mask, mask)
        if edited or not same_region(ignored, entry.ignored):
            record = voided_by_edit(record)
        score = record.score if change.score is None else change.score
        mask, record = change.mask, replace(record, recipe=change.recipe, score=score)
    if change.state is not None:
        record = replace(record, state=change.state, voided=None, rule=change.rule)
    if change.label is not None:
        record = replace(record, label=change.label)
    if change.comment is not None:
        record = replace(record, comment=change.comment)
    return replace(entry, mask=mask, record=record, ignored=ignored)


def _some(region: BoolMask | None) -> BoolMask | None:
    return region if region is not None and region.any() else None


def same_region(one: BoolMask | None, other: BoolMask | None) -> bool:
    """Return whether two ignored regions (M, N), None for none, are the same pixels."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


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
