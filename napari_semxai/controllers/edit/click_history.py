"""Which clicks belong to which mask, so that undo and redo take them along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_semxai.types import BoolMask, Prompts

_KEPT = 60


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A mask, told by its pixels, with the clicks that led to it.

    Attributes
    ----------
    area, digest : int
        Of the mask.
    prompts : Prompts
        Of the object that was worked on.
    known : ndarray of bool, shape (M, N), or None
        That object.
    """

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
        self._moments = [*kept[-_KEPT:], moment]
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
        places = [place for place, own in enumerate(self._moments) if own.area == area]
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
