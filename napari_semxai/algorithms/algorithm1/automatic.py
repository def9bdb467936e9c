"""The automatic mask: Algorithm 1 by all of its settings, the same wherever it is asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.algorithm1.ground_truth import (
    Defect,
    combine,
    defect_in,
    no_winner,
    rank,
    touches,
)
from napari_semxai.algorithms.algorithm1.robust import gathered, robust_defect
from napari_semxai.types import GroundTruth
from napari_semxai.types.learned import UNLIKE
from napari_semxai.types.settings import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.types import (
        AlgorithmSettings,
        BoolMask,
        CandidatePool,
        LeftOut,
        SemImage,
    )
    from napari_semxai.types.learned import LearnedMask


def automatic_mask(
    pool: CandidatePool,
    image: SemImage,
    settings: AlgorithmSettings,
    left_out: LeftOut,
    *,
    winner: int | None = None,
    known: Callable[[int], tuple[BoolMask, Defect]] | None = None,
) -> GroundTruth:
    """Return the answer of Algorithm 1, in either variant, over some candidates.

    Parameters
    ----------
    pool : CandidatePool
        The candidates that passed the filters.
    image : SemImage
        Theirs.
    settings : AlgorithmSettings
        Alpha, beta and the variant; what they say of the border is in `left_out`.
    left_out : LeftOut
        Pixels of the complement that count for nothing.
    winner : int, optional
        The candidate that a person chose, whatever the ranking says.
    known : callable, optional
        Returns a winner's mask and the defect in it, from a cache of `stage_two` or by the help
        of a reference (`known_by`).

    Returns
    -------
    GroundTruth
        The mask with every step; an empty mask comes with a reason.
    """
    ranking = rank(
        pool.areas, pool.centroids, pool.shape, alpha=settings.alpha, beta=settings.beta
    )
    flat = winner is None and is_flat(image.gray)
    if winner is not None or flat:
        ranking = replace(ranking, winner=winner)
    if flat:
        surface = np.zeros(pool.shape, dtype=bool)
        defect = Defect(surface, False, "all pixels have the same value, or none")
    elif ranking.winner is None:
        surface = np.zeros(pool.shape, dtype=bool)
        defect = no_winner(pool.shape, len(pool), settings.beta)
    elif known is not None:
        surface, defect = known(ranking.winner)
    else:
        surface = pool.mask(ranking.winner)
        defect = stage_two(settings, image.gray, left_out, pool)(surface)
    return combine(ranking, pool.areas, pool.centroids, surface, defect)


def is_flat(gray: NDArray[np.uint8]) -> bool:
    """Whether an image (M, N) shows nothing: all of its pixels are alike."""
    # The first row tells for nearly all images, so that alpha moves as fast as before.
    return bool((gray[0] == gray[0, 0]).all() and (gray == gray[0, 0]).all())


def stage_two(
    settings: AlgorithmSettings,
    gray: NDArray[np.uint8],
    left_out: LeftOut,
    pool: CandidatePool,
    difference: Difference | None = None,
) -> Callable[[BoolMask], Defect]:
    """Return the function that finds the defect in a surface; alpha and beta do not matter.

    The pool is that of the candidates that passed the filters.
    """
    if settings.algorithm == PAPER:
        return partial(defect_in, connectivity=settings.connectivity, left_out=left_out)
    # The same for all surfaces, and made by the first that asks.
    evidence = cache(partial(gathered, pool, left_out, difference))
    return partial(
        robust_defect,
        gray,
        pool=pool,
        connectivity=settings.connectivity,
        left_out=left_out,
        evidence=evidence,
    )


def known_by(
    settings: AlgorithmSettings,
    gray: NDArray[np.uint8],
    left_out: LeftOut,
    pool: CandidatePool,
    difference: Difference | None,
) -> Callable[[int], tuple[BoolMask, Defect]]:
    """Return `known` of `automatic_mask` for an image that was compared, as for `stage_two`."""
    find = stage_two(settings, gray, left_out, pool, difference)

    def known(winner: int) -> tuple[BoolMask, Defect]:
        surface = pool.mask(winner)
        return surface, find(surface)

    return known


def learned_mask(found: LearnedMask, left_out: LeftOut) -> GroundTruth:
    """Return the answer of a learned network as that of Algorithm 1, without candidates.

    Parameters
    ----------
    found : LearnedMask
        What it says.
    left_out : LeftOut
        Pixels that count for nothing.

    Returns
    -------
    GroundTruth
        The surface is all but the defects. Of images unlike those that it learned from it is not
        known how sure it is.
    """
    mask = left_out.kept(found.mask)
    unlike = found.unlike > UNLIKE
    reason = ""
    if not mask.any():
        reason = f"the learned network sees no defect, confidence {found.confidence:.2f}"
        if unlike:
            reason += "; the image is unlike those that it learned from"
    nothing = np.empty(0)
    return GroundTruth(
        mask=mask,
        winner=None,
        scores=nothing,
        areas=np.empty(0, np.int64),
        centroids=np.empty((0, 2)),
        distances=nothing,
        eligible=np.empty(0, bool),
        surface=~mask,
        touches_edge=touches(mask, left_out),
        reason=reason,
        confidence=None if unlike else found.confidence,
    )
