"""The queue of a project's images, and the selection of them that is gone through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_semxai.types import QueueFilter, QueueRow, ReviewRecord, ReviewState


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """A project as it is gone through.

    Attributes
    ----------
    name : str
        Of the project.
    folder : Path
        Where it lies.
    annotator : str
        Who reviews.
    total : int
        Images of the whole project.
    shown : tuple of QueueRow
        What passes the filter, in the order it is gone through.
    current : str
        Id of the open image; "" for none.
    number : int
        Place of the open image in the whole project, counted from 1.
    filter : QueueFilter
        What `shown` came from.
    reviewed : int
        Images of the whole project that the annotator has reviewed.
    annotators : tuple of str
        Everybody who has written reviews.
    class_names : mapping
        Class label to name.
    position : int or None
        Where the open image stands in `shown`; None where the filter leaves it out.
    """

    name: str
    folder: Path
    annotator: str
    total: int
    shown: tuple[QueueRow, ...] = ()
    current: str = ""
    number: int = 0
    filter: QueueFilter = field(default_factory=QueueFilter)
    reviewed: int = 0
    annotators: tuple[str, ...] = ()
    class_names: Mapping[str, str] = field(default_factory=dict)
    position: int | None = field(init=False)

    def __post_init__(self) -> None:
        """Look for the open image once: every view asks for its place."""
        places = (place for place, row in enumerate(self.shown) if row.image == self.current)
        object.__setattr__(self, "position", next(places, None) if self.current else None)

    def step(self, by: int) -> str | None:
        """Return the image `by` places on in `shown`, or None at its end."""
        position = self.position
        if position is None:
            # The open image has left the filter: go on from its place in the project.
            rows = self.shown if by > 0 else self.shown[::-1]
            beyond = (row.image for row in rows if (row.number > self.number) is (by > 0))
            return next(beyond, self.shown[0].image if self.shown else None)
        place = position + by
        return self.shown[place].image if 0 <= place < len(self.shown) else None

    def next_unreviewed(self) -> str | None:
        """Return the next image of `shown` without a review, from the start after the end."""
        position = self.position
        begin = 0 if position is None else position + 1
        around = (*self.shown[begin:], *self.shown[:begin])
        waiting = (row.image for row in around if row.state is ReviewState.CANDIDATE)
        return next((image for image in waiting if image != self.current), None)

    def with_record(self, record: ReviewRecord, label: str = "") -> Queue | None:
        """Return the queue with a record that was written; None for an image it does not show.

        Parameters
        ----------
        record : ReviewRecord
            As it lies on disk.
        label : str
            The class that the project's table gives the image.
        """
        before = next((row for row in self.shown if row.image == record.image), None)
        if before is None:
            return None
        row = replace(
            before,
            annotator=record.annotator,
            state=record.state,
            voided=record.voided,
            label=record.label or label,
            confidence=record.confidence,
            score=record.score,
            time=record.time,
            has_mask=bool(record.mask_sha256),
        )
        counted = int(row.state.is_reviewed) - int(before.state.is_reviewed)
        shown = tuple(row if each is before else each for each in self.shown)
        return replace(self, shown=shown, reviewed=self.reviewed + counted)
