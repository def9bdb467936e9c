"""Masks: candidates in compact form, how one was chosen, how big it is, how good."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.image import BoolMask, FloatArray, IntArray

CURVE_LEVELS: NDArray[np.float64] = np.linspace(-8.0, 8.0, 129)
"""Mask logits at which `CandidatePool.area_curves` counts pixels; 0 is entry 64."""
DEFECT_STEPS = 16
"""Steps of a unit of `CandidatePool.defect_logits`."""


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """The answer of Algorithm 1 with its steps.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        Largest component of the complement of the winner.
    winner : int or None
        Index of the winning candidate M_k.
    scores, areas, distances : ndarray, shape (n,)
        S_i, A_i and d_i of every candidate.
    centroids : ndarray, shape (n, 2)
        C_i as (row, column).
    eligible : ndarray of bool, shape (n,)
        Whether A_i > beta * M * N.
    surface : ndarray of bool, shape (M, N)
        M_k, all False without a winner.
    touches_edge : bool
        Whether `mask` meets the image's edge or what is ignored.
    reason : str
        Why the mask is empty; "" when it is not.
    confidence : float or None
        Probability that the answer, a defect or none, is right, or what `LearnedMask` says; None
        where it is not known.
    stability : float or None
        The IoU to expect of the mask, if there is a defect; None where it is not known.
    """

    mask: BoolMask
    winner: int | None
    scores: FloatArray
    areas: IntArray
    centroids: FloatArray
    distances: FloatArray
    eligible: BoolMask
    surface: BoolMask
    touches_edge: bool
    reason: str = ""
    confidence: float | None = None
    stability: float | None = None

    def certainty(self, predicted_iou: FloatArray) -> float | None:
        """Return how sure the mask is: the IoU to expect, as far as that is known.

        That is the calibrated confidence times the stability of the mask; of Algorithm 1 as
        published, which knows neither, the winner's predicted IoU.

        Parameters
        ----------
        predicted_iou : ndarray, shape (n,)
            Of every candidate, as the network estimates it.
        """
        if self.confidence is not None:
            return self.confidence * (1.0 if self.stability is None else self.stability)
        return None if self.winner is None else float(predicted_iou[self.winner])


@dataclass(frozen=True, slots=True)
class MaskSize:
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
        return 2.0 * math.sqrt(self.area / math.pi)


@dataclass(frozen=True, slots=True)
class Scores:
    """Confusion counts of a prediction against a truth, and the scores they give.

    Both masks empty: Dice and IoU are 1. Precision and recall are NaN where undefined.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def accuracy(self) -> float:
        """(TP + TN) / all pixels that count; NaN without any."""
        total = self.tp + self.fp + self.fn + self.tn
        return (self.tp + self.tn) / total if total else float("nan")

    @property
    def precision(self) -> float:
        """TP / (TP + FP); NaN for an empty prediction."""
        predicted = self.tp + self.fp
        return self.tp / predicted if predicted else float("nan")

    @property
    def recall(self) -> float:
        """TP / (TP + FN); NaN for an empty truth."""
        actual = self.tp + self.fn
        return self.tp / actual if actual else float("nan")

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 when both masks are empty."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else 1.0

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN); 1 when both masks are empty."""
        union = self.tp + self.fp + self.fn
        return self.tp / union if union else 1.0


IGNORED = 2
"""Label of ignored pixels, where one array holds them and the mask, whose label is 1."""


def mask_labels(mask: BoolMask, ignored: BoolMask | None) -> NDArray[np.uint8]:
    """Return 1 for the mask (M, N), `IGNORED` for ignored pixels, of the mask or not, else 0."""
    labels = mask.astype(np.uint8)
    if ignored is not None:
        labels[ignored] = IGNORED
    return labels


def parted(labels: NDArray[Any]) -> tuple[BoolMask, BoolMask]:
    """Return the mask and the ignored pixels of labels (M, N) as `mask_labels` joins them."""
    ignored = labels == IGNORED
    return (labels != 0) & ~ignored, ignored


def mask_of_runs(runs: NDArray[np.int32], shape: tuple[int, int]) -> BoolMask:
    """Return the mask of shape (M, N) with these runs (start, stop) of flat indices."""
    # Runs may go on from one row to the next, so they are filled before the array gets its rows.
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
    proposed : ndarray of bool, shape (n,), or None
        Which of them a comparison with a reference proposed, beside the grid; None where none.
    defect_logits : ndarray of int8, shape (m, n), or None
        Log odds that each place of the image belongs to a defect, in parts of `DEFECT_STEPS`; the
        longer edge has 480 of them, whatever the image's. None where the network was not asked.
    compared_logits : ndarray of int8, shape (m, n), or None
        The same, where the network sees how the image differs from its reference, too; None where
        it was not compared.
    """

    shape: tuple[int, int]
    runs: NDArray[np.int32]
    run_offsets: NDArray[np.int64]
    areas: NDArray[np.int64]
    centroids: NDArray[np.float64]
    predicted_iou: NDArray[np.float32]
    # Instead of the logits: another stability offset needs no second run of the network.
    area_curves: NDArray[np.int32]
    boxes: NDArray[np.int32]
    points: NDArray[np.float32]
    crop_boxes: NDArray[np.int32] | None = None
    proposed: BoolMask | None = None
    defect_logits: NDArray[np.int8] | None = None
    compared_logits: NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.areas)

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> CandidatePool:
        """Return the pool of an image (M, N) without candidates."""
        numbers = np.empty(0, np.int64)
        return cls(
            (shape[0], shape[1]),
            runs=np.empty((0, 2), np.int32),
            run_offsets=np.zeros(1, np.int64),
            areas=numbers,
            centroids=np.empty((0, 2)),
            predicted_iou=np.empty(0, np.float32),
            area_curves=np.empty((0, len(CURVE_LEVELS)), np.int32),
            boxes=np.empty((0, 4), np.int32),
            points=np.empty((0, 2), np.float32),
        )

    def mask(self, index: int) -> BoolMask:
        """Return candidate `index` as a bool array of shape (M, N)."""
        runs = self.runs[self.run_offsets[index] : self.run_offsets[index + 1]]
        return mask_of_runs(runs, self.shape)

    def mask_rows(self, index: int, start: int, stop: int) -> BoolMask:
        """Return rows `start` to `stop` of a candidate that has no pixels in others.

        A bool array of shape (stop - start, N): what a small thing in a large image needs.
        """
        runs = self.runs[self.run_offsets[index] : self.run_offsets[index + 1]]
        return mask_of_runs(runs - start * self.shape[1], (stop - start, self.shape[1]))

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
        # Counts are there only at the levels: between two of them the nearest must do.
        shift = min(round(abs(offset) / step), zero)
        inner = self.area_curves[:, zero + shift].astype(np.float32)
        outer = self.area_curves[:, zero - shift].astype(np.float32)
        return np.divide(inner, outer, out=np.zeros_like(inner), where=outer > 0)

    def take(self, indices: IntArray) -> CandidatePool:
        """Return the pool of the candidates at `indices`, in that order."""
        indices = np.asarray(indices, dtype=np.int64)
        # Runs, never masks: filters call this at every motion of a slider.
        pieces = [self.runs[self.run_offsets[i] : self.run_offsets[i + 1]] for i in indices]
        runs = np.concatenate(pieces) if pieces else np.empty((0, 2), np.int32)
        lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        return replace(
            self,
            runs=runs,
            run_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            areas=self.areas[indices],
            centroids=self.centroids[indices],
            predicted_iou=self.predicted_iou[indices],
            area_curves=self.area_curves[indices],
            boxes=self.boxes[indices],
            points=self.points[indices],
            crop_boxes=None if self.crop_boxes is None else self.crop_boxes[indices],
            proposed=None if self.proposed is None else self.proposed[indices],
        )

    def with_proposed(self, other: CandidatePool) -> CandidatePool:
        """Return the pool with the candidates of another one, marked as `proposed`, at its end."""
        crops = self.crop_boxes
        if crops is not None:
            # They were asked for on the whole image.
            whole = np.tile(np.array([[0, 0, *self.shape]], np.int32), (len(other), 1))
            crops = np.concatenate([crops, whole])
        own = np.zeros(len(self), dtype=bool) if self.proposed is None else self.proposed
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in (
                "runs",
                "areas",
                "centroids",
                "predicted_iou",
                "area_curves",
                "boxes",
                "points",
            )
        }
        return replace(
            self,
            run_offsets=np.concatenate(
                [self.run_offsets, self.run_offsets[-1] + other.run_offsets[1:]]
            ),
            crop_boxes=crops,
            proposed=np.concatenate([own, np.ones(len(other), dtype=bool)]),
            **joined,
        )
