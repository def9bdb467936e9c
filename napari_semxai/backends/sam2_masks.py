"""From low-resolution mask logits to runs and area curves, without full-size stacks.

SAM 2 enlarges every mask bilinearly to the image's size before it looks at it. Here one mask at
a time is enlarged where the image is small; where it is large, only those low-resolution cells
are enlarged whose corners lie on different sides of a level: inside a cell bilinear values stay
between the corners.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_semxai.types import CURVE_LEVELS

LEVELS_PER_UNIT = round(1 / float(CURVE_LEVELS[1] - CURVE_LEVELS[0]))
TOP = len(CURVE_LEVELS)
ZERO = TOP // 2
DENSE_PIXELS = 1_500_000
"""Masks up to this many pixels are enlarged whole; larger ones cell by cell."""
GPU_MASKS = 16
"""Masks enlarged at once on a GPU."""
CHUNK_VALUES = 1 << 19
"""Values of crossing cells enlarged at once."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredMask:
    """One mask at the image's size.

    Attributes
    ----------
    runs : ndarray of int32, shape (r, 2)
        Foreground runs (start, stop) of flat indices of the mask's own shape.
    curve : ndarray of int32, shape (129,)
        Pixels above each of `CURVE_LEVELS`.
    """

    runs: NDArray[np.int32]
    curve: NDArray[np.int32]


def measure_masks(logits: Tensor, shape: tuple[int, int]) -> list[MeasuredMask]:
    """Measure mask logits as if enlarged bilinearly to `shape`.

    Parameters
    ----------
    logits : Tensor of float32, shape (n, h, w)
        Low-resolution mask logits.
    shape : tuple of int
        (M, N) of the image or crop.
    """
    enlarged = shape[0] >= logits.shape[1] and shape[1] >= logits.shape[2]
    if shape[0] * shape[1] > DENSE_PIXELS and enlarged:
        cells = Cells(tuple(logits.shape[1:]), shape)
        return [cells.measure(mask) for mask in logits.cpu()]
    # A CPU works best on one mask in its cache; a GPU should not wait for us after each.
    chunks = logits.split(1 if logits.device.type == "cpu" else GPU_MASKS)
    return [each for chunk in chunks for each in _measure_dense(chunk, shape)]


def level_bins(values: Tensor) -> Tensor:
    """Return the number of `CURVE_LEVELS` below each value, less 64; positive if it is above 0.

    Int8, and exact, as the levels are 1/8 apart.
    """
    return (values * LEVELS_PER_UNIT).ceil_().clamp_(-ZERO, ZERO + 1).to(torch.int8)


def _measure_dense(logits: Tensor, shape: tuple[int, int]) -> list[MeasuredMask]:
    full = functional.interpolate(logits[None], shape, mode="bilinear")[0]
    bins = level_bins(full).cpu()
    return [MeasuredMask(runs_of((each > 0).numpy()), _curve(_counts(each))) for each in bins]


def _counts(bins: Tensor) -> NDArray[np.int64]:
    """Pixels in each of the bins -64 to 65, shape (130,)."""
    unsigned = bins.reshape(-1).view(torch.uint8)
    counts: NDArray[np.int64] = torch.bincount(unsigned, minlength=256).numpy()
    return np.roll(counts, ZERO)[: TOP + 1]


