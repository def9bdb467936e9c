"""A more robust stage 2 for Algorithm 1, the default; the paper's is one choice away.

The paper takes the largest component of the surface's complement. Here every component is asked
whether it looks like a defect: by its contrast against the surface around it, the sharpness of
its outline, its size and shape, whether it lies at an edge, and how many others are as large,
because a pattern repeats and a defect seldom does; and whether a click there led to the same: how
like the component the candidate is that is most like it. A logistic model turns that into a
probability. All components that pass are the mask; when none does, the answer is "no defect".
How probable a defect is at all is calibrated on synthetic scenes.

The numbers are fitted, and written here, by ``python -m training.robust``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.ground_truth import (
    Defect,
    touches,
)

if TYPE_CHECKING:
    from napari_semxai.types import BoolMask, CandidatePool, LeftOut

FEATURES = (
    "contrast",
    "outline",
    "size",
    "size squared",
    "fill",
    "edge",
    "repetition",
    "agreement",
)
# The three are written by `training.robust`.
COEFFICIENTS = (-0.4104, 0.6699, 0.8513, 0.0501, -4.9069, -1.49, 1.116, 4.3659)
INTERCEPT = 4.1941
PRESENCE = (0.7235, 1.0583)
"""Slope and offset from the strongest component's log odds to those of a defect at all."""
SMALLEST = 30
"""Pixels of the smallest component that is judged."""
LARGEST = 0.25
"""Share of the image that a candidate of a defect has at most."""
LOWEST_LOGIT = -4.0
"""Evidence where there is nothing to judge."""

_MOST_JUDGED = 200
SIMILAR = np.log(1.6)
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
_STRUCTURES = {4: _CROSS, 8: np.ones((3, 3), dtype=bool)}

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Components of a surface's complement and how they look.

    Attributes
    ----------
    labels : ndarray of int, shape (M, N)
        0 outside of them.
    numbers : ndarray of int64, shape (n,)
        Label of each component that is judged, the largest first.
    features : ndarray of float64, shape (n, f)
        Columns as in `FEATURES`.
    """

    labels: NDArray[np.int32]
    numbers: NDArray[np.int64]
    features: NDArray[np.float64]


def robust_defect(
    gray: NDArray[np.uint8],
    surface: BoolMask,
    pool: CandidatePool,
    *,
    connectivity: int,
    left_out: LeftOut,
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

    Returns
    -------
    Defect
        With `Defect.confidence`, the probability that "defect" or "no defect" is right.
    """
    found = judge_components(gray, surface, pool, connectivity=connectivity, left_out=left_out)
    logits = component_logits(found.features)
    presence = defect_probability(logits)
    if presence < 0.5 or not logits.size:
        reason = f"nothing looks like a defect, confidence {1 - presence:.2f}"
        return Defect(np.zeros_like(surface), False, reason, 1 - presence)
    # A table by label: one look at the picture, however many components are chosen.
    chosen = np.zeros(found.labels.max(initial=0) + 1, dtype=bool)
    # An image that holds a defect has at least its strongest component.
    chosen[found.numbers[(logits >= 0) | (logits == logits.max())]] = True
    mask: BoolMask = chosen[found.labels]
    return Defect(mask, touches(mask, left_out), confidence=presence)


