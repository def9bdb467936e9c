"""Questions to a project, and their answers: queues and the agreement of annotators."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from napari_semxai.types.project import ReviewState


class QueueOrder(StrEnum):
    """What a queue is sorted by; images without the value come last."""

    NUMBER = "number"
    NAME = "name"
    CONFIDENCE = "confidence"
    SCORE = "score"
    TIME = "time"


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
    labels : frozenset of str or None
        Classes; the annotator's goes before that of the table.
    confidence, score : tuple of (float, float) or None
        Lowest and highest, ends included.
    text : str
        Part of an id, lot, wafer or defect, in any case.
    order : QueueOrder
        Sorted by.
    descending : bool
        Largest or latest first.
    hidden_from : str or None
        Who is blind: of images that this annotator has not reviewed, only their own record
        counts, whoever `annotator` is.
    """

    annotator: str | None = None
    states: frozenset[ReviewState] | None = None
    voided: bool | None = None
    labels: frozenset[str] | None = None
    confidence: tuple[float, float] | None = None
    score: tuple[float, float] | None = None
    text: str = ""
    order: QueueOrder = QueueOrder.NUMBER
    descending: bool = False
    hidden_from: str | None = None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One image of a queue.

    Attributes
    ----------
    image : str
        Its id.
    number : int
        Place in the whole project, counted from 1.
    annotator : str
        Whose record this is; "" without one.
    state, voided, label, confidence, score, time
        See `ReviewRecord`; without a record "candidate", and the class of the table.
    has_mask : bool
        Whether there is a mask.
    """

    image: str
    number: int
    annotator: str
    state: ReviewState
    voided: ReviewState | None
    label: str
    confidence: float | None
    score: float | None
    time: str
    has_mask: bool


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
