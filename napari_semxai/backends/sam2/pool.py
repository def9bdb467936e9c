"""From mask logits to a candidate pool, without full-size stacks.

SAM 2 enlarges every mask bilinearly to the image's size before it looks at it. Here one mask at
a time is enlarged: whole where the image is small; where it is large, in bands of rows, and of
each band only the columns whose low-resolution cells have corners on different sides of a level,
as inside a cell bilinear values stay between the corners. The pool has the order of the reference
generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_semxai.types import CURVE_LEVELS, CandidatePool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_semxai.types import Prompts

EDGE_DISTANCE = 20
"""Masks of a crop this near to an edge of it that is not the image's are cut off: dropped."""
LEVELS_PER_UNIT = round(1 / float(CURVE_LEVELS[1] - CURVE_LEVELS[0]))
TOP = len(CURVE_LEVELS)
ZERO = TOP // 2
DENSE_PIXELS = 1_500_000
"""Masks up to this many pixels are enlarged whole; larger ones cell by cell."""
GPU_MASKS = 16
"""Masks enlarged at once on a GPU."""
CHUNK_VALUES = 1 << 18
"""Values of a band enlarged at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One decoded mask in the image's frame; the fields are those of `CandidatePool`.

    Attributes
    ----------
    order : tuple of int
        Crop, grid point and mask number: the reference generator's order.
    """

    order: tuple[int, int, int]
    runs: NDArray[np.int32]
    area: int
    centroid: tuple[float, float]
    predicted_iou: float
    curve: NDArray[np.int32]
    box: tuple[int, int, int, int]
    point: tuple[float, float]
    crop: tuple[int, int, int, int]


