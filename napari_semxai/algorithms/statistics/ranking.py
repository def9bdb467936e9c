"""Orders of images by what a network sees in them: the most alike, and those with most to gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask, FloatArray, IntArray

FARTHEST = 2.0
_FEWEST, _OF_A_CLASS = 40, 3
"""Images of known classes by which likeness is learned, and those of each; with fewer it does no
better than the features alone."""
_SMOOTHNESS, _SOFTNESS = 300.0, 0.3
"""Of the linear classifier, and by what its scores are divided before a softmax."""
MOST_PICKED = 300
"""Images that are chosen one after the other by variety; nobody labels more before asking anew."""


def standardised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features (n, c) with mean 0 and deviation 1 in every channel."""
    return np.asarray((features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6))


def nearest(
    features: NDArray[np.float32], to: int, classes: Sequence[str] = ()
) -> tuple[IntArray, FloatArray]:
    """Return all other images, the most alike first, with their similarity, in [-1, 1].

    It is the cosine between features. Where classes of enough images are known, it counts for a
    third, and two thirds are the cosine between what a linear classifier says of the images, which
    is fitted to these classes.

    Parameters
    ----------
    features : ndarray, shape (n, c)
        Of every image, `standardised`.
    to : int
        Row of the image in question.
    classes : sequence of str, optional
        Of every image; "" where unknown.

    Examples
    --------
    >>> rows = standardised(np.array([[0.0, 1], [1, 0], [0.1, 1]], np.float32))
    >>> order, _ = nearest(rows, 0)
    >>> order.tolist()
    [2, 1]
    """
    alike = _cosines(features, to)
    said = _class_scores(features, np.asarray(classes, str))
    if said is not None:
        alike = np.asarray((alike + 2 * _cosines(said, to)) / 3, np.float32)
    order = np.argsort(-alike, kind="stable")
    order = order[order != to]
    return order, alike[order].astype(float)


def _cosines(rows: NDArray[np.float32], to: int) -> NDArray[np.float32]:
    # Without a copy of all features, which takes longer than the products.
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows)) + 1e-6
    return np.asarray(rows @ rows[to] / (lengths * lengths[to]))


def _class_scores(
    features: NDArray[np.float32], classes: NDArray[np.str_]
) -> NDArray[np.float32] | None:
    """Return how much each image looks like each class, shape (n, k); None where few are known."""
    names, counts = np.unique(classes[classes != ""], return_counts=True)
    names = names[counts >= _OF_A_CLASS]
    known = np.flatnonzero(np.isin(classes, names))
    if len(known) < _FEWEST or len(names) < 2:
        return None
    # It takes longer to import than to ask.
    from sklearn.linear_model import RidgeClassifier

    # In closed form, so that every question has the latest reviews; as important each class.
    model = RidgeClassifier(alpha=_SMOOTHNESS, class_weight="balanced")
    scores = model.fit(features[known], classes[known]).decision_function(features)
    # Of two classes there is one score, for the second.
    each = np.stack([-scores, scores], 1) if scores.ndim == 1 else scores
    return np.asarray(softmax(each / _SOFTNESS, axis=1), np.float32)


def most_to_gain(
    features: NDArray[np.float32], doubt: FloatArray, reviewed: BoolMask
) -> tuple[IntArray, FloatArray]:
    """Return the images that are not reviewed, those with most to gain first.

    The next one is that of the largest product of doubt and distance to the nearest image that is
    reviewed or was chosen before it: unsure, and unlike what is known by then. After
    `MOST_PICKED` the rest follows by that product.

    Parameters
    ----------
    features : ndarray, shape (n, c)
        Of every image, `standardised`.
    doubt : ndarray of float, shape (n,)
        How unsure its mask is, in [0, 1].
    reviewed : ndarray of bool, shape (n,)
        Whether somebody has looked at it.

    Returns
    -------
    ndarray of int, ndarray of float
        Rows in this order, and how far each was from what was known then: 1 is usual of two
        images, and `FARTHEST` the most that counts.

    References
    ----------
    .. [1] O. Sener and S. Savarese, "Active Learning for Convolutional Neural Networks: A
       Core-Set Approach", ICLR 2018 (k-center greedy).
    """
    # So that two images of independent features are 1 apart.
    rows = features / np.sqrt(np.float32(2 * features.shape[1]))
    apart = np.full(len(rows), FARTHEST, np.float32)
    for row in np.flatnonzero(reviewed).tolist():
        apart = np.minimum(apart, _distances(rows, row))
    weight = np.maximum(doubt, 1e-3)
    waiting = ~reviewed
    picked: list[int] = []
    found: list[float] = []
    for _ in range(min(int(waiting.sum()), MOST_PICKED)):
        best = int(np.argmax(np.where(waiting, weight * apart, -1.0)))
        picked.append(best)
        found.append(float(apart[best]))
        waiting[best] = False
        apart = np.minimum(apart, _distances(rows, best))
    rest = np.flatnonzero(waiting)
    rest = rest[np.argsort(-(weight * apart)[rest], kind="stable")]
    return np.array([*picked, *rest], int), np.array([*found, *apart[rest]])


def _distances(rows: NDArray[np.float32], row: int) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(rows - rows[row], axis=1))
