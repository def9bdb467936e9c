"""What a review shows beside the queue itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.masks.click_edits import AnswerDoubts
from napari_semxai.types import (
    BoolMask,
    Prompts,
    ReviewChange,
    ReviewRecord,
    ReviewState,
    Scores,
)

NEED_MASK = (ReviewState.ACCEPTED, ReviewState.CORRECTED)
"""What cannot be said of an empty mask."""


@dataclass(frozen=True, slots=True, eq=False)
class PastReview:
    """A review that can be undone.

    Attributes
    ----------
    before : ReviewRecord
        Of the image as it was shown before, strokes that no file held yet among it.
    after : ReviewRecord
        As the review left it.
    bits : ndarray of uint8 or None
        The mask before, bit by bit: many are kept. None without a mask.
    shape : tuple of int
        (M, N) of the image.
    ignored : ndarray of uint8 or None
        What was ignored before, bit by bit; None where the review left it as it was.
    seconds : float
        How long the image was looked at.
    group : int
        The same for reviews that one undo takes back; 0 for a review of its own.
    """

    before: ReviewRecord
    after: ReviewRecord
    bits: NDArray[np.uint8] | None
    shape: tuple[int, int]
    seconds: float = 0.0
    group: int = 0
    ignored: NDArray[np.uint8] | None = None

    def undone(self, now: ReviewRecord) -> ReviewChange:
        """Return the change to the record as it is now that undoes the review.

        Class and comment that were given since stay.
        """
        kept = {
            name: getattr(now, name)
            for name in ("label", "comment")
            # Given after the review, so not part of what is undone.
            if getattr(now, name) != getattr(self.after, name)
        }
        mask, ignored = (unpacked(bits, self.shape) for bits in (self.bits, self.ignored))
        return ReviewChange(mask=mask, back=replace(self.before, **kept), ignored=ignored)


def unpacked(bits: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> BoolMask | None:
    """Return a mask (M, N) that was kept bit by bit; None for none."""
    if bits is None:
        return None
    # The last byte has bits to spare, which are no pixels.
    return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).astype(bool)


@dataclass(frozen=True, slots=True)
class Tally:
    """Reviews since the project was opened; those that were undone do not count.

    Attributes
    ----------
    states : mapping
        How many there were of each state.
    seconds : float
        How long their images were looked at, breaks left out.
    """

    states: Mapping[ReviewState, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """Reviews in all."""
        return sum(self.states.values())

    @property
    def per_hour(self) -> float | None:
        """Images an hour; None where nobody knows yet."""
        return self.count / self.seconds * 3600 if self.count and self.seconds > 0 else None

    def with_review(self, past: PastReview, sign: int = 1) -> Tally:
        """Return the tally after a review, or with -1 after it was undone."""
        state = past.after.state
        states = {**self.states, state: self.states.get(state, 0) + sign}
        return Tally(states, max(self.seconds + sign * past.seconds, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class OtherMasks:
    """What other annotators hold of the current image.

    Attributes
    ----------
    masks : mapping
        Annotator to mask (M, N).
    agreement : mapping
        Two annotators, this one among them, to the counts of one mask against the other.
    """

    masks: Mapping[str, BoolMask]
    agreement: Mapping[tuple[str, str], Scores]


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """An answer to clicks or a box that is shown and waits for a person's word.

    Attributes
    ----------
    before, after : ndarray of bool, shape (M, N)
        The object in the mask when the network was asked, and as the answer has it.
    prompts : Prompts
        What was asked.
    doubts : AnswerDoubts
        Why it was not taken unasked.
    title : str
        What the edit would be called.
    details : mapping
        What the edit would keep of the question, as JSON can hold it.
    """

    before: BoolMask
    after: BoolMask
    prompts: Prompts
    doubts: AnswerDoubts
    title: str
    details: Mapping[str, Any]


def doubt_text(doubts: AnswerDoubts) -> str:
    """Say why an answer is only offered, and what can be done."""
    reasons = []
    if doubts.missed:
        reasons.append(f"leaves out {_clicks(doubts.missed)} on the defect")
    if doubts.held:
        reasons.append(f"holds {_clicks(doubts.held)} on “not the defect”")
    if doubts.spilled:
        reasons.append(f"has {doubts.spilled:.0%} of its area outside the box")
    if doubts.covered:
        reasons.append(f"covers {doubts.covered:.0%} of the image")
    if doubts.emptied:
        reasons.append("removes the whole object")
    return (
        f"⚠ SAM answer not applied: {' and '.join(reasons)}. Alt+T applies it, Alt+Shift+T "
        "discards it, a click corrects it."
    )


def _clicks(number: int) -> str:
    return "a click" if number == 1 else f"{number} clicks"


class ClickState(StrEnum):
    """What the SAM click tool waits for."""

    IDLE = "idle"
    LOADING = "loading"
    ENCODING = "encoding"
    ANSWERING = "answering"
    FAILED = "failed"

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is to come."""
        return self not in (ClickState.IDLE, ClickState.FAILED)


@dataclass(frozen=True, slots=True)
class Clicks:
    """The SAM click tool.

    Attributes
    ----------
    active : bool
        Whether clicks on the image are prompts.
    prompts : Prompts
        Of the object that is worked on.
    state : ClickState
        What it waits for.
    message : str
        What a person reads.
    offer : Offer or None
        The answer that waits for a word.
    """

    active: bool = False
    prompts: Prompts = field(default_factory=Prompts)
    state: ClickState = ClickState.IDLE
    message: str = ""
    offer: Offer | None = None
