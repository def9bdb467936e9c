"""What speaks against taking a network's answer to clicks and a box unasked."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_semxai.types import BoolMask, Prompts

MOST_OF_IMAGE = 0.5
"""Share of the image from which an object is questioned: that is the surface more often."""
BOX_MARGIN = 0.1
"""How far an object may reach beyond its box on every side, as a share of that side's length."""
SPILLED = 0.1
"""Share of the object beyond that from which it is questioned."""


@dataclass(frozen=True, slots=True)
class AnswerDoubts:
    """Where an answer is not what was asked for; all zero where it is.

    Attributes
    ----------
    missed : int
        Clicks on the object that it leaves out.
    held : int
        Clicks beside the object that it holds all the same.
    spilled : float
        Share of it well outside of the box, where that is much.
    covered : float
        Share of the image that it covers, where that is most of it and the object before was
        smaller.
    emptied : bool
        Whether nothing is left of the object.
    """

    missed: int = 0
    held: int = 0
    spilled: float = 0.0
    covered: float = 0.0
    emptied: bool = False

    def __bool__(self) -> bool:
        return any(astuple(self))


def judge_answer(found: BoolMask, before: BoolMask, prompts: Prompts) -> AnswerDoubts:
    """Compare the object that a network found with what it was asked.

    Parameters
    ----------
    found : ndarray of bool, shape (M, N)
        The network's own answer: `click_edits.answered_object`.
    before : ndarray of bool, shape (M, N)
        The object when the network was asked; all False for a new one.
    prompts : Prompts
        What the network was asked.
    """
    hit = [bool(found[int(row), int(column)]) for row, column in prompts.points]
    pairs = list(zip(hit, prompts.foreground, strict=True))
    covered, covered_before = (float(np.mean(mask)) for mask in (found, before))
    spilled = _outside(found, prompts.box)
    return AnswerDoubts(
        missed=pairs.count((False, True)),
        held=pairs.count((True, False)),
        spilled=spilled if spilled > SPILLED else 0.0,
        covered=covered if covered > MOST_OF_IMAGE >= covered_before else 0.0,
        emptied=covered == 0 < covered_before,
    )


def _outside(found: BoolMask, box: tuple[float, float, float, float] | None) -> float:
    """Return the share of an object outside of a box with a margin around it."""
    pixels = int(np.count_nonzero(found))
    if box is None or not pixels:
        return 0.0
    row0, column0, row1, column1 = box
    high, wide = BOX_MARGIN * (row1 - row0) + 1, BOX_MARGIN * (column1 - column0) + 1
    rows = slice(max(0, round(row0 - high)), max(0, round(row1 + high)))
    columns = slice(max(0, round(column0 - wide)), max(0, round(column1 + wide)))
    return 1 - int(np.count_nonzero(found[rows, columns])) / pixels
