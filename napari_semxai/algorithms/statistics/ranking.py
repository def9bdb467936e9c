"""Orders of images: the most alike, those with most to gain, and reviewed masks that look wrong.

A reviewed mask is suspicious by measures of it. Each becomes a robust z-score (deviation from the
median in units of the scaled median absolute deviation): of all masks, or for size, shape and
place of those of its class. What is beyond `USUAL` deviations adds to the suspicion, up to `MOST`
for each.

References
----------
.. [1] B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers", 1993 (modified z-scores).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from scipy.special import softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_semxai.types import BoolMask, FloatArray, IntArray

FARTHEST = 2.0
_FEWEST_KNOWN, _OF_A_CLASS = 40, 3
"""Images of known classes by which likeness is learned, and those of each; with fewer it does no
better than the features alone."""
_SMOOTHNESS, _SOFTNESS = 300.0, 0.3
"""Of the linear classifier, and by what its scores are divided before a softmax."""
MOST_PICKED = 300
"""Images that are chosen one after the other by variety; nobody labels more before asking anew."""
USUAL, MOST = 1.5, 8.0
FEWEST = 8
"""Masks of a class without which it has no usual size, shape or place."""
_AROUND = 14
_OF_CLASS = 0.5


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
    if len(known) < _FEWEST_KNOWN or len(names) < 2:
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


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What is measured of a reviewed mask; NaN where unknown or undefined.

    Attributes
    ----------
    label : str
        Its class.
    empty : bool
        Whether it is "no defect".
    edge : float
        Log of the mean gradient along the outline over that inside and around.
    area, stretch, place : float
        Log of its pixels, log of outline length squared over area, and distance of its middle from
        that of the image in parts of half the diagonal.
    cut : bool
        Whether it touches the edge of the image.
    overlap : float
        Dice with what was proposed, or learned from other images.
    agreed : float
        Lowest Dice with another annotator's mask.
    alike : float
        Share of "no defect" among the reviewed images that look most like this one.
    """

    label: str
    empty: bool
    edge: float = np.nan
    area: float = np.nan
    stretch: float = np.nan
    place: float = np.nan
    cut: bool = False
    overlap: float = np.nan
    agreed: float = np.nan
    alike: float = np.nan


def measured(
    gray: NDArray[np.uint8],
    mask: BoolMask,
    label: str,
    overlap: float = np.nan,
    agreed: float = np.nan,
    alike: float = np.nan,
) -> Reviewed:
    """Measure a mask (M, N) on its image; the rest is known, see `Reviewed`."""
    if not mask.any():
        return Reviewed(label, True, overlap=overlap, agreed=agreed, alike=alike)
    rows, columns = np.nonzero(mask)
    top, left = max(rows.min() - _AROUND, 0), max(columns.min() - _AROUND, 0)
    window = np.s_[top : rows.max() + _AROUND + 1, left : columns.max() + _AROUND + 1]
    part = mask[window]
    steep = scipy.ndimage.gaussian_gradient_magnitude(gray[window].astype(np.float32), 1.5)
    # Distances to the outline: within two pixels of it on one side, well off it on the other.
    inside, outside = (scipy.ndimage.distance_transform_edt(side) for side in (part, ~part))
    off = inside + outside
    near, far = off <= 2, (inside > 4) | ((outside > 4) & (outside <= 10))
    edge = np.log((steep[near].mean() + 1e-3) / (steep[far].mean() + 1e-3)) if far.any() else 0.0
    middle = np.hypot(*(np.array([rows.mean(), columns.mean()]) - (np.array(mask.shape) - 1) / 2))
    ends = (rows.min(), columns.min()), (rows.max() + 1, columns.max() + 1)
    return Reviewed(
        label,
        False,
        float(edge),
        float(np.log(len(rows))),
        float(np.log(np.count_nonzero(part & (inside <= 1)) ** 2 / len(rows))),
        float(2 * middle / np.hypot(*mask.shape)),
        bool(min(ends[0]) == 0 or (np.array(ends[1]) == mask.shape).any()),
        overlap,
        agreed,
        alike,
    )


def suspicion(masks: Sequence[Reviewed]) -> list[tuple[float, str]]:
    """Return how suspicious each mask is, and why; "" where nothing is unusual."""
    empty = np.array([one.empty for one in masks], bool)
    overlap = _measures(masks, "overlap")
    found = {
        "unlike what was proposed or learned": _beyond(1 - np.where(empty, np.nan, overlap)),
        "soft edge along the outline": _beyond(-_measures(masks, "edge")),
        "annotators disagree": _beyond(1 - _measures(masks, "agreed")),
        "no defect, but one was proposed or learned": _rare(empty, empty & (overlap < 0.5)),
        "no defect, but it looks like images with one": _unlike(empty, _measures(masks, "alike")),
        "a defect, but it looks like images without": _unlike(
            ~empty, 1 - _measures(masks, "alike")
        ),
    }
    cut = np.array([one.cut for one in masks], bool)
    found["touches the edge of the image"] = np.minimum(_rare(~empty, cut), 1.0)
    labels = np.array([one.label for one in masks])
    for name, words in (("area", "size"), ("stretch", "shape"), ("place", "place")):
        values, unusual = _measures(masks, name), np.zeros(len(masks))
        for label in np.unique(labels):
            inside = (labels == label) & ~empty
            if np.count_nonzero(inside) >= FEWEST:
                two_sided = abs(_robust(values[inside]))
                unusual[inside] = _OF_CLASS * np.clip(two_sided - USUAL, 0, MOST)
        found[f"{words} unlike its class"] = np.where(labels == "", 0, unusual)
        found[f"{words} unlike the others"] = np.where(labels == "", unusual, 0)
    return [
        _told({words: float(values[number]) for words, values in found.items()})
        for number in range(len(masks))
    ]


def _told(found: dict[str, float]) -> tuple[float, str]:
    reasons = sorted((words for words in found if found[words] > 0), key=lambda one: -found[one])
    return sum(found.values()), "; ".join(reasons)


def _measures(masks: Sequence[Reviewed], name: str) -> FloatArray:
    return np.array([getattr(one, name) for one in masks], float)


def _robust(values: ArrayLike) -> FloatArray:
    """Return robust z-scores, with a floor below which spread is no spread."""
    given = np.asarray(values, float)
    if np.isnan(given).all():
        return np.zeros(given.shape)
    middle = np.nanmedian(given)
    spread = 1.4826 * np.nanmedian(abs(given - middle)) + 0.05 * abs(middle) + 1e-3
    return np.asarray(np.nan_to_num((given - middle) / spread))


def _beyond(values: FloatArray) -> FloatArray:
    return np.asarray(np.clip(_robust(values) - USUAL, 0, MOST))


def _rare(of: BoolMask, which: BoolMask) -> FloatArray:
    """Return for some of the masks the more, the fewer of their kind they are."""
    share = float((which & of).sum()) / max(float(of.sum()), 1.0)
    much = float(np.clip(-2 * np.log(share + 0.01) - USUAL, 0, MOST))
    return np.where(which & of, much, 0.0)


def _unlike(of: BoolMask, alike: FloatArray) -> FloatArray:
    """Return more, the fewer of the images like these masks' are of their kind."""
    return np.where(of, np.clip(MOST * (0.5 - np.nan_to_num(alike, nan=1.0)), 0, MOST), 0.0)
