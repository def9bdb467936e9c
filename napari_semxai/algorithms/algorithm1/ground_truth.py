"""Algorithm 1: a ground-truth mask from mask candidates.

References
----------
.. [1] KAI, University of Sarajevo and Infineon (2025), Algorithm 1. The values of alpha, beta
   and the connectivity are not published; the defaults here are this project's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.masks.components import check_connectivity, largest_component
from napari_semxai.types import (
    BoolMask,
    Border,
    CandidatePool,
    FloatArray,
    GroundTruth,
    IntArray,
    LeftOut,
)
from napari_semxai.types.settings import DEFAULT_ALPHA, DEFAULT_BETA

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Stage 1 of Algorithm 1: every candidate's score and the winner.

    Attributes
    ----------
    scores, distances : ndarray of float64, shape (n,)
        S_i and d_i; both NaN for an empty candidate.
    eligible : ndarray of bool, shape (n,)
        Whether A_i > beta * M * N.
    winner : int or None
        Index of the best eligible candidate.
    """

    scores: FloatArray
    distances: FloatArray
    eligible: BoolMask
    winner: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Defect:
    """Stage 2 of Algorithm 1: the largest component of the winner's complement.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        The component.
    touches_edge : bool
        Whether it meets the image's edge or what is ignored.
    reason : str
        Why `mask` is empty; "" when it is not.
    confidence : float or None
        Probability that the answer, a defect or none, is right; None where it is not known.
    stability : float or None
        The IoU to expect of the mask; None where it is not known.
    """

    mask: BoolMask
    touches_edge: bool
    reason: str = ""
    confidence: float | None = None
    stability: float | None = None


def ground_truth(
    masks: BoolMask | CandidatePool,
    *,
    alpha: float = DEFAULT_ALPHA,
    beta: float = DEFAULT_BETA,
    connectivity: int = 8,
    ignore_border: int | Border = 0,
    ignored: BoolMask | None = None,
) -> GroundTruth:
    """Choose the surface among mask candidates and return the defect in it (Algorithm 1).

    Stage 1 gives every candidate the score ``S = A * (1 - d) ** alpha``, with its area A and
    the distance d of its centroid from the image centre over the image diagonal, and takes
    the best among those with ``A > beta * M * N``. Stage 2 returns the largest connected
    component of the winner's complement.

    Parameters
    ----------
    masks : ndarray of bool, shape (n, M, N), or CandidatePool
        The candidates; in an array of another type all but 0 is foreground.
    alpha : float
        Centre bias.
    beta : float
        Minimum area as a fraction of the image.
    connectivity : {8, 4}
        Neighbourhood of the components.
    ignore_border : int or tuple of int (top, right, bottom, left)
        Pixels taken from the complement only; areas and centroids stay those of the image.
    ignored : ndarray of bool, shape (M, N), optional
        More such pixels, anywhere.

    Returns
    -------
    GroundTruth
        The mask with every step; an empty mask comes with a reason.

    Raises
    ------
    ValueError
        If `masks` is not three-dimensional, `connectivity` is not 4 or 8, or a border is negative.

    Examples
    --------
    >>> import numpy as np
    >>> surface = np.ones((1, 8, 8), dtype=bool)
    >>> surface[0, 3:5, 3:6] = False
    >>> int(ground_truth(surface).mask.sum())
    6
    """
    check_connectivity(connectivity)
    left_out = LeftOut(as_border(ignore_border), ignored)
    if isinstance(masks, np.ndarray) and masks.dtype != bool:
        # ~1 would be foreground, too.
        masks = masks != 0
    shape, areas, centroids = _measurements(masks)
    ranking = rank(areas, centroids, shape, alpha=alpha, beta=beta)
    surface = winner_mask(masks, ranking.winner)
    if ranking.winner is None:
        defect = no_winner(shape, len(areas), beta)
    else:
        defect = defect_in(surface, connectivity=connectivity, left_out=left_out)
    return combine(ranking, areas, centroids, surface, defect)


def combine(
    ranking: Ranking, areas: IntArray, centroids: FloatArray, surface: BoolMask, defect: Defect
) -> GroundTruth:
    """Put the two stages of Algorithm 1 into one value."""
    return GroundTruth(
        mask=defect.mask,
        winner=ranking.winner,
        scores=ranking.scores,
        areas=areas,
        centroids=centroids,
        distances=ranking.distances,
        eligible=ranking.eligible,
        surface=surface,
        touches_edge=defect.touches_edge,
        reason=defect.reason,
        confidence=defect.confidence,
        stability=defect.stability,
    )


