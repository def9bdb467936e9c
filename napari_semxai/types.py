"""Frozen values that the rooms hand to each other: arrays with names.

Every value is compared by identity and never changed after it was made. Coordinates are
(row, column) everywhere; only the SAM 2 adapter flips to (x, y).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

BoolMask: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
Border: TypeAlias = tuple[int, int, int, int]

CURVE_LEVELS: NDArray[np.float64] = np.linspace(-8.0, 8.0, 129)
"""Mask logits at which `CandidatePool.area_curves` counts pixels; 0 is entry 64."""


class InputError(ValueError):
    """Bad input from a person: one line that names the file or value and says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class SemImage:
    """One image as it was read, and as the networks and the canvas see it.

    Attributes
    ----------
    name : str
        What to call the image in tables and file names.
    pixels : ndarray, shape (M, N) or (M, N, 3)
        The values as stored; never changed.
    gray : ndarray of uint8, shape (M, N)
        8-bit grey; 8-bit pictures unscaled, others scaled by percentile.
    path : Path or None
        The file the image came from.
    page : int
        Page within a multi-page file.
    pixel_size : float or None
        Edge of one pixel in metres, when known.
    picture_rows : int or None
        Rows above the info bar, where the file's tags tell that there is one.
    """

    name: str
    pixels: NDArray[Any]
    gray: NDArray[np.uint8]
    path: Path | None = None
    page: int = 0
    pixel_size: float | None = None
    picture_rows: int | None = None


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
        flat = np.zeros(self.shape[0] * self.shape[1], dtype=bool)
        own = self.runs[self.run_offsets[index] : self.run_offsets[index + 1]]
        for start, stop in own.tolist():
            flat[start:stop] = True
        return flat.reshape(self.shape)

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


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """What the network is asked for; changing any of these needs the network again.

    Attributes
    ----------
    points_per_side : int
        The grid holds ``points_per_side ** 2`` prompts.
    pred_iou_floor : float
        Masks predicted worse than this are not upscaled and not in the pool.
    crop_n_layers : int
        0: the whole image only; n: also ``4 ** n`` overlapping crops, as in SAM 2.
    """

    points_per_side: int = 32
    pred_iou_floor: float = 0.5
    crop_n_layers: int = 0


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """What selects candidates from a pool; all of these act without the network.

    Attributes
    ----------
    pred_iou_thresh, stability_score_thresh, stability_score_offset, box_nms_thresh : float
        As in SAM 2's automatic mask generator.
    """

    pred_iou_thresh: float = 0.8
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7


@dataclass(frozen=True, slots=True)
class GenerateUpdate:
    """One message of a running generation.

    Attributes
    ----------
    stage : str
        "load", "encode" or "decode".
    done, total : int
        Grid points decoded so far, and all of them.
    seconds_left : float or None
        From measured speed, once there is one.
    pool : CandidatePool or None
        All candidates so far, when a level of the grid is complete.
    """

    stage: str
    done: int
    total: int
    seconds_left: float | None = None
    pool: CandidatePool | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which network answered.

    Attributes
    ----------
    name : str
        "bundled", an official size, or a file name.
    sha256 : str
        Digest of the weights file.
    device : str
        "cpu", "cuda" or "mps".
    """

    name: str
    sha256: str
    device: str


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


@dataclass(frozen=True, slots=True)
class WarmRequest:
    """Load a network so that the next request finds it ready; answered by its `ModelInfo`.

    Attributes
    ----------
    model : str
        "bundled", an official name or the path of a checkpoint.
    device : str
        "auto", "cpu", "cuda" or "mps".
    """

    model: str
    device: str


@dataclass(frozen=True, slots=True, eq=False)
class GenerateRequest:
    """Ask for mask candidates; answered by a `ModelInfo`, then `GenerateUpdate` values.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        What the network sees.
    model, device : str
        As in `WarmRequest`.
    settings : GenerateSettings
        What the network is asked for.
    """

    image: NDArray[np.uint8]
    model: str
    device: str
    settings: GenerateSettings