def _curve(counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Pixels above each level from pixels between levels."""
    above: NDArray[np.int32] = (counts.sum() - np.cumsum(counts)[:TOP]).astype(np.int32)
    return above


def runs_of(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the runs (start, stop) of True in the flattened mask, shape (r, 2)."""
    return _runs(mask.ravel(), 0, mask.size, (False, False))


def _runs(
    flat: NDArray[np.bool_], first: int, size: int, outside: tuple[bool, bool]
) -> NDArray[np.int32]:
    """Return runs among `size` pixels: `flat` from `first` on, `outside` before and after."""
    before, after = outside
    if flat.size and first == 0:
        before = bool(flat[0])
    if flat.size and first + flat.size == size:
        after = bool(flat[-1])
    flips = [np.flatnonzero(flat[1:] != flat[:-1]) + (first + 1)]
    if before:
        flips.insert(0, np.zeros(1, np.int64))
    if flat.size and flat[0] != before:
        flips.insert(int(before), np.array([first]))
    if flat.size and flat[-1] != after:
        flips.append(np.array([first + flat.size]))
    if after:
        flips.append(np.array([size]))
    return np.concatenate(flips).astype(np.int32).reshape(-1, 2)


class Cells:
    """Bilinear enlargement of (h, w) values to (M, N), one low-resolution cell at a time.

    Parameters
    ----------
    small, large : tuple of int
        (h, w) and (M, N), with M >= h and N >= w.
    """

    def __init__(self, small: tuple[int, ...], large: tuple[int, int]) -> None:
        self.large = large
        self._rows = _Axis(small[0], large[0])
        self._cols = _Axis(small[1], large[1])
        self._sizes = np.outer(self._rows.counts, self._cols.counts)

    def measure(self, logits: Tensor) -> MeasuredMask:
        """Measure one mask, shape (h, w), on the CPU."""
        padded = functional.pad(logits[None], (1, 1, 1, 1), mode="replicate")[0]
        bins = level_bins(padded).numpy()
        corners = np.stack([bins[:-1, :-1], bins[:-1, 1:], bins[1:, :-1], bins[1:, 1:]])
        low, high = corners.min(axis=0), corners.max(axis=0)
        even = low == high
        bin_of_cell = low[even].astype(np.int64) + ZERO
        counts = np.bincount(bin_of_cell, weights=self._sizes[even], minlength=TOP + 1)
        counts = counts.astype(np.int64)
        crossing = (low <= 0) & (high > 0)
        first, pixels = self._pixels(low > 0, crossing)
        where = np.argwhere(~even)
        step = max(1, CHUNK_VALUES // (self._rows.width * self._cols.width))
        for start in range(0, len(where), step):
            cells = where[start : start + step]
            values = level_bins(self._enlarge(padded, cells))
            counts += _counts(values[torch.from_numpy(self._valid(cells))])
            chosen = crossing[cells[:, 0], cells[:, 1]]
            rows, cols = self._index(cells[chosen])
            pixels[rows - first, cols] = values.numpy()[chosen] > 0
        outside = (bool(low[0, 0] > 0), bool(low[-1, -1] > 0))
        size = self.large[0] * self.large[1]
        runs = _runs(pixels.ravel(), first * self.large[1], size, outside)
        return MeasuredMask(runs, _curve(counts))

    def _pixels(
        self, inside: NDArray[np.bool_], crossing: NDArray[np.bool_]
    ) -> tuple[int, NDArray[np.bool_]]:
        """First row, and pixels of the rows in which anything changes; crossing cells to fill."""
        groups = np.flatnonzero(crossing.any(axis=1))
        if len(groups) == 0:
            return 0, np.empty((0, self.large[1]), dtype=bool)
        rows = slice(int(groups[0]), int(groups[-1]) + 1)
        first = int(self._rows.counts[: rows.start].sum())
        pixels = inside[rows].repeat(self._cols.counts, axis=1)
        return first, pixels.repeat(self._rows.counts[rows], axis=0)

    def _index(self, cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows (k, a, 1) and columns (k, 1, b) of the pixels of cells (k, 2)."""
        return self._rows.index[cells[:, 0]][:, :, None], self._cols.index[cells[:, 1]][:, None]

    def _valid(self, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        rows, cols = self._rows.valid[cells[:, 0]], self._cols.valid[cells[:, 1]]
        both: NDArray[np.bool_] = rows[:, :, None] & cols[:, None]
        return both

    def _enlarge(self, padded: Tensor, cells: NDArray[np.int64]) -> Tensor:
        """Values of the pixels of cells (k, 2), shape (k, a, b)."""
        row, col = torch.from_numpy(cells).unbind(1)
        right = self._cols.weight[col]
        top = padded[row, col, None] * (1 - right) + padded[row, col + 1, None] * right
        row1 = row + 1
        bottom = padded[row1, col, None] * (1 - right) + padded[row1, col + 1, None] * right
        down = self._rows.weight[row].unsqueeze(2)
        return top.unsqueeze(1) * (1 - down) + bottom.unsqueeze(1) * down


class _Axis:
    """Which pixels of one axis lie between which two samples, and how far along."""

    def __init__(self, small: int, large: int) -> None:
        scale = np.float32(small) / np.float32(large)
        source = scale * (np.arange(large, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
        # With one sample of padding on both sides every pixel lies in a cell of its own.
        group = np.floor(source).astype(np.int64) + 1
        self.counts = np.bincount(group, minlength=small + 1)
        self.width = int(self.counts.max())
        first = np.cumsum(self.counts) - self.counts
        offsets = np.arange(self.width)
        self.valid = offsets < self.counts[:, None]
        # Short cells repeat their last pixel, so that all cells have one size.
        last = np.maximum(self.counts - 1, 0)[:, None]
        self.index = np.minimum(first[:, None] + np.minimum(offsets, last), large - 1)
        self.weight = torch.from_numpy(source - np.floor(source))[torch.from_numpy(self.index)]