def component_logits(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log odds that each component is a defect, shape (n,)."""
    logits: NDArray[np.float64] = features @ np.array(COEFFICIENTS) + INTERCEPT
    return logits


def defect_probability(
    logits: NDArray[np.float64], presence: tuple[float, float] | None = None
) -> float:
    """Return the calibrated probability that an image with these components holds a defect.

    `presence` is slope and offset; by default `PRESENCE`.
    """
    # Looked up at the call: fitting puts others in its place.
    slope, offset = presence or PRESENCE
    strongest = max(float(logits.max(initial=LOWEST_LOGIT)), LOWEST_LOGIT)
    return float(1 / (1 + np.exp(-(slope * strongest + offset))))


def judge_components(
    gray: NDArray[np.uint8],
    surface: BoolMask,
    pool: CandidatePool,
    *,
    connectivity: int,
    left_out: LeftOut,
) -> Components:
    """Describe the components of a surface's complement; arguments as for `robust_defect`."""
    inside, shown = left_out.window(surface.shape), left_out.seen(surface)
    complement = left_out.kept(~surface)
    labels, _ = scipy.ndimage.label(complement, structure=_STRUCTURES[connectivity])
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    # A noisy surface leaves thousands of specks, which would take seconds to judge.
    order = np.argsort(-areas, kind="stable")[:_MOST_JUDGED]
    numbers = order[areas[order] >= SMALLEST]
    boxes = scipy.ndimage.find_objects(labels)
    rows = [
        appearance(gray, shown, labels[box] == number, box, inside)
        for number, box in ((number, boxes[number - 1]) for number in numbers.tolist())
    ]
    size = np.log10(areas[numbers] / surface.size) if numbers.size else np.empty(0)
    looks = np.array(rows).reshape(len(rows), 4)
    similar = np.abs(size[:, None] - size) * np.log(10) < SIMILAR
    repetition = np.log1p(similar.sum(axis=1) - 1)
    contrast, outline, fill, edge = looks.T
    agreement = _agreement(labels, areas, pool)[numbers]
    features = np.column_stack(
        [contrast, outline, size, size**2, fill, edge, repetition, agreement]
    )
    return Components(labels, numbers, features)


def _agreement(
    labels: NDArray[np.int32], areas: NDArray[np.int64], pool: CandidatePool
) -> NDArray[np.float64]:
    """Return the best IoU of each label's component with a candidate of a defect's size."""
    best = np.zeros(len(areas))
    for index in np.flatnonzero(pool.areas <= LARGEST * labels.size).tolist():
        row0, _, row1, _ = pool.boxes[index].tolist()
        rows = pool.mask_rows(index, row0, row1)
        common = np.bincount(labels[row0:row1][rows], minlength=len(areas))
        iou = common / np.maximum(areas + pool.areas[index] - common, 1)
        best = np.maximum(best, iou)
    return best


def appearance(
    gray: NDArray[np.uint8], surface: BoolMask, component: BoolMask, box: Box, inside: Box
) -> tuple[float, float, float, float]:
    """Return contrast, outline, fill and edge of one component, which is given in its `box`."""
    area = int(np.count_nonzero(component))
    # The surface around it is judged as far away as the component is large.
    reach = max(4, round(0.5 * area**0.5))
    wide = tuple(
        slice(max(part.start - reach - 2, limit.start), min(part.stop + reach + 2, limit.stop))
        for part, limit in zip(box, inside, strict=True)
    )
    region = np.zeros(tuple(side.stop - side.start for side in wide), dtype=bool)
    region[
        tuple(
            slice(part.start - side.start, part.stop - side.start)
            for part, side in zip(box, wide, strict=True)
        )
    ] = component
    values = scipy.ndimage.gaussian_filter(gray[wide].astype(np.float32), 1.0)
    # Without the outline itself, whose blur belongs to both.
    around = surface[wide] & ~scipy.ndimage.binary_dilation(region, iterations=2)
    ring = values[around] if np.count_nonzero(around) >= SMALLEST else gray[surface]
    middle = float(np.median(ring))
    # The median absolute deviation, as a standard deviation: other defects hardly move it.
    # Plus a grey level, for a surface without any noise.
    spread = 1.4826 * float(np.median(np.abs(ring - middle))) + 1.0
    contrast = np.log1p(abs(float(np.median(values[region])) - middle) / spread)
    slopes = np.hypot(*np.gradient(values))
    outline_at = region & ~scipy.ndimage.binary_erosion(region, border_value=1)
    typical = float(np.median(slopes[around])) if around.any() else 0.0
    sharp = float(slopes[outline_at].mean()) if outline_at.any() else 0.0
    outline = np.log((sharp + 1.0) / (typical + 1.0))
    lost = _at_edge(component, box, inside) / area**0.5
    return contrast, outline, area / component.size, min(lost, 3.0)


def _at_edge(component: BoolMask, box: Box, inside: Box) -> int:
    """Count the pixels of a component at the image's edge or the ignored border."""
    rows, columns = box
    sides = (
        (rows.start == inside[0].start, component[0]),
        (rows.stop == inside[0].stop, component[-1]),
        (columns.start == inside[1].start, component[:, 0]),
        (columns.stop == inside[1].stop, component[:, -1]),
    )
    return sum(int(np.count_nonzero(line)) for meets, line in sides if meets)
