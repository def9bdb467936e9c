"""The queue of a project's images, and the selection of them that is gone through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from napari_semxai.types import QUEUE_COLUMNS, QueueFilter, QueueRow, ReviewRecord, ReviewState


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
    title : str
        What people call the open image.
    filter : QueueFilter
        What `shown` came from.
    reviewed : int
        Images of the whole project that the annotator has reviewed.
    annotators : tuple of str
        Everybody who has written reviews.
    class_names : mapping
        Class label to name.
    unreadable : mapping
        Images that could not be read when they were last tried, and why.
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
    title: str = ""
    filter: QueueFilter = field(default_factory=QueueFilter)
    reviewed: int = 0
    annotators: tuple[str, ...] = ()
    class_names: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    position: int | None = field(init=False)

    def __post_init__(self) -> None:
        """Look for the open image once: every view asks for its place."""
        places = (place for place, row in enumerate(self.shown) if row.image == self.current)
        object.__setattr__(self, "position", next(places, None) if self.current else None)

    def onward(self, by: int) -> tuple[str, ...]:
        """Return the image `by` places on in `shown` and those beyond it, in that direction."""
        rows = self.shown if by > 0 else self.shown[::-1]
        if self.position is not None:
            # Counted in the direction of the walk, so that one slice serves both.
            behind = self.position if by > 0 else len(rows) - 1 - self.position
            return tuple(row.image for row in rows[behind + abs(by) :])
        if self.filter.ranked is not None:
            # Its place in the project says nothing where the order was worked out.
            return tuple(row.image for row in rows)
        # The open image has left the filter: go on from its place in the project.
        beyond = [row.image for row in rows if (row.number > self.number) is (by > 0)]
        return tuple(beyond or (row.image for row in self.shown))

    def step(self, by: int) -> str | None:
        """Return the image `by` places on in `shown`, or None at its end."""
        return next(iter(self.onward(by)), None)

    def unreviewed(self) -> tuple[str, ...]:
        """Return the next images of `shown` without a review, from the start after the end."""
        position = self.position
        begin = 0 if position is None else position + 1
        around = (*self.shown[begin:], *self.shown[:begin])
        waiting = (row.image for row in around if row.state is ReviewState.CANDIDATE)
        return tuple(image for image in waiting if image != self.current)

    def with_unreadable(self, failed: Mapping[str, str]) -> Queue:
        """Return the queue after images could not be read, each with the reason."""
        return replace(self, unreadable={**self.unreadable, **failed})

    def at(self, image: str, number: int, title: str) -> Queue:
        """Return the queue with an image open, which can be read then."""
        unreadable = {name: why for name, why in self.unreadable.items() if name != image}
        return replace(self, current=image, number=number, title=title, unreadable=unreadable)

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
        values = {column.name: column.read(record) for column in QUEUE_COLUMNS if column.read}
        row = replace(before, **{**values, "label": record.label or label})
        counted = int(row.state.is_reviewed) - int(before.state.is_reviewed)
        shown = tuple(row if each is before else each for each in self.shown)
        return replace(self, shown=shown, reviewed=self.reviewed + counted)


def examples(rows: Sequence[QueueRow], column: str, count: int = 3) -> dict[QueueRow, str]:
    """Return the best, the most typical and the worst images of each class.

    Parameters
    ----------
    rows : sequence of QueueRow
        Where to look; those without the score are left out.
    column : str
        "score" (of the mask) or "confidence" (of the class).
    count : int
        How many of each; no image stands twice.

    Returns
    -------
    dict of QueueRow to str
        Class after class, each with "best", "typical" or "worst".
    """
    classes: dict[str, list[QueueRow]] = {}
    for row in sorted(rows, key=attrgetter("label")):
        if getattr(row, column) is not None:
            classes.setdefault(row.label, []).append(row)
    found: dict[QueueRow, str] = {}
    for of_class in classes.values():
        ranked = sorted(of_class, key=attrgetter(column), reverse=True)
        # Of few images each kind gets its share.
        each = min(count, max(1, len(ranked) // 3))
        middle = min(max((len(ranked) - each) // 2, each), len(ranked))
        end = max(len(ranked) - each, min(middle + each, len(ranked)))
        kinds = ("best", ranked[:each]), ("typical", ranked[middle : middle + each])
        found |= {row: kind for kind, part in (*kinds, ("worst", ranked[end:])) for row in part}
    return found
