"""Scores and size of a mask that follow an edit through its changed box only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.metrics import scores
from napari_semxai.types import BoolMask, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Size:
    """Extent of a mask in pixels.

    Attributes
    ----------
    area : int
        Foreground pixels.
    height, width : int
        Sides of the bounding box; 0 for an empty mask.
    """

    area: int
    height: int
    width: int

    @property
    def equivalent_diameter(self) -> float:
        """Diameter of the disc of the same area, in pixels."""
        return 2.0 * float(np.sqrt(self.area / np.pi))


class LiveScores:
    """Integer counts of a mask against a truth, updated box by box.

    Counting integers in the changed box gives exactly what counting the whole image would,
    in microseconds whatever the image's size.

    Parameters
    ----------
    mask : ndarray of bool or uint8, shape (M, N)
        The mask now; a copy is kept.
    truth : ndarray of bool, shape (M, N), or None
        What it is compared with.
    """

    def __init__(self, mask: NDArray[np.generic], truth: BoolMask | None = None) -> None:
        self.replace(mask)
        self.set_truth(truth)

    def replace(self, mask: NDArray[np.generic]) -> None:
        """Count a mask that changed anywhere."""
        self._mask: BoolMask = mask != 0
        self._rows = np.count_nonzero(self._mask, axis=1)
        self._columns = np.count_nonzero(self._mask, axis=0)
        self.set_truth(getattr(self, "_truth", None))

    def set_truth(self, truth: BoolMask | None) -> None:
        """Compare with another truth; None, or one of another shape, compares with nothing."""
        self._truth = truth if truth is not None and truth.shape == self._mask.shape else None
        self._scores = None if self._truth is None else scores(self._mask, self._truth)

    def update(self, box: Box, values: NDArray[np.generic]) -> bool:
        """Take the new values inside a box; return whether a pixel changed.

        Parameters
        ----------
        box : tuple of slice
            Rows and columns that contain every change.
        values : ndarray, shape of the box
            The mask's values there.
        """
        new, old = values != 0, self._mask[box]
        changed = new != old
        if not changed.any():
            return False
        delta = new.astype(np.int8) - old
        self._rows[box[0]] += delta.sum(axis=1)
        self._columns[box[1]] += delta.sum(axis=0)
        if self._truth is not None and self._scores is not None:
            self._scores = _moved(self._scores, delta, self._truth[box])
        self._mask[box] = new
        return True

    @property
    def mask(self) -> BoolMask:
        """The mask as last seen; not to be written to."""
        return self._mask

    @property
    def scores(self) -> Scores | None:
        """Counts against the truth; None without one."""
        return self._scores

    @property
    def size(self) -> Size:
        """Area and bounding box."""
        rows, columns = np.flatnonzero(self._rows), np.flatnonzero(self._columns)
        if rows.size == 0:
            return Size(0, 0, 0)
        return Size(
            int(self._rows[rows].sum()),
            int(rows[-1] - rows[0]) + 1,
            int(columns[-1] - columns[0]) + 1,
        )


def _moved(before: Scores, delta: NDArray[np.int8], truth: BoolMask) -> Scores:
    inside = int(delta[truth].sum(dtype=np.int64))
    outside = int(delta.sum(dtype=np.int64)) - inside
    return Scores(
        tp=before.tp + inside,
        fn=before.fn - inside,
        fp=before.fp + outside,
        tn=before.tn - outside,
    )
