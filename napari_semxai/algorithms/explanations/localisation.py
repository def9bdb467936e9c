"""How well a heat map lies on a truth, without choosing a threshold, and with every threshold.

One sort of the map answers all questions; a truth that is painted on costs a look-up and a sum.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_semxai.types import BoolMask, FloatArray

TYPICAL_DEFECT_SHARE = 0.0258
"""Mean foreground of the masks of Carinthia-S; the centre disc of the baselines covers it."""
TOP_K = 1000
"""Pixels of the top-k intersection, as Theiner et al. count them."""
DELTAS: NDArray[np.float64] = np.linspace(0.0, 255.0, 103)
"""Where Dice is drawn against delta, in 8-bit colour values."""


@dataclass(frozen=True, slots=True)
class Localisation:
    """Scores of one map against one truth; NaN where undefined (an empty or full truth).

    Attributes
    ----------
    relevance_mass : float
        Share of the positive relevance that lies within the truth.
    relevance_rank : float
        Share of the truth's own number of most relevant pixels that lie within it.
    top_k : float
        Share of the `TOP_K` most relevant pixels that lie within the truth (top-k intersection).
    pointing_game : float
        1 where the maximum lies within the truth; with several maxima their share.
    auroc : float
        Area under the receiver operating characteristic.
    average_precision : float
        Sum of precisions weighted by the gain in recall.
    best_dice : float
        The best Dice that `threshold_mask` reaches with any tau.
    best_tau : float
        The tau that reaches it.
    """

    relevance_mass: float
    relevance_rank: float
    top_k: float
    pointing_game: float
    auroc: float
    average_precision: float
    best_dice: float
    best_tau: float


UNDEFINED = Localisation(*(math.nan,) * 8)


class RankedMap:
    """A heat map, sorted once.

    Parameters
    ----------
    values : ndarray of float, shape (M, N)
        Relevance; NaN counts as none.
    """

    def __init__(self, values: FloatArray) -> None:
        flat = np.nan_to_num(np.asarray(values, dtype=np.float32).ravel(), nan=0.0)
        self._shape = values.shape
        self._order = np.argsort(-flat, kind="stable").astype(np.int32)
        self._falling = flat[self._order]
        self._find_levels()
        self.maximum = float(self._falling[0])

    def _find_levels(self) -> None:
        # Where a run of equal values ends: a threshold cannot part equal values.
        last = [self._falling.size] if self._falling.size else []
        self._ends = np.append(np.flatnonzero(np.diff(self._falling)) + 1, last).astype(np.int64)
        self._levels = self._falling[self._ends - 1].astype(np.float64)

    def without(self, ignored: BoolMask | None) -> RankedMap:
        """Return the ranking of the pixels that count; of all, where None is ignored.

        Parameters
        ----------
        ignored : ndarray of bool, shape (M, N), or None
            Pixels that count for nothing. Thresholds stay shares of the maximum of all.
        """
        if ignored is None:
            return self
        found = copy(self)
        kept = ~ignored.ravel()[self._order]
        found._order, found._falling = self._order[kept], self._falling[kept]
        found._find_levels()
        return found

    @property
    def nbytes(self) -> int:
        """Memory that the sorted map takes."""
        arrays = self._order, self._falling, self._ends, self._levels
        return sum(array.nbytes for array in arrays)

    def localisation(self, truth: BoolMask) -> Localisation:
        """Score the map against a truth.

        Parameters
        ----------
        truth : ndarray of bool, shape (M, N)
            Non-zero is foreground.

        Returns
        -------
        Localisation
            Ties count by the share of tied pixels within the truth.

        Raises
        ------
        ValueError
            If the shapes differ.

        References
        ----------
        Arras, Osman, Samek, "CLEVR-XAI", Information Fusion 81 (2022): relevance mass and rank
        accuracy. Zhang et al., "Top-down neural attention by excitation backprop", IJCV 126
        (2018): pointing game. Theiner, Müller-Budack, Ewerth, "Interpretable semantic photo
        geolocation", WACV 2022: top-k intersection.
        """
        inside, pixels = self._hits(truth), self._falling.size
        positives = float(inside[-1]) if pixels else 0.0
        if positives == 0:
            return UNDEFINED
        precision = inside / self._ends
        gains = np.diff(inside, prepend=0.0)
        best_dice, best_tau = self._best(inside, positives)
        return Localisation(
            relevance_mass=self._mass(gains),
            relevance_rank=self._top(inside, positives) / positives,
            top_k=self._top(inside, min(TOP_K, pixels)) / min(TOP_K, pixels),
            pointing_game=float(precision[0]) if self.maximum > 0 else math.nan,
            auroc=self._auroc(inside, positives) if positives < pixels else math.nan,
            average_precision=float(gains @ precision / positives),
            best_dice=best_dice,
            best_tau=best_tau,
        )

    def dice_curve(self, truth: BoolMask, taus: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Dice of `threshold_mask` at each tau, exactly.

        Parameters
        ----------
        truth : ndarray of bool, shape (M, N)
            Non-zero is foreground.
        taus : ndarray of float, shape (t,)
            Thresholds as shares of the maximum.

        Returns
        -------
        ndarray of float64, shape (t,)
            1 where both masks are empty.
        """
        inside = np.concatenate([[0.0], self._hits(truth)])
        ends = np.concatenate([[0], self._ends])
        cuts = np.maximum(taus, 0.0) * max(self.maximum, 0.0)
        # The last level of the falling ones that still exceeds the cut, in the map's precision.
        runs = np.searchsorted(-self._levels, -cuts.astype(np.float32).astype(np.float64))
        total = ends[runs] + inside[-1]
        with np.errstate(invalid="ignore"):
            curve: NDArray[np.float64] = np.where(total > 0, 2 * inside[runs] / total, 1.0)
        return curve

    def _hits(self, truth: BoolMask) -> NDArray[np.float64]:
        """Return how many true pixels lie at or above each level."""
        if truth.shape != self._shape:
            raise ValueError(f"the map has shape {self._shape}, the truth {truth.shape}")
        cumulative = np.cumsum((truth != 0).ravel()[self._order], dtype=np.float64)
        hits: NDArray[np.float64] = cumulative[self._ends - 1]
        return hits

    def _best(self, inside: NDArray[np.float64], positives: float) -> tuple[float, float]:
        """Return the best Dice of any tau, and a tau in the middle of those that reach it."""
        usable = int(np.count_nonzero(self._levels > 0))
        if usable == 0:
            return 0.0, math.nan
        dice = 2 * inside[:usable] / (self._ends[:usable] + positives)
        best = int(np.argmax(dice))
        below = max(float(self._levels[best + 1]), 0.0) if best + 1 < self._levels.size else 0.0
        return float(dice[best]), (float(self._levels[best]) + below) / 2 / self.maximum

    def _mass(self, gains: NDArray[np.float64]) -> float:
        sizes = np.diff(self._ends, prepend=0)
        relevance = np.maximum(self._levels, 0.0)
        total = float(relevance @ sizes)
        return float(relevance @ gains) / total if total > 0 else math.nan

    def _top(self, inside: NDArray[np.float64], number: float) -> float:
        """Return how many of the `number` most relevant pixels are true, ties by their share."""
        return float(np.interp(number, np.append(0, self._ends), np.append(0.0, inside)))

    def _auroc(self, inside: NDArray[np.float64], positives: float) -> float:
        hits = np.append(0.0, inside) / positives
        alarms = np.append(0.0, self._ends - inside) / (self._falling.size - positives)
        return float(np.trapezoid(hits, alarms))


