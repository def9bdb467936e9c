"""What a SAM click may change in a mask, and which of its answers to question."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

from napari_semxai.algorithms.masks.components import (
    components_at,
    components_meeting,
    largest_component,
)
from napari_semxai.algorithms.masks.edits import remove_specks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask, Prompts

UNHEEDED_RADIUS = 4
"""Of the disc, in pixels, that a background click takes out where the network does not."""
MOST_OF_IMAGE = 0.5
"""Share of the image from which an object is questioned: that is the surface more often."""
BOX_MARGIN = 0.1
"""How far an object may reach beyond its box on every side, as a share of that side's length."""
SPILLED = 0.1
"""Share of the object beyond that from which it is questioned."""
SPECK = 0.1
"""Share of the object's largest part below which a part may be what an outline left behind."""
_MOMENTS_KEPT = 60


def object_at(mask: BoolMask, row: int, column: int) -> BoolMask:
    """Return the 8-connected component of a mask that holds a pixel; empty for background."""
    return components_at(mask, np.array([[row, column]]))


def still_there(mask: BoolMask, known: BoolMask) -> BoolMask:
    """Return the 8-connected components of `mask` that meet an object known from before."""
    return components_meeting(mask, known)


def answered_object(answer: BoolMask, before: BoolMask, prompts: Prompts) -> BoolMask:
    """Return the part of a network's answer that belongs to the object it was asked for.

    Networks scatter specks over an image. The object is every 8-connected component of the
    answer that holds a foreground click or meets the object before; the largest where none does.
    Where an outline is drawn anew specks of the former one stay behind: a small part without a
    click goes if a larger part is what has become of its object.

    Parameters
    ----------
    answer : ndarray of bool, shape (M, N)
        The network's mask.
    before : ndarray of bool, shape (M, N)
        The object when the network was asked; all False for a new one.
    prompts : Prompts
        What the network was asked.
    """
    # Islands elsewhere that the network adds are no part of the object; those it had stay.
    clicks = _foreground_pixels(prompts)
    found = components_at(answer, clicks) | components_meeting(answer, before)
    if not found.any():
        return largest_component(answer)
    least = math.ceil(SPECK * np.count_nonzero(largest_component(found)))
    large = remove_specks(found, least) | components_at(found, clicks)
    # Small objects of their own, as a box is around several, are no specks.
    elsewhere = before & ~components_meeting(before, large)
    return large | components_meeting(found, elsewhere)


def prompted_object(answer: BoolMask, before: BoolMask, prompts: Prompts) -> BoolMask:
    """Return the object of an answer as it goes into the mask; see the functions it is made of."""
    return heed_newest(answered_object(answer, before, prompts), prompts)


def heed_newest(found: BoolMask, prompts: Prompts) -> BoolMask:
    """Return an object without the place of a newest click on the background.

    Where the network does not heed the click a small disc goes all the same, except for places
    of foreground clicks.
    """
    if prompts.points and not prompts.foreground[-1]:
        row, column = map(int, prompts.points[-1])
        if found[row, column]:
            pixels = _foreground_pixels(prompts)
            # What earlier foreground clicks hold is not taken out with the disc.
            kept, found = found[tuple(pixels.T)], found.copy()
            rows, columns = np.ogrid[: found.shape[0], : found.shape[1]]
            found[(rows - row) ** 2 + (columns - column) ** 2 < UNHEEDED_RADIUS**2] = False
            found[tuple(pixels.T)] = kept
            found[row, column] = False
    return found


def _foreground_pixels(prompts: Prompts) -> NDArray[np.int64]:
    """Return the pixels of the foreground clicks, shape (k, 2)."""
    clicks = np.array(prompts.points).reshape(-1, 2)
    chosen = clicks[np.array(prompts.foreground, dtype=bool)]
    pixels: NDArray[np.int64] = np.floor(chosen).astype(np.int64)
    return pixels


def objects_in(mask: BoolMask, box: tuple[float, float, float, float]) -> BoolMask:
    """Return the components of a mask that a box is meant for.

    They have half of their pixels in it or hold its centre; a neighbour that it only touches
    stays as it is.
    """
    labels = scipy.ndimage.label(mask, np.ones((3, 3)))[0]
    last = (mask.shape[0] - 1, mask.shape[1] - 1) * 2
    row0, column0, row1, column1 = (
        min(max(0, int(value)), end) for value, end in zip(box, last, strict=True)
    )
    inside = labels[row0 : row1 + 1, column0 : column1 + 1]
    pixels = np.bincount(labels.ravel())
    meant = 2 * np.bincount(inside.ravel(), minlength=len(pixels)) >= pixels
    # Also an object that reaches far beyond a box in its middle: it was pointed at.
    meant[labels[(row0 + row1) // 2, (column0 + column1) // 2]] = True
    meant[0] = False
    found: BoolMask = meant[labels]
    return found


def take_answer(mask: BoolMask, before: BoolMask, after: BoolMask) -> BoolMask:
    """Return `mask` with the change from `before` to `after`, and nothing else, brought in.

    Whatever was painted since `before` was sent stays, unless it is where the object changed.
    """
    changed = before != after
    # The mask may have been painted on while the network worked; those strokes stay.
    return np.where(changed, after, mask)


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


class Moment(NamedTuple):
    """A mask, told by its pixels, with the clicks that led to it and the object they made."""

    area: int
    digest: int
    prompts: Prompts
    known: BoolMask | None


class ClickHistory:
    """The masks that answers led from and to.

    napari undoes and redoes strokes as well, and says no more than that pixels changed: where
    the mask is now is known by its pixels.
    """

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        self._now = 0

    def clear(self) -> None:
        """Forget everything."""
        self._moments, self._now = [], 0

    def note(self, mask: BoolMask, prompts: Prompts, known: BoolMask | None) -> None:
        """Add what leads to `mask` (M, N) behind the present; what was undone is no more."""
        moment = Moment(int(np.count_nonzero(mask)), _digest(mask), prompts, known)
        kept = self._moments[: self._now + 1]
        if kept and kept[-1].digest == moment.digest:
            kept.pop()
        self._moments = [*kept[-_MOMENTS_KEPT:], moment]
        self._now = len(self._moments) - 1

    def move(self, mask: BoolMask) -> Moment | None:
        """Go where `mask` (M, N) is; return that moment, or None where nothing changes.

        Of several with these pixels the nearest in time is meant. A mask with strokes of its own
        belongs to none, and the present stays.
        """
        if not self._moments:
            return None
        area = np.count_nonzero(mask)
        # Strokes come a hundred times a second, and seldom hit an area.
        places = [place for place, moment in enumerate(self._moments) if moment.area == area]
        if not places:
            return None
        digest = _digest(mask)
        same = [place for place in places if self._moments[place].digest == digest]
        if not same or self._now in same:
            return None
        self._now = min(same, key=lambda place: abs(place - self._now))
        return self._moments[self._now]


def _digest(mask: BoolMask) -> int:
    return hash(np.packbits(mask).tobytes())
