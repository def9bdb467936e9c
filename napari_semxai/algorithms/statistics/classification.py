"""Scores, calibration, splits and sampling of classifiers, for classes of very unequal size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from napari_semxai.types import FloatArray

if TYPE_CHECKING:
    from napari_semxai.types import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationScores:
    """Scores of predicted classes.

    Attributes
    ----------
    confusion : ndarray of int, shape (n, n)
        Images of class (row) that were called class (column).
    precision, recall, f1 : ndarray of float, shape (n,)
        Of every class; NaN where undefined: precision of a class that is never predicted,
        recall and F1 of a class without images.
    accuracy : float
        Share of right answers; NaN without images.
    """

    confusion: NDArray[np.int64]
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    accuracy: float

    @property
    def support(self) -> NDArray[np.int64]:
        """Images of every class, shape (n,)."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that have images; NaN without images."""
        return _mean(self.f1)

    @property
    def macro_recall(self) -> float:
        """Mean recall over the classes that have images; NaN without images."""
        return _mean(self.recall)


def classification_scores(truth: IntArray, predicted: IntArray, n: int) -> ClassificationScores:
    """Compare predicted classes with the true ones.

    Parameters
    ----------
    truth, predicted : ndarray of int, shape (images,)
        Class indices from 0.
    n : int
        How many classes.

    Examples
    --------
    >>> scores = classification_scores(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    >>> scores.confusion.tolist(), round(scores.macro_f1, 3)
    ([[1, 1], [0, 1]], 0.667)
    """
    confusion = np.zeros((n, n), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    hits, true, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = _share(hits, true)
    f1 = np.where(true > 0, _share(2 * hits, true + called), np.nan)
    accuracy = float(_share(hits.sum(), true.sum()))
    return ClassificationScores(confusion, _share(hits, called), recall, f1, accuracy)


def fit_temperature(logits: FloatArray, truth: IntArray) -> float:
    """Return the temperature at which the true classes are most probable.

    Parameters
    ----------
    logits : ndarray, shape (images, classes)
        Of images that the network was not trained on.
    truth : ndarray of int, shape (images,)
        Their classes.

    Returns
    -------
    float
        Between 0.05 and 20; 1 without images.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017.
    """
    if not len(truth):
        return 1.0

    def loss(log_temperature: float) -> float:
        chances = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(chances[np.arange(len(truth)), truth].mean())

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(best.x))


def calibration_error(probabilities: FloatArray, truth: IntArray, bins: int = 10) -> float:
    """Return the expected calibration error: |confidence - accuracy|, averaged over bins.

    Parameters
    ----------
    probabilities : ndarray, shape (images, classes)
        Calibrated or not.
    truth : ndarray of int, shape (images,)
        Class indices.
    bins : int
        Of equal width over [0, 1].

    Returns
    -------
    float
        NaN without images.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining Well Calibrated Probabilities
       Using Bayesian Binning", AAAI 2015.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth)) if len(truth) else float("nan")


def stratified_split(
    labels: IntArray, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose the images to validate on, the same share of every class.

    A class of two or more gives at least one image to each side; a single image is trained on.

    Parameters
    ----------
    labels : ndarray of int, shape (images,)
        Class indices.
    share : float
        In (0, 1).
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of bool, shape (images,)
        True for validation.
    """
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(share * len(members))), len(members) - 1)
        chosen[members[:count]] = True
    return chosen


def sampling_weights(labels: IntArray, balance: float) -> FloatArray:
    """Return with which probability a draw takes each image.

    Parameters
    ----------
    labels : ndarray of int, shape (images,)
        Class indices.
    balance : float
        0 draws all images alike, 1 all classes alike; in between a class of k images is drawn
        in proportion to k ** (1 - balance).

    Returns
    -------
    ndarray of float, shape (images,)
        Their sum is 1.
    """
    counts = np.bincount(labels)
    weights = counts[labels].astype(float) ** -balance
    return np.asarray(weights / weights.sum())


def _share(part: Any, whole: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(whole) > 0, np.asarray(part) / whole, np.nan)


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