def centre_disc(shape: tuple[int, int], share: float = TYPICAL_DEFECT_SHARE) -> BoolMask:
    """Return a disc in the middle of the image that covers a share of it, before any clipping."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    row, column = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    disc: BoolMask = (rows - row) ** 2 + (columns - column) ** 2 <= (
        share * shape[0] * shape[1] / math.pi
    )
    return disc


def otsu_mask(gray: NDArray[np.uint8]) -> BoolMask:
    """Return the smaller side of Otsu's threshold; nothing for a constant image.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.

    References
    ----------
    .. [1] N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions
       on Systems, Man, and Cybernetics 9 (1), 1979.
    """
    # Imported here: it takes longer than all the rest, and few look at baselines.
    from skimage.filters import threshold_otsu

    if gray.min() == gray.max():
        return np.zeros(gray.shape, dtype=bool)
    bright: BoolMask = gray > threshold_otsu(gray)
    return ~bright if 2 * np.count_nonzero(bright) > bright.size else bright


def trivial_baselines(gray: NDArray[np.uint8]) -> dict[str, BoolMask]:
    """Return the masks that every method has to beat, by name.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    """
    return {
        "empty": np.zeros(gray.shape, dtype=bool),
        "centre disc": centre_disc(gray.shape[:2]),
        "Otsu": otsu_mask(gray),
    }


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
    distances : ndarray of float, shape (M, N) or (p,)
        Of each pixel to a concept's colour.
    truth : ndarray of bool, shape (M, N) or (p,)
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
