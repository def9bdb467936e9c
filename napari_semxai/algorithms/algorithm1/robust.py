"""A more robust stage 2 for Algorithm 1, the default; the paper's is one choice away.

The paper takes the largest component of the surface's complement. Here every suspect is asked
whether it looks like a defect (`suspects`), also by the best evidence there is: the difference
from a reference, or the map that the bundled network makes of every image. All that are likely
defects are the mask; when none is, the answer is "no defect". How probable a defect is at all is
calibrated on synthetic scenes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.algorithm1 import suspects
from napari_semxai.algorithms.algorithm1.evidence import SAID, differing, seen_defects
from napari_semxai.algorithms.algorithm1.ground_truth import Defect, touches
from napari_semxai.algorithms.algorithm1.suspects import LOOKS, judge_suspects

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.evidence import Evidence
    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.algorithms.algorithm1.suspects import Suspects
    from napari_semxai.types import BoolMask, CandidatePool, LeftOut

_EDGE = LOOKS.index("edge")
_PART = len(LOOKS) + SAID.index("part")


def robust_defect(
    gray: NDArray[np.uint8],
    surface: BoolMask,
    pool: CandidatePool,
    *,
    connectivity: int,
    left_out: LeftOut,
    evidence: Callable[[], Evidence | None] | None = None,
) -> Defect:
    """Return all defects in a surface, or none, with a confidence.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    surface : ndarray of bool, shape (M, N)
        The winner M_k of stage 1.
    pool : CandidatePool
        The candidates that passed the filters.
    connectivity : {8, 4}
        Neighbourhood of the components.
    left_out : LeftOut
        Pixels of the complement that count for nothing.
    evidence : callable, optional
        Returns `gathered`, which is the same for all surfaces; by default it is made.

    Returns
    -------
    Defect
        With `Defect.confidence`, the probability that "defect" or "no defect" is right.
    """
    shown = gathered(pool, left_out) if evidence is None else evidence()
    found = judge_suspects(
        gray, surface, pool, shown, connectivity=connectivity, left_out=left_out
    )
    return defect_of(found, shown, left_out, surface.shape)


def gathered(
    pool: CandidatePool, left_out: LeftOut, difference: Difference | None = None
) -> Evidence | None:
    """Return the best evidence there is: a difference, or else the network's map, or none."""
    if difference is not None and not difference.reason:
        return differing(difference, left_out, pool.compared_logits)
    if pool.defect_logits is not None:
        return seen_defects(pool.defect_logits, pool.shape, left_out)
    return None


def defect_of(
    found: Suspects, evidence: Evidence | None, left_out: LeftOut, shape: tuple[int, ...]
) -> Defect:
    """Return the defect that suspects make in an image of `shape`, or none."""
    model = suspects.SEEN
    if evidence is None or evidence.picture is not None:
        model = suspects.PLAIN if evidence is None else suspects.COMPARED
    mask = np.zeros(shape, dtype=bool)
    logits = model.logits(found.features)
    presence = model.probability(logits)
    if presence < 0.5 or not logits.size:
        reason = f"nothing looks like a defect, confidence {1 - presence:.2f}"
        return Defect(mask, False, reason, 1 - presence)
    numbers = found.chosen(logits)
    for number in _beyond_doubt(found, evidence):
        if not any(found.common(number, other) for other in numbers):
            numbers.append(number)
    for number in numbers:
        box, outline = found.boxes[number], found.masks[number]
        if model is suspects.COMPARED:
            box, outline = found.mean_outline(number, logits)
        mask[box] |= outline
    if evidence is not None:
        mask = evidence.drawn(mask)
    steady = evidence.stability if evidence is not None else None
    return Defect(mask, touches(mask, left_out), confidence=presence, stability=steady)


def _beyond_doubt(found: Suspects, evidence: Evidence | None) -> list[int]:
    """Return the parts that stand out so much that they are defects.

    However small and faint they look; parts at an edge are none.
    """
    if evidence is None or evidence.clear == np.inf:
        return []
    inner = (found.features[:, _EDGE] == 0) & (found.features[:, _PART] == 1)
    return [
        number
        for number in np.flatnonzero(inner).tolist()
        if evidence.values[found.boxes[number]][found.masks[number]].max() > evidence.clear
    ]
