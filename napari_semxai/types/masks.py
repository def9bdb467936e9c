"""What is known of a mask: how it was found, how big it is, how good."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_semxai.types.image import BoolMask, FloatArray, IntArray


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
        Whether `mask` meets the image's edge or the ignored border.
    reason : str
        Why the mask is empty; "" when it is not.
    confidence : float or None
        Probability that the answer, a defect or none, is right; None where it is not known.
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
        """(TP + TN) / all pixels."""
        return (self.tp + self.tn) / (self.tp + self.fp + self.fn + self.tn)

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
