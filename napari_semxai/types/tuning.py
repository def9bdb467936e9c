"""The tuning assistant of CRAFT: what it tries, and what it advises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.arrays import BoolMask


@dataclass(frozen=True, slots=True, eq=False)
class CraftSweepRequest:
    """Try every combination of layers, k and patch sizes; see `napari_semxai.types.explain`.

    Attributes
    ----------
    images, classifier, device, target
        As in `CraftFitRequest`.
    layers : tuple of str
        Split layers by dotted name; () takes the default and earlier stages.
    n_concepts, patch_sizes : tuple of int
        What else to try.
    masks : tuple of (ndarray of bool, shape (M, N), or None)
        Validated mask of each image, to measure localisation with; () for none.
    refinement : str
        The maps that localisation is measured on, as in `CraftTransformRequest`.
    seeds : tuple of int
        Runs to compare for stability.
    """

    images: tuple[Path | NDArray[np.uint8], ...]
    classifier: str
    target: int
    layers: tuple[str, ...] = ()
    n_concepts: tuple[int, ...] = (5, 10, 15)
    patch_sizes: tuple[int, ...] = (64, 96)
    masks: tuple[BoolMask | None, ...] = ()
    refinement: str = "none"
    seeds: tuple[int, ...] = (0, 1)
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One setting and what came of it.

    Attributes
    ----------
    layer, n_concepts, patch_size
        The setting.
    r2 : float
        Share of the activations' variance that the concepts reconstruct.
    agreement : float
        Share of images whose predicted class is the same from reconstructed activations.
    stability : float
        Mean cosine of concepts matched between two runs; NaN with fewer than two seeds.
    n_important : int
        Concepts with a total Sobol index above 0.01.
    iou : float
        Mean over the masked images of the importance-weighted map's IoU at the one threshold
        that suits them best, refined as asked for; NaN without masks.
    seconds : float
        What the setting took.
    """

    layer: str
    n_concepts: int
    patch_size: int
    r2: float
    agreement: float
    stability: float
    n_important: int
    iou: float
    seconds: float


@dataclass(frozen=True, slots=True)
class SweepAdvice:
    """The end of a sweep.

    Attributes
    ----------
    rows : tuple of SweepRow
        All settings that ran.
    suggested : int
        Index of the suggested row.
    reasons : tuple of str
        Why, one sentence each.
    skipped : tuple of str
        Settings that could not run, one sentence each.
    """

    rows: tuple[SweepRow, ...]
    suggested: int
    reasons: tuple[str, ...]
    skipped: tuple[str, ...] = ()
