"""Answers to the explanation-satisfaction scale, and what they come to.

References
----------
.. [1] R. R. Hoffman, S. T. Mueller, G. Klein, J. Litman, "Metrics for Explainable AI: Challenges
   and Prospects", arXiv:1812.04608, 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALE_VERSION = "explanation-satisfaction-2018-8"
"""Stored with every answer set, because other wordings of the scale are in use."""

ITEMS = (
    "From the explanation, I understand how the model works.",
    "This explanation of how the model works is satisfying.",
    "This explanation of how the model works has sufficient detail.",
    "This explanation of how the model works seems complete.",
    "This explanation of how the model works tells me how to use it.",
    "This explanation of how the model works is useful to my goals.",
    "This explanation of the model shows me how accurate the model is.",
    "This explanation lets me judge when I should trust and not trust the model.",
)

ANSWERS = {
    1: "I disagree strongly",
    2: "I disagree somewhat",
    3: "I'm neutral about it",
    4: "I agree somewhat",
    5: "I agree strongly",
}

AGREE = 4
"""From this answer on a person agrees; no item is reversed."""


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """What one participant said of one explanation.

    Attributes
    ----------
    participant : str
        A pseudonym.
    method, explanation : str
        How the explanation was made, and which one it was, for example the image's name.
    answers : tuple of int or None
        1 to 5 for each of `ITEMS`; None where nothing was answered yet.
    comments : tuple of str
        Free text for each item.
    scale : str
        Which wording was shown.
    consent : str
        Digest of the consent text that the participant agreed to; "" before that.
    changed_at : str
        Time of the last change, ISO 8601 in UTC.
    """

    participant: str
    method: str = ""
    explanation: str = ""
    answers: tuple[int | None, ...] = (None,) * len(ITEMS)
    comments: tuple[str, ...] = ("",) * len(ITEMS)
    scale: str = SCALE_VERSION
    consent: str = ""
    changed_at: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells this set from the others of a survey."""
        # With the scale: answers to another wording are never changed by answers to this one.
        return self.participant, self.method, self.explanation, self.scale

    @property
    def n_answered(self) -> int:
        """Number of items answered so far."""
        return sum(answer is not None for answer in self.answers)

    @property
    def first_open(self) -> int:
        """Index of the first item without an answer; the last item when all have one."""
        open_items = (index for index, answer in enumerate(self.answers) if answer is None)
        return next(open_items, len(self.answers) - 1)


@dataclass(frozen=True, slots=True)
class ItemSummary:
    """One item over all answer sets.

    Attributes
    ----------
    mean, std : float
        Of the answers; ddof 1, NaN where undefined.
    n, n_agree : int
        Answers, and how many of them are 4 or 5.
    n_experts, n_experts_agree : int
        People who answered, and those whose mean answer is 4 or more: one who answered for many
        images is one expert.
    counts : tuple of int
        How often 1, 2, 3, 4 and 5 were given.
    """

    mean: float
    std: float
    n: int
    n_agree: int
    counts: tuple[int, int, int, int, int]
    n_experts: int = 0
    n_experts_agree: int = 0


@dataclass(frozen=True, slots=True)
class SurveySummary:
    """One `ItemSummary` for each item, in order; a sequence of them.

    Attributes
    ----------
    items : tuple of ItemSummary
        The rows.
    cronbach_alpha : float
        Over the complete answer sets; NaN where undefined.
    n_complete : int
        Answer sets with every item answered, on which `cronbach_alpha` rests.
    """

    items: tuple[ItemSummary, ...]
    cronbach_alpha: float
    n_complete: int

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> ItemSummary:
        return self.items[index]

    def __iter__(self) -> Iterator[ItemSummary]:
        return iter(self.items)
