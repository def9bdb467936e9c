"""Agreement of a predicted mask with a true one, at once or kept up to date while it is edited."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types import IGNORED, BoolMask, MaskSize, Scores, mask_labels

Box = tuple[slice, slice]


def scores(prediction: BoolMask, truth: BoolMask, ignored: BoolMask | None = None) -> Scores:
    """Count how a prediction agrees with a truth.

    Parameters
    ----------
    prediction, truth : ndarray of bool, shape (M, N)
        The masks; any non-zero value of another type is foreground.
    ignored : ndarray of bool, shape (M, N), optional
        Pixels that are not counted at all.

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
    predicted, actual, total = prediction != 0, truth != 0, prediction.size
    if ignored is not None:
        if ignored.shape != truth.shape:
            raise ValueError(f"ignored has shape {ignored.shape}, the masks {truth.shape}")
        total -= int(np.count_nonzero(ignored))
        predicted, actual = predicted & ~ignored, actual & ~ignored
    tp = int(np.count_nonzero(predicted & actual))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(actual)) - tp
    return Scores(tp=tp, fp=fp, fn=fn, tn=total - tp - fp - fn)


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
    region : bool
        Whether ignored pixels changed.
    drawn : bool
        Whether the mask changed besides what was ignored before or is now.
    """

    box: Box
    delta: NDArray[np.int8]
    growth: int
    region: bool = False
    drawn: bool = True


class LiveMask:
    """A copy of a mask that knows its size and takes edits box by box.

    Parameters
    ----------
    values : ndarray, shape (M, N)
        The mask now; non-zero is foreground.
    marks : bool
        Whether `IGNORED` among the values is no foreground, but a pixel that counts for nothing.
    """

    def __init__(self, values: NDArray[np.generic], *, marks: bool = False) -> None:
        self._mask: BoolMask = values.astype(np.bool_)
        self._region: BoolMask | None = None
        self._frozen: BoolMask | None = None
        self._ignored = 0
        if marks:
            self._region = values == IGNORED
            self._mask &= ~self._region
            self._ignored = int(np.count_nonzero(self._region))
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
        new, region, touched = values.astype(np.bool_, copy=False), False, None
        if self._region is not None:
            marked, before = values == IGNORED, self._region[box]
            new, touched = new & ~marked, marked | before
            growth = np.count_nonzero(marked) - np.count_nonzero(before)
            region = bool((marked != before).any())
            if region:
                self._region[box], self._frozen = marked, None
                self._ignored += int(growth)
        # Seen as bytes, the difference of two masks needs no wider copy of either.
        delta = new.view(np.int8) - self._mask[box].view(np.int8)
        if not region and not delta.any():
            return None
        # Several times faster than sums of 64 bits, and enough for every side in practice.
        exact = np.int16 if max(delta.shape) < 2**15 else np.int64
        rows = delta.sum(axis=1, dtype=exact)
        # Counts of rows and columns give area and bounding box without a look at the whole mask.
        self._rows[box[0]] += rows
        self._columns[box[1]] += delta.sum(axis=0, dtype=exact)
        self._mask[box] = new
        drawn = touched is None or bool(delta[~touched].any())
        return MaskChange(box, delta, int(rows.sum(dtype=np.int64)), region, drawn)

    def sync(self, values: NDArray[np.generic]) -> MaskChange | None:
        """Take a mask of the same shape that may have changed anywhere."""
        if self._region is None:
            box = changed_box(self._mask, values.astype(np.bool_, copy=False))
        else:
            box = bounding_box(self.labels != values)
        return None if box is None else self.update(box, values[box])

    @property
    def ignored(self) -> BoolMask | None:
        """The pixels that count for nothing; None for none. Another array after any change."""
        if self._frozen is None and self._region is not None and self._ignored:
            self._frozen = self._region.copy()
        return self._frozen

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Mask and ignored pixels in an array of their own, see `mask_labels`."""
        return mask_labels(self._mask, self.ignored)

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
    """Confusion counts of two live masks, without the pixels that either ignores.

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
        self._scores = self._counted()

    @property
    def scores(self) -> Scores:
        """The counts now."""
        return self._scores

    def prediction_changed(self, change: MaskChange) -> None:
        """Count a change that the prediction has taken."""
        # What grew inside the truth was missed before, what grew outside was rightly empty.
        inside, outside = self._split(change, self._truth)
        now = self._scores
        self._scores = Scores(
            tp=now.tp + inside, fn=now.fn - inside, fp=now.fp + outside, tn=now.tn - outside
        )

    def truth_changed(self, change: MaskChange) -> None:
        """Count a change that the truth has taken."""
        inside, outside = self._split(change, self._prediction)
        now = self._scores
        self._scores = Scores(
            tp=now.tp + inside, fp=now.fp - inside, fn=now.fn + outside, tn=now.tn - outside
        )

    def _counted(self) -> Scores:
        ignored = either(self._prediction.ignored, self._truth.ignored)
        return scores(self._prediction.mask, self._truth.mask, ignored)

    def _split(self, change: MaskChange, other: LiveMask) -> tuple[int, int]:
        """Return the net change inside and outside the other mask, in pixels."""
        if change.region:
            # Pixels that count no longer, or again: nothing of before helps.
            self._scores = self._counted()
            return 0, 0
        delta, total = change.delta, change.growth
        if other.ignored is not None:
            delta = np.where(other.ignored[change.box], np.int8(0), delta)
            total = int(delta.sum(dtype=np.int64))
        inside = int(delta[other.mask[change.box]].sum(dtype=np.int64))
        return inside, total - inside


def either(one: BoolMask | None, other: BoolMask | None) -> BoolMask | None:
    """Return the pixels (M, N) that one or the other ignores; None for none."""
    if one is None or other is None:
        return other if one is None else one
    return one | other


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