def place_runs(
    runs: NDArray[np.int32], crop: tuple[int, int, int, int], columns: int
) -> NDArray[np.int32]:
    """Move runs of a crop's flat indices to those of an image `columns` wide."""
    row0, col0, _, col1 = crop
    width = col1 - col0
    # A crop as wide as the image: its rows follow each other as they do there.
    if width == columns:
        return runs + np.int32(row0 * columns)
    starts, stops = runs[:, 0].astype(np.int64), runs[:, 1].astype(np.int64)
    first = starts // width
    pieces = (stops - 1) // width - first + 1
    # A run may go on over the end of a row, which in a wider image it must not: cut by rows.
    owner = np.repeat(np.arange(len(runs)), pieces)
    row = first[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = np.maximum(starts[owner], row * width)
    stop = np.minimum(stops[owner], (row + 1) * width)
    shift = (row + row0) * columns + col0 - row * width
    return np.stack([start + shift, stop + shift], axis=1).astype(np.int32)


def run_geometry(
    runs: NDArray[np.int32], columns: int
) -> tuple[int, tuple[float, float], tuple[int, int, int, int]]:
    """Area, centroid (row, column) and half-open box of the runs of one mask, all exact.

    An empty mask has area 0, a centroid of NaN and the box (0, 0, 0, 0).
    """
    if len(runs) == 0:
        return 0, (float("nan"), float("nan")), (0, 0, 0, 0)
    ends = runs.astype(np.int64)
    rows, cols = np.divmod(ends, columns)
    area = int((ends[:, 1] - ends[:, 0]).sum())
    # Sums over runs as differences of sums up to their ends: no pixel is ever listed.
    flat = int((ends * (ends - 1) // 2 @ [-1, 1]).sum())
    # The sum of f // columns over all f below an end of a run.
    row_sum = int(((columns * (rows * (rows - 1) // 2) + rows * cols) @ [-1, 1]).sum())
    centroid = (row_sum / area, (flat - columns * row_sum) / area)
    last_rows, last_cols = np.divmod(ends[:, 1] - 1, columns)
    one_row = rows[:, 0] == last_rows
    left = np.where(one_row, cols[:, 0], 0).min()
    right = np.where(one_row, last_cols, columns - 1).max()
    return area, centroid, (int(rows[0, 0]), int(left), int(last_rows[-1]) + 1, int(right) + 1)


class PoolBuilder:
    """Candidates decoded so far.

    Parameters
    ----------
    shape : tuple of int
        (M, N) of the image.
    crops : bool
        Whether there are crops beside the whole image; candidates of different crops are
        compared with each other even if those of one crop are all that is left.
    """

    def __init__(self, shape: tuple[int, int], *, crops: bool = False) -> None:
        self.shape = shape
        self._crops = crops
        self._candidates: list[Candidate] = []

    @property
    def nbytes(self) -> int:
        """Memory of the candidates in bytes."""
        return sum(each.runs.nbytes + each.curve.nbytes for each in self._candidates)

    def add(
        self,
        order: tuple[int, int, int],
        measured: MeasuredMask,
        predicted_iou: float,
        point: tuple[float, float],
        crop: tuple[int, int, int, int],
    ) -> None:
        """Add one mask of a crop, unless the crop cuts it off.

        Parameters
        ----------
        order : tuple of int
            Crop, grid point and mask number.
        measured : MeasuredMask
            The mask in the crop's frame.
        predicted_iou : float
            The network's estimate.
        point : tuple of float
            (row, column) of the prompt in the image.
        crop : tuple of int
            (row0, col0, row1, col1) in the image.
        """
        _, _, box = run_geometry(measured.runs, crop[3] - crop[1])
        box = (box[0] + crop[0], box[1] + crop[1], box[2] + crop[0], box[3] + crop[1])
        if _cut_off(box, crop, self.shape):
            return
        runs = place_runs(measured.runs, crop, self.shape[1])
        area, centroid, _ = run_geometry(runs, self.shape[1])
        self._candidates.append(
            Candidate(order, runs, area, centroid, predicted_iou, measured.curve, box, point, crop)
        )

    def build(self) -> CandidatePool:
        """Return all candidates so far as one pool."""
        # Decoded coarse to fine, but in the reference's order: of equal boxes the first is kept.
        every = sorted(self._candidates, key=lambda candidate: candidate.order)
        lengths = np.array([len(candidate.runs) for candidate in every], dtype=np.int64)
        runs = [candidate.runs for candidate in every]
        none = np.empty((0, 2), np.int32)
        crop_boxes = np.array([x.crop for x in every], np.int32).reshape(-1, 4)
        return CandidatePool(
            shape=self.shape,
            runs=np.concatenate(runs) if runs else none,
            run_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            areas=np.array([x.area for x in every], np.int64),
            centroids=np.array([x.centroid for x in every], np.float64).reshape(-1, 2),
            predicted_iou=np.array([x.predicted_iou for x in every], np.float32),
            area_curves=np.array([x.curve for x in every], np.int32).reshape(
                -1, len(CURVE_LEVELS)
            ),
            boxes=np.array([x.box for x in every], np.int32).reshape(-1, 4),
            points=np.array([x.point for x in every], np.float32).reshape(-1, 2),
            crop_boxes=crop_boxes if self._crops else None,
        )


def prompted_pool(
    shape: tuple[int, int],
    prompts: Sequence[Prompts],
    ask: Callable[[Sequence[Prompts]], tuple[Tensor, Tensor]],
) -> CandidatePool:
    """Return one candidate for each of some prompts, each with a click.

    Parameters
    ----------
    shape : tuple of int
        (M, N) of the image.
    prompts : sequence of Prompts
        What is asked.
    ask : callable
        `Segmenter.answer_all` of the image.
    """
    builder = PoolBuilder(shape)
    if not prompts:
        return builder.build()
    logits, ious = ask(prompts)
    found = zip(prompts, measure_masks(logits, shape), ious.tolist(), strict=True)
    for number, (prompt, measured, iou) in enumerate(found):
        # What the network finds nothing at has no place in a pool.
        if len(measured.runs):
            builder.add((0, number, 0), measured, iou, prompt.points[0], (0, 0, *shape))
    return builder.build()


def _cut_off(
    box: tuple[int, int, int, int], crop: tuple[int, int, int, int], shape: tuple[int, int]
) -> bool:
    """Whether a mask ends at an edge of its crop that is not an edge of the image."""
    row0, col0, row1, col1 = box
    ends = (row0, col0, max(row1 - 1, row0), max(col1 - 1, col0))
    image = (0, 0, *shape)
    return any(
        abs(end - edge) <= EDGE_DISTANCE < abs(end - border)
        for end, edge, border in zip(ends, crop, image, strict=True)
    )


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
    # Only what is enlarged: between the corners of a cell that is reduced, values are skipped.
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
    # `bincount` takes no negative numbers: as bytes they are the upper half, rolled back after.
    unsigned = bins.reshape(-1).view(torch.uint8)
    counts: NDArray[np.int64] = torch.bincount(unsigned, minlength=256).numpy()
    return np.roll(counts, ZERO)[: TOP + 1]


def _curve(counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Pixels above each level from pixels between levels."""
    above: NDArray[np.int32] = (counts.sum() - np.cumsum(counts)[:TOP]).astype(np.int32)
    return above


def runs_of(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the runs (start, stop) of True in the flattened mask, shape (r, 2)."""
    flat = mask.ravel()
    if flat.size == 0:
        return np.empty((0, 2), np.int32)
    flips = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    before, after = [0] * int(flat[0]), [flat.size] * int(flat[-1])
    return np.concatenate([before, flips, after]).astype(np.int32).reshape(-1, 2)


class Cells:
    """Bilinear enlargement of (h, w) values to (M, N), only where corners of cells differ.

    Parameters
    ----------
    small, large : tuple of int
        (h, w) and (M, N), with M >= h and N >= w.
    """

    def __init__(self, small: tuple[int, ...], large: tuple[int, int]) -> None:
        self.large = large
        self._row, down = _cells(small[0], large[0])
        # As a matrix: a product is faster than to gather and blend two rows for each row.
        self._down = torch.zeros(large[0], small[0] + 2)
        self._down.scatter_(1, self._row[:, None], 1 - down[:, None])
        self._down.scatter_(1, self._row[:, None] + 1, down[:, None])
        self._col, self._right = _cells(small[1], large[1])
        self._step = max(1, CHUNK_VALUES // large[1])

    def measure(self, logits: Tensor) -> MeasuredMask:
        """Measure one mask, shape (h, w), on the CPU."""
        padded = functional.pad(logits[None], (1, 1, 1, 1), mode="replicate")[0]
        bins = level_bins(padded)
        wide = torch.lerp(padded[:, self._col], padded[:, self._col + 1], self._right)
        inside = np.empty(self.large, dtype=bool)
        counts = np.zeros(TOP + 1, np.int64)
        for start in range(0, self.large[0], self._step):
            stop = min(start + self._step, self.large[0])
            rows = slice(int(self._row[start]), int(self._row[stop - 1]) + 2)
            corners = bins[rows]
            left, right = self._span(corners)
            outside = (stop - start) * (self.large[1] - (right - left))
            counts[int(corners[0, 0]) + ZERO] += outside
            inside[start:stop] = bool(corners[0, 0] > 0)
            # Columns were blended once for the whole mask; here only the rows of the band are.
            values = level_bins(self._down[start:stop, rows] @ wide[rows, left:right])
            counts += _counts(values)
            inside[start:stop, left:right] = (values > 0).numpy()
        return MeasuredMask(runs_of(inside), _curve(counts))

    def _span(self, corners: Tensor) -> tuple[int, int]:
        """Columns (start, stop) of pixels whose cells are not all in the bin of the first one."""
        other = np.flatnonzero((corners != corners[0, 0]).any(dim=0).numpy())
        if len(other) == 0:
            return 0, 0
        edges = np.searchsorted(self._col.numpy(), [other[0] - 1, other[-1] + 1])
        return int(edges[0]), int(edges[1])


def _cells(small: int, large: int) -> tuple[Tensor, Tensor]:
    """Between which two samples each pixel of an axis lies, and how far along.

    With one sample of padding on both sides every pixel lies between two.
    """
    scale = np.float32(small) / np.float32(large)
    source = scale * (np.arange(large, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    first = np.floor(source)
    return torch.from_numpy(first.astype(np.int64) + 1), torch.from_numpy(source - first)
