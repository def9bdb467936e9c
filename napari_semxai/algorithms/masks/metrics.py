"""Agreement of a predicted mask with a true one, at once or kept up to date while it is edited."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types import BoolMask, MaskSize, Scores

Box = tuple[slice, slice]


def scores(prediction: BoolMask, truth: BoolMask) -> Scores:
    """Count how a prediction agrees with a truth.

    Parameters
    ----------
    prediction, truth : ndarray of bool, shape (M, N)
        The masks; any non-zero value of another type is foreground.

    Returns
    -------
    Scores
        Confusion counts, with accuracy, precision, recall, Dice and IoU as properties. Both
        masks empty: Dice and IoU are 1; one empty: 0. Precision and recall are NaN where
        undefined.

    Raises
    ------
    ValueError
        If the shapes differ or the masks hold no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> scores(np.array([[1, 1, 0, 0]]), np.array([[0, 1, 1, 0]])).dice
    0.5
    """
    if prediction.shape != truth.shape or prediction.size == 0:
        raise ValueError(
            f"masks must have the same, non-empty shape, not {prediction.shape} and {truth.shape}"
        )
    predicted, actual = prediction != 0, truth != 0
    tp = int(np.count_nonzero(predicted & actual))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(actual)) - tp
    return Scores(tp=tp, fp=fp, fn=fn, tn=prediction.size - tp - fp - fn)


@dataclass(frozen=True, slots=True, eq=False)
class MaskChange:
    """What an edit did to a mask.

    Attributes
    ----------
    box : tuple of slice
        Rows and columns that contain every change.
    delta : ndarray of int8, shape of the box
        1 where a pixel was added, -1 where one was removed.
    growth : int
        Pixels added less pixels removed.
    """

    box: Box
    delta: NDArray[np.int8]
    growth: int


class LiveMask:
    """A copy of a mask that knows its size and takes edits box by box.

    Parameters
    ----------
    values : ndarray, shape (M, N)
        The mask now; non-zero is foreground.
    """

    def __init__(self, values: NDArray[np.generic]) -> None:
        self._mask: BoolMask = values.astype(np.bool_)
        self._rows = np.count_nonzero(self._mask, axis=1)
        self._columns = np.count_nonzero(self._mask, axis=0)

    def update(self, box: Box, values: NDArray[np.generic]) -> MaskChange | None:
        """Take new values inside a box; return what changed, if anything.

        Parameters
        ----------
        box : tuple of slice
            Rows and columns that contain every change.
        values : ndarray, shape of the box
            The mask's values there.
        """
        # Seen as bytes, the difference of two masks needs no wider copy of either.
        new = values.astype(np.bool_, copy=False)
        delta = new.view(np.int8) - self._mask[box].view(np.int8)
        if not delta.any():
            return None
        # Several times faster than sums of 64 bits, and enough for every side in practice.
        exact = np.int16 if max(delta.shape) < 2**15 else np.int64
        rows = delta.sum(axis=1, dtype=exact)
        # Counts of rows and columns give area and bounding box without a look at the whole mask.
        self._rows[box[0]] += rows
        self._columns[box[1]] += delta.sum(axis=0, dtype=exact)
        self._mask[box] = new
        return MaskChange(box, delta, int(rows.sum(dtype=np.int64)))

    def sync(self, values: NDArray[np.generic]) -> MaskChange | None:
        """Take a mask of the same shape that may have changed anywhere."""
        box = changed_box(self._mask, values.astype(np.bool_, copy=False))
        return None if box is None else self.update(box, values[box])

    @property
    def mask(self) -> BoolMask:
        """The mask as last seen; not to be written to."""
        return self._mask

    @property
    def size(self) -> MaskSize:
        """Area and bounding box."""
        rows, columns = np.flatnonzero(self._rows), np.flatnonzero(self._columns)
        if rows.size == 0:
            return MaskSize(0, 0, 0)
        return MaskSize(
            int(self._rows[rows].sum()),
            int(rows[-1] - rows[0]) + 1,
            int(columns[-1] - columns[0]) + 1,
        )


class LiveScores:
    """Confusion counts of two live masks.

    Parameters
    ----------
    prediction, truth : LiveMask
        Masks of the same shape; tell every change of either.

    Raises
    ------
    ValueError
        If the shapes differ.
    """

    def __init__(self, prediction: LiveMask, truth: LiveMask) -> None:
        self._prediction, self._truth = prediction, truth
        self._scores = scores(prediction.mask, truth.mask)

    @property
    def scores(self) -> Scores:
        """The counts now."""
        return self._scores

    def prediction_changed(self, change: MaskChange) -> None:
        """Count a change that the prediction has taken."""
        # What grew inside the truth was missed before, what grew outside was rightly empty.
        inside, outside = _split(change, self._truth.mask)
        now = self._scores
        self._scores = Scores(
            tp=now.tp + inside, fn=now.fn - inside, fp=now.fp + outside, tn=now.tn - outside
        )

    def truth_changed(self, change: MaskChange) -> None:
        """Count a change that the truth has taken."""
        inside, outside = _split(change, self._prediction.mask)
        now = self._scores
        self._scores = Scores(
            tp=now.tp + inside, fp=now.fp - inside, fn=now.fn + outside, tn=now.tn - outside
        )


def changed_box(before: BoolMask, after: BoolMask) -> Box | None:
    """Return the smallest box that contains every difference of two masks; None for none."""
    return bounding_box(before != after)


def bounding_box(mask: BoolMask) -> Box | None:
    """Return the smallest box that contains every pixel of a mask (M, N); None for none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    # Only the rows with pixels: the second pass is short after a stroke.
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _split(change: MaskChange, other: BoolMask) -> tuple[int, int]:
    """Return the net change inside and outside the other mask, in pixels."""
    inside = int(change.delta[other[change.box]].sum(dtype=np.int64))
    return inside, change.growth - inside
