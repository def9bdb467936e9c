"""Mask candidates in compact form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_semxai.types.image import BoolMask, FloatArray, IntArray

CURVE_LEVELS: NDArray[np.float64] = np.linspace(-8.0, 8.0, 129)
"""Mask logits at which `CandidatePool.area_curves` counts pixels; 0 is entry 64."""


def mask_of_runs(runs: NDArray[np.int32], shape: tuple[int, int]) -> BoolMask:
    """Return the mask of shape (M, N) with these runs (start, stop) of flat indices."""
    flat = np.zeros(shape[0] * shape[1], dtype=bool)
    for start, stop in runs.tolist():
        flat[start:stop] = True
    return flat.reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class CandidatePool:
    """Mask candidates of one image in compact form; never an n x M x N array.

    Attributes
    ----------
    shape : tuple of int
        (M, N) of the image.
    runs : ndarray of int32, shape (r, 2)
        Foreground runs (start, stop) of flat row-major indices, candidate after candidate.
    run_offsets : ndarray of int64, shape (n + 1,)
        Candidate ``i`` owns ``runs[run_offsets[i]:run_offsets[i + 1]]``.
    areas : ndarray of int64, shape (n,)
        Pixel counts.
    centroids : ndarray of float64, shape (n, 2)
        Mean row and column of each mask; NaN where a mask is empty.
    predicted_iou : ndarray of float32, shape (n,)
        The network's own estimate of each mask's IoU.
    area_curves : ndarray of int32, shape (n, 129)
        Pixels whose mask logit is above each of `CURVE_LEVELS`.
    boxes : ndarray of int32, shape (n, 4)
        (row0, col0, row1, col1), half open as in scikit-image.
    points : ndarray of float32, shape (n, 2)
        The prompt (row, column) each candidate answers.
    crop_boxes : ndarray of int32, shape (n, 4), or None
        The part of the image the network saw, as in `boxes`; None where no crops were asked for.
    """

    shape: tuple[int, int]
    runs: NDArray[np.int32]
    run_offsets: NDArray[np.int64]
    areas: NDArray[np.int64]
    centroids: NDArray[np.float64]
    predicted_iou: NDArray[np.float32]
    area_curves: NDArray[np.int32]
    boxes: NDArray[np.int32]
    points: NDArray[np.float32]
    crop_boxes: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.areas)

    def mask(self, index: int) -> BoolMask:
        """Return candidate `index` as a bool array of shape (M, N)."""
        own = self.runs[self.run_offsets[index] : self.run_offsets[index + 1]]
        return mask_of_runs(own, self.shape)

    @property
    def stability_score(self) -> FloatArray:
        """Area above logit 1 over area above logit -1 (SAM's stability score), shape (n,)."""
        return self.stability(offset=1.0)

    def stability(self, offset: float) -> FloatArray:
        """Area above `offset` over area above ``-offset``, shape (n,); 0 for empty masks.

        `offset` is rounded to the nearest of `CURVE_LEVELS`, which are 1/8 apart, and is at
        most 8. Single precision, as in SAM.
        """
        zero = len(CURVE_LEVELS) // 2
        step = float(CURVE_LEVELS[1] - CURVE_LEVELS[0])
        shift = min(round(abs(offset) / step), zero)
        inner = self.area_curves[:, zero + shift].astype(np.float32)
        outer = self.area_curves[:, zero - shift].astype(np.float32)
        return np.divide(inner, outer, out=np.zeros_like(inner), where=outer > 0)

    def take(self, indices: IntArray) -> CandidatePool:
        """Return the pool of the candidates at `indices`, in that order."""
        indices = np.asarray(indices, dtype=np.int64)
        pieces = [self.runs[self.run_offsets[i] : self.run_offsets[i + 1]] for i in indices]
        runs = np.concatenate(pieces) if pieces else np.empty((0, 2), np.int32)
        lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        return CandidatePool(
            shape=self.shape,
            runs=runs,
            run_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            areas=self.areas[indices],
            centroids=self.centroids[indices],
            predicted_iou=self.predicted_iou[indices],
            area_curves=self.area_curves[indices],
            boxes=self.boxes[indices],
            points=self.points[indices],
            crop_boxes=None if self.crop_boxes is None else self.crop_boxes[indices],
        )