def rank(
    areas: IntArray, centroids: FloatArray, shape: tuple[int, int], *, alpha: float, beta: float
) -> Ranking:
    """Score candidates and find the winner (Algorithm 1, stage 1).

    Parameters
    ----------
    areas : ndarray of int, shape (n,)
        Pixels of each candidate.
    centroids : ndarray of float, shape (n, 2)
        Mean (row, column) of each candidate, in pixel indices.
    shape : tuple of int
        (M, N) of the image.
    alpha, beta : float
        Centre bias and minimum area ratio.

    Returns
    -------
    Ranking
        Scores, distances, eligibility and the winner; ties go to the first.
    """
    centre = (np.asarray(shape) - 1) / 2
    distances = np.linalg.norm(centroids - centre, axis=1) / np.hypot(*shape)
    scores = areas * (1 - distances) ** alpha
    eligible = areas > beta * shape[0] * shape[1]
    # An empty candidate has no centroid, so its score is NaN; argmax would choose it.
    ranked = np.where(eligible & np.isfinite(scores), scores, -np.inf)
    winner = int(np.argmax(ranked)) if np.any(np.isfinite(ranked)) else None
    return Ranking(scores, distances, eligible, winner)


def defect_in(surface: BoolMask, *, connectivity: int, left_out: LeftOut) -> Defect:
    """Return the largest component of a surface's complement (Algorithm 1, stage 2).

    Parameters
    ----------
    surface : ndarray of bool, shape (M, N)
        The winner M_k.
    connectivity : {8, 4}
        Neighbourhood of the components.
    left_out : LeftOut
        Pixels of the complement that count for nothing.

    Returns
    -------
    Defect
        The component, or an empty mask with a reason.
    """
    # Only the complement is cut: areas, centroids and beta are those of the full image.
    mask = largest_component(left_out.kept(~surface), connectivity)
    if mask.any():
        return Defect(mask, touches(mask, left_out))
    if surface.all():
        return Defect(mask, False, "the winning candidate covers the whole image: no defect")
    what = "the ignored border" if left_out.region is None else "what is ignored"
    return Defect(mask, False, f"outside the winning candidate lies only {what}")


def no_winner(shape: tuple[int, int], candidates: int, beta: float) -> Defect:
    """Return the empty mask of an image without a winner, with the reason."""
    reason = (
        f"no candidate is larger than β = {round(beta, 3):g} of the image"
        if candidates
        else "there are no mask candidates"
    )
    return Defect(np.zeros(shape, dtype=bool), False, reason)


def as_border(ignore_border: int | Border) -> Border:
    """Return (top, right, bottom, left) for one number or four.

    Raises
    ------
    ValueError
        If there are not one or four of them, or one is negative.
    """
    values = (ignore_border,) * 4 if isinstance(ignore_border, int) else tuple(ignore_border)
    if len(values) != 4 or min(values) < 0:
        raise ValueError(
            f"ignore_border must be one number or (top, right, bottom, left), each at least 0, "
            f"not {ignore_border!r}"
        )
    return values


def winner_mask(masks: BoolMask | CandidatePool, winner: int | None) -> BoolMask:
    """Return the winner M_k as (M, N) bool; all False without a winner."""
    if winner is None:
        return np.zeros(_shape(masks), dtype=bool)
    # A copy of its own: what becomes of the answer must not reach into the caller's stack.
    return masks.mask(winner) if isinstance(masks, CandidatePool) else masks[winner].copy()


def _measurements(
    masks: BoolMask | CandidatePool,
) -> tuple[tuple[int, int], NDArray[np.int64], NDArray[np.float64]]:
    if isinstance(masks, CandidatePool):
        return masks.shape, masks.areas, masks.centroids
    if masks.ndim != 3:
        raise ValueError(f"masks must have shape (n, M, N), not {masks.shape}")
    rows = np.count_nonzero(masks, axis=2).astype(np.int64)
    columns = np.count_nonzero(masks, axis=1).astype(np.int64)
    areas = rows.sum(axis=1)
    sums = np.stack(
        [rows @ np.arange(masks.shape[1]), columns @ np.arange(masks.shape[2])], axis=1
    )
    # Counts of rows and columns hold all that a centroid needs, without an index for every pixel.
    divisor = np.where(areas > 0, areas, 1)[:, None]
    centroids = np.where(areas[:, None] > 0, sums / divisor, np.nan)
    return _shape(masks), areas, centroids


def _shape(masks: BoolMask | CandidatePool) -> tuple[int, int]:
    rows, columns = masks.shape[-2:]
    return rows, columns


def touches(mask: BoolMask, left_out: LeftOut) -> bool:
    """Return whether a mask meets the image's edge or what is left out."""
    # What ends at the ignored border is cut off as much as what ends at the edge.
    core = mask[left_out.window(mask.shape)]
    sides = (core[:1], core[-1:], core[:, :1], core[:, -1:])
    if any(bool(side.any()) for side in sides):
        return True
    region = left_out.region
    if region is None:
        return False
    return any(
        bool(pixels.any())
        for pixels in (
            mask[1:] & region[:-1],
            mask[:-1] & region[1:],
            mask[:, 1:] & region[:, :-1],
            mask[:, :-1] & region[:, 1:],
        )
    )
