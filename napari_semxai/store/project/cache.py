"""Images of a project that were read, with mask and record, the last ones used."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.store.project.files import annotator_key
from napari_semxai.types import BoolMask, ReviewRecord, ReviewState, SemImage

if TYPE_CHECKING:
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import ReviewChange

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
        self._unwritten: Counter[str] = Counter()
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
        known = self.get(image_id)
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
            # What a person changed meanwhile is newer than what was read.
            return self._keep(self._entries.get(image_id, entry))

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
        """Forget an entry that was changed on disk."""
        with self._lock:
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
