"""Dice against the thresholds that turn explanations into masks: tau, and delta of Algorithm 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_semxai.types import BoolMask, FloatArray

DELTAS: NDArray[np.float64] = np.linspace(0.0, 255.0, 103)
"""Where Dice is drawn against delta, in 8-bit colour values."""


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCurve:
    """Dice of one explanation over a threshold.

    Attributes
    ----------
    name : str
        What is thresholded.
    parameter : str
        "tau" of heat maps, "concept_tau" or "delta".
    thresholds, dice : ndarray of float64, shape (t,)
        The curve.
    """

    name: str
    parameter: str
    thresholds: NDArray[np.float64]
    dice: NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float]:
        """Threshold in the middle of the best ones, and the Dice there."""
        top = float(self.dice.max())
        where = np.flatnonzero(self.dice >= top - 1e-12)
        return float(self.thresholds[where[(len(where) - 1) // 2]]), top

    def nearest(self, threshold: float) -> float:
        """Return the threshold of the curve that lies nearest."""
        return float(self.thresholds[np.argmin(np.abs(self.thresholds - threshold))])


def dice_within(
    distances: FloatArray, truth: BoolMask, deltas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the Dice of ``distances <= delta`` at each delta (Algorithm 3).

    Parameters
    ----------
    distances : ndarray of float, shape (M, N)
        Of each pixel to a concept's colour.
    truth : ndarray of bool, shape (M, N)
        The true mask.
    deltas : ndarray of float, shape (t,)
        Tolerances.

    Returns
    -------
    ndarray of float64, shape (t,)
        1 where both masks are empty.
    """
    inside = np.sort(distances[truth])
    found = np.searchsorted(np.sort(distances, axis=None), deltas, side="right")
    total = found + inside.size
    hits = np.searchsorted(inside, deltas, side="right")
    curve: NDArray[np.float64] = np.where(total > 0, 2 * hits / np.maximum(total, 1), 1.0)
    return curve


def best_in_words(curves: Iterable[ThresholdCurve]) -> str:
    """Say where each curve is best, one line each."""
    symbols = {"tau": "τ", "concept_tau": "τ", "delta": "δ"}
    return "\n".join(
        "{}: best {} {:.3g}, Dice {:.3f}".format(curve.name, symbols[curve.parameter], *curve.best)
        for curve in curves
    )
