"""Concepts of CRAFT as arrays: their importance, and how they match between runs.

References
----------
.. [1] T. Fel et al., "CRAFT: Concept Recursive Activation FacTorization for Explainability",
   CVPR 2023.
.. [2] M. J. W. Jansen, "Analysis of variance designs for model output", Computer Physics
   Communications 117, 1999.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import qmc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import FloatArray

DESIGNS = 32
"""Rows of each of the two sampling matrices, as in xplique."""
_EPS = 1e-12


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
    both = qmc.Halton(2 * n_concepts, scramble=False).random(designs).astype(np.float32)
    a, b = both[:, :n_concepts], both[:, n_concepts:]
    c = np.repeat(a[None], n_concepts, axis=0)
    for concept in range(n_concepts):
        c[concept, :, concept] = b[:, concept]
    masks: NDArray[np.float32] = np.concatenate([a, b, c.reshape(-1, n_concepts)])
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
    rows, columns = linear_sum_assignment(-cosines)
    return float(cosines[rows, columns].mean())


def explained_variance(activations: FloatArray, reconstruction: FloatArray) -> float:
    """Return R², the share of the variance that a reconstruction holds; both (n, D)."""
    residual = float(((activations - reconstruction) ** 2).sum())
    total = float(((activations - activations.mean(axis=0)) ** 2).sum())
    return 1.0 - residual / max(total, _EPS)
