"""Questions to a project, and their answers: queues, how far it is, how annotators agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

from napari_semxai.types.project import ReviewRecord, ReviewState


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which images a queue shows, and in which order; None asks nothing.

    Attributes
    ----------
    annotator : str or None
        Whose records count; None takes the latest review of anybody.
    states : frozenset of ReviewState or None
        "candidate" holds for every image that is not reviewed, with or without a mask.
    voided : bool or None
        Whether a later edit made a review void.
    where : mapping
        Name of a column to the values that pass, as a frozenset, or to the lowest and the highest
        one, ends included.
    text : str
        Part of a name, id, lot, wafer, defect or comment, in any case.
    order : str
        Name of the column to sort by, images without the value last; or of what made `ranked`.
    descending : bool
        Largest or latest first.
    hidden_from : str or None
        Who is blind: of images that this annotator has not reviewed, only their own record
        counts, whoever `annotator` is.
    ranked : mapping or None
        The only images to show, in this order, each with the reason in words.
    """

    annotator: str | None = None
    states: frozenset[ReviewState] | None = None
    voided: bool | None = None
    where: Mapping[str, frozenset[str] | tuple[float, float]] = field(default_factory=dict)
    text: str = ""
    order: str = "number"
    descending: bool = False
    hidden_from: str | None = None
    ranked: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class QueueColumn:
    """How one field of `QueueRow` is stored, shown and sorted by.

    Attributes
    ----------
    kind : type
        str, int, float, bool or ReviewState: how the index stores it.
    read : callable or None
        The value of a review record; None where it belongs to the image itself.
    missing : str, bool or None
        Stands for an image without a record; where the project's table has a column of the same
        name, that goes before it.
    show : callable or None
        Its text in the list, "" for none; None where the list does not name it.
    sort : tuple of (str, bool) or None
        Title of the order by it and whether that order is descending.
    choose : str
        What people call its values where they filter by one of them; "" where they do not.
    name : str
        Of the field.
    """

    kind: type
    read: Callable[[ReviewRecord], Any] | None = None
    missing: str | bool | None = None
    show: Callable[[Any], str] | None = None
    sort: tuple[str, bool] | None = None
    choose: str = ""
    name: str = ""


def _column(*given: Any, **named: Any) -> dict[str, QueueColumn]:
    return {"column": QueueColumn(*given, **named)}


def _as_certainty(value: float | None) -> str:
    return "" if value is None else f"mask {value:.2f}"


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One image of a queue.

    A new field is all that a new column needs: `QUEUE_COLUMNS` is made of these, and the index,
    its query, the list and the orders of the queue are made of `QUEUE_COLUMNS`.

    Attributes
    ----------
    image : str
        Its id.
    number : int
        Place in the whole project, counted from 1.
    annotator : str
        Whose record this is; "" without one.
    state, voided, label, confidence, score, time, comment
        See `ReviewRecord`; without a record "candidate", and the class of the table.
    has_mask : bool
        Whether there is a mask.
    name : str
        What people call the image.
    lot, wafer : str
        As in the project's table.
    area : int or None
        Pixels of the mask; None without one.
    """

    image: str = field(metadata=_column(str, sort=("By name", False)))
    number: int = field(metadata=_column(int, sort=("In order", False)))
    annotator: str = field(metadata=_column(str, attrgetter("annotator"), ""))
    state: ReviewState = field(
        metadata=_column(ReviewState, attrgetter("state"), ReviewState.CANDIDATE)
    )
    voided: ReviewState | None = field(metadata=_column(ReviewState, attrgetter("voided")))
    label: str = field(metadata=_column(str, attrgetter("label"), "", str, choose="class"))
    confidence: float | None = field(
        metadata=_column(float, attrgetter("confidence"), sort=("Unsure classes first", False))
    )
    score: float | None = field(
        metadata=_column(
            float, attrgetter("score"), None, _as_certainty, ("Unsure masks first", False)
        )
    )
    time: str = field(
        metadata=_column(str, attrgetter("time"), "", sort=("Latest review first", True))
    )
    # By the record: asking the disk for every file would take seconds on a shared drive.
    has_mask: bool = field(metadata=_column(bool, lambda record: bool(record.mask_sha256), False))
    name: str = field(default="", metadata=_column(str))
    lot: str = field(default="", metadata=_column(str, choose="lot"))
    wafer: str = field(default="", metadata=_column(str, choose="wafer"))
    comment: str = field(default="", metadata=_column(str, attrgetter("comment"), ""))
    area: int | None = field(
        default=None,
        metadata=_column(
            int,
            lambda record: record.area if record.mask_sha256 else None,
            sort=("Largest area first", True),
        ),
    )


# Made of the fields, so that the index, its questions and the list cannot disagree on their
# order.
QUEUE_COLUMNS = tuple(
    replace(each.metadata["column"], name=each.name) for each in fields(QueueRow)
)
"""What a queue knows of an image, in the order of the fields of `QueueRow`."""


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How far two annotators agree over a set; NaN where undefined.

    Attributes
    ----------
    first, second : str
        Their names.
    masks : int
        Images that both have a mask of.
    empty : int
        Of these, images whose masks are both empty (Dice and IoU 1).
    dice_mean, dice_std, iou_mean, iou_std : float
        Over `masks` images; ddof = 1.
    states, labels : int
        Images that both reviewed, or gave a class.
    state_kappa, label_kappa : float
        Cohen's kappa over these.
    """

    first: str
    second: str
    masks: int
    empty: int
    dice_mean: float
    dice_std: float
    iou_mean: float
    iou_std: float
    states: int
    state_kappa: float
    labels: int
    label_kappa: float


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """How far a project is.

    Attributes
    ----------
    images : int
        How many there are.
    reviewed : int
        Images that at least one annotator has reviewed.
    states : mapping
        Annotator to the number of images in each state; images without a record are left out.
    voided : mapping
        Annotator to the number of reviews that a later edit made void.
    damaged : tuple of str
        Files that cannot be read.
    """

    images: int
    reviewed: int
    states: Mapping[str, Mapping[ReviewState, int]]
    voided: Mapping[str, int]
    damaged: tuple[str, ...] = ()
