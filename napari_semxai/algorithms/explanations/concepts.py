"""Concepts of CRAFT as arrays: their importance, and how they match between runs.

References
----------
.. [1] T. Fel et al., "CRAFT: Concept Recursive Activation FacTorization for Explainability",
   CVPR 2023.
.. [2] M. J. W. Jansen, "Analysis of variance designs for model output", Computer Physics
   Communications 117, 1999.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask, ConceptBank, FloatArray, SweepRow

DESIGNS = 32
"""Rows of each of the two sampling matrices, as in xplique."""
_EPS = 1e-12
THRESHOLDS = np.linspace(0.02, 0.98, 49)
LEAST_AGREEMENT, LEAST_STABILITY = 0.9, 0.8
"""Below these the concepts do not stand for what the network does."""
LEAST_IMAGES, LEAST_R2 = 20, 0.5
"""Fewer images, or less of the activations, give concepts that mean little; see `doubts`."""
_CLOSE = 0.02


@cache
def sobol_masks(n_concepts: int, designs: int = DESIGNS) -> NDArray[np.float32]:
    """Return how strongly each concept is kept in each run of a Sobol estimate.

    A Halton sequence of matrices A and B, then A with each of its columns in turn from B.

    Parameters
    ----------
    n_concepts : int
        Number of concepts k.
    designs : int
        Rows n of A.

    Returns
    -------
    ndarray of float32, shape (n * (k + 2), k)
        From 0 to 1.
    """
    # Loaded only here: the window knows this module, and SciPy's statistics take half a second.
    sequence = scipy.stats.qmc.Halton(2 * n_concepts, scramble=False)
    both = sequence.random(designs).astype(np.float32)
    a, b = both[:, :n_concepts], both[:, n_concepts:]
    c = np.repeat(a[None], n_concepts, axis=0)
    for concept in range(n_concepts):
        c[concept, :, concept] = b[:, concept]
    masks: NDArray[np.float32] = np.concatenate([a, b, c.reshape(-1, n_concepts)])
    # One array for all callers, for as long as the process lives.
    masks.flags.writeable = False
    return masks


def sobol_indices(outputs: FloatArray, n_concepts: int) -> NDArray[np.float32]:
    """Return the total Sobol index of each concept by Jansen's estimator.

    Parameters
    ----------
    outputs : ndarray of float, shape (n * (k + 2),)
        The logit for each row of `sobol_masks`.
    n_concepts : int
        Number of concepts k.

    Returns
    -------
    ndarray of float32, shape (k,)
    """
    n = len(outputs) // (n_concepts + 2)
    values = np.asarray(outputs, dtype=np.float64)
    a, c = values[:n], values[2 * n :].reshape(n_concepts, n)
    # A logit that no concept moves has no variance to share out: all indices are 0.
    variance = max(float(a.var(ddof=1)), _EPS)
    return np.asarray(((a - c) ** 2).sum(axis=1) / (2 * n * variance), np.float32)


def linear_sobol_indices(contributions: FloatArray) -> NDArray[np.float32]:
    """Return the same where the logit is a sum of one term per concept, in closed form.

    Parameters
    ----------
    contributions : ndarray of float, shape (..., k)
        What each concept, fully kept, adds to the logit.

    Returns
    -------
    ndarray of float32, shape (..., k)

    Examples
    --------
    >>> linear_sobol_indices(np.array([2.0, 0.0])).round(2)
    array([0.99, 0.  ], dtype=float32)
    """
    terms = np.asarray(contributions, dtype=np.float64)
    k = terms.shape[-1]
    masks = sobol_masks(k).astype(np.float64)
    a, b = masks[:DESIGNS], masks[DESIGNS : 2 * DESIGNS]
    spread = ((a - b) ** 2).sum(axis=0) / (2 * DESIGNS)
    covariance = np.atleast_2d(np.cov(a, rowvar=False))
    variance = np.einsum("...i,ij,...j->...", terms, covariance, terms)
    return np.asarray(terms**2 * spread / np.maximum(variance, _EPS)[..., None], np.float32)


def matched_cosine(one: FloatArray, other: FloatArray) -> float:
    """Return how alike two sets of concepts are, each matched with its counterpart.

    Parameters
    ----------
    one, other : ndarray of float, shape (k, D)
        Concept vectors of two runs.

    Returns
    -------
    float
        Mean cosine over the best one-to-one matching; 1 for the same concepts in any order.
    """
    unit = [
        vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _EPS)
        for vectors in (one, other)
    ]
    cosines = unit[0] @ unit[1].T
    # Factorizations number their concepts by chance: compared with the best partner, each once.
    rows, columns = scipy.optimize.linear_sum_assignment(-cosines)
    return float(cosines[rows, columns].mean())


def explained_variance(activations: FloatArray, reconstruction: FloatArray) -> float:
    """Return R², the share of the variance that a reconstruction holds; both (n, D)."""
    residual = float(((activations - reconstruction) ** 2).sum())
    total = float(((activations - activations.mean(axis=0)) ** 2).sum())
    return 1.0 - residual / max(total, _EPS)


def iou_curve(values: FloatArray, truth: BoolMask) -> NDArray[np.float64]:
    """Return the IoU of a map above every one of `THRESHOLDS`, shares of its maximum.

    Parameters
    ----------
    values : ndarray of float, shape (M, N)
        Not negative.
    truth : ndarray of bool, shape (M, N)
        With foreground.

    Returns
    -------
    ndarray of float, shape (49,)
    """
    peak = float(values.max(initial=0.0))
    edges = np.concatenate([[-np.inf], THRESHOLDS * peak, [np.inf]]) if peak > 0 else None
    if edges is None:
        return np.zeros(len(THRESHOLDS))
    above = [
        np.histogram(values[where], edges)[0][::-1].cumsum()[::-1][1:] for where in (truth, ~truth)
    ]
    return np.asarray(above[0] / (truth.sum() + above[1]), np.float64)


def best_mean_iou(maps: Sequence[FloatArray], truths: Sequence[BoolMask]) -> float:
    """Return the mean IoU at the one threshold that suits all maps best; NaN for none."""
    if not maps:
        return math.nan
    curves = [iou_curve(values, truth) for values, truth in zip(maps, truths, strict=True)]
    return float(np.mean(curves, axis=0).max())


def suggest(rows: Sequence[SweepRow]) -> tuple[int, tuple[str, ...]]:
    """Choose one of the settings that were tried.

    Among those whose concepts keep the network's answers and come again in another run, the one
    that localises best; without masks, the one that reconstructs best. Of settings that are as
    good within 0.02 the one with the fewest concepts.

    Parameters
    ----------
    rows : sequence of SweepRow
        At least one.

    Returns
    -------
    index : int
        Of the suggested row.
    reasons : tuple of str
        One sentence each.
    """
    faithful = [i for i, row in enumerate(rows) if row.agreement >= LEAST_AGREEMENT]
    # Faithful first, stable second, quality third; a demand that nothing meets is dropped.
    pool = faithful or list(range(len(rows)))
    # NaN, one run only, counts as stable.
    stable = [i for i in pool if not rows[i].stability < LEAST_STABILITY]
    pool = stable or pool
    with_masks = any(not math.isnan(row.iou) for row in rows)

    def quality(index: int) -> float:
        value = rows[index].iou if with_masks else rows[index].r2
        return -math.inf if math.isnan(value) else value

    top = max(quality(index) for index in pool)
    close = [index for index in pool if quality(index) >= top - _CLOSE]
    # Of settings as good as each other the one with the fewest concepts to look at.
    chosen = min(close, key=lambda index: (rows[index].n_concepts, -quality(index)))
    return chosen, _reasons(rows[chosen], bool(faithful), bool(stable), with_masks)


def _reasons(row: SweepRow, faithful: bool, stable: bool, with_masks: bool) -> tuple[str, ...]:
    reasons = [
        f"Concepts alone keep the class of {row.agreement:.0%} of the images"
        + ("." if faithful else f"; no setting reaches {LEAST_AGREEMENT:.0%}: take care.")
    ]
    if not math.isnan(row.stability):
        reasons.append(
            f"Concepts of two runs agree with cosine {row.stability:.2f}"
            + ("." if stable else f"; none reaches {LEAST_STABILITY}: they depend on the seed.")
        )
    if with_masks:
        reasons.append(f"On the masks it reaches IoU {row.iou:.2f}, best or within {_CLOSE}.")
    else:
        reasons.append(
            f"It holds {row.r2:.0%} of the activations' variance, most or within {_CLOSE:.0%}; "
            "without masks where it looks was not judged."
        )
    reasons.append(f"{row.n_important} of {row.n_concepts} concepts matter (Sobol above 0.01).")
    return tuple(reasons)


def doubts(bank: ConceptBank) -> list[str]:
    """Say why the concepts of a bank mean little, a sentence each; nothing where they do.

    Parameters
    ----------
    bank : ConceptBank
        What a fit found.
    """
    said = []
    if bank.n_images < LEAST_IMAGES:
        images = f"{bank.n_images} image{'s' * (bank.n_images != 1)}"
        said.append(
            f"Fitted on {images}: concepts of so few are parts of these images rather than of the "
            f"class; take {LEAST_IMAGES} or more"
        )
    if bank.r2 < LEAST_R2:
        said.append(
            f"R² {bank.r2:.2f}: the concepts miss most of what the layer says; take more concepts"
        )
    if bank.agreement < LEAST_AGREEMENT:
        said.append(
            f"Agreement {bank.agreement:.0%}: from the concepts alone the network often says "
            "another class, so their importances are not those of its answer; take more concepts "
            "or a later layer"
        )
    return said
