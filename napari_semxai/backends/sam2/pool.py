"""Collect decoded masks into a candidate pool, in the order of the reference generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types import CURVE_LEVELS, CandidatePool

if TYPE_CHECKING:
    from napari_semxai.backends.sam2.masks import MeasuredMask

EDGE_DISTANCE = 20
"""Masks of a crop this near to an edge of it that is not the image's are cut off: dropped."""


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
    if width == columns:
        return runs + np.int32(row0 * columns)
    starts, stops = runs[:, 0].astype(np.int64), runs[:, 1].astype(np.int64)
    first = starts // width
    pieces = (stops - 1) // width - first + 1
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
