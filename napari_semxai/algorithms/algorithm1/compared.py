"""The robust variant where an image can be compared: what differs from the reference decides.

Judged are the components of the surface's complement, as without a reference, the parts that
differ, and the candidates that lie on those, because the network draws outlines better than a
difference does, whose shadows differ, too. The eight numbers of `robust` and how much each of
them differs, inside and around, are turned into the IoU to expect with a defect. The best comes
first, and what overlaps with a better one is left out.

The numbers are fitted, and written here, by ``python -m training.compared``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.ground_truth import Defect, touches
from napari_semxai.algorithms.algorithm1.reference import NEAR, SAME, outlined
from napari_semxai.algorithms.algorithm1.robust import (
    LARGEST,
    SIMILAR,
    SMALLEST,
    Box,
    Components,
    appearance,
    defect_probability,
    judge_components,
)
from napari_semxai.types import BoolMask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.types import CandidatePool, LeftOut

FEATURES = (
    "contrast",
    "outline",
    "size",
    "size squared",
    "fill",
    "edge",
    "repetition",
    "agreement",
    "difference",
    "difference around",
    "match",
    "coverage",
    "share",
    "part",
    "size by difference",
    "contrast of the difference",
    "outline of the difference",
)
COEFFICIENTS = (
    -0.167,
    -0.1819,
    0.3302,
    -0.0364,
    -0.6399,
    -2.2663,
    -0.4523,
    3.2744,
    -0.8988,
    0.3207,
    2.2473,
    0.2112,
    2.6191,
    -1.1978,
    -0.2594,
    -0.1533,
    0.6667,
)
INTERCEPT = -2.1383
PRESENCE = (1.2384, 1.5959)
"""Slope and offset from the strongest suspect's log odds to those of a defect at all."""
CLEAR = 5.0
"""Units of the noise by which a part differs that is taken beside a stronger defect."""

_MOST_COMPONENTS = 30
_MOST_PARTS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """What may be a defect, and how it looks.

    Attributes
    ----------
    boxes : list of tuple of slice
        Where each lies.
    masks : list of ndarray of bool
        Its pixels in its box.
    features : ndarray of float64, shape (n, f)
        Columns as in `FEATURES`.
    """

    boxes: list[Box]
    masks: list[BoolMask]
    features: NDArray[np.float64]


def compared_defect(
    gray: NDArray[np.uint8],
    surface: BoolMask,
    pool: CandidatePool,
    difference: Difference,
    *,
    connectivity: int,
    left_out: LeftOut,
) -> Defect:
    """Return all defects by the help of a reference, or none, with a confidence.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    surface : ndarray of bool, shape (M, N)
        The winner M_k of stage 1.
    pool : CandidatePool
        The candidates that passed the filters.
    difference : Difference
        From the reference, without a reason.
    connectivity : {8, 4}
        Neighbourhood of the components.
    left_out : LeftOut
        Pixels that count for nothing.
    """
    found = judge_suspects(
        gray, surface, pool, difference, connectivity=connectivity, left_out=left_out
    )
    logits = suspect_logits(found.features)
    presence = defect_probability(logits, PRESENCE)
    if presence < 0.5 or not logits.size:
        reason = f"nothing differs as a defect does, confidence {1 - presence:.2f}"
        return Defect(np.zeros_like(surface), False, reason, 1 - presence)
    mask = mask_of(found, logits, difference)
    return Defect(mask, touches(mask, left_out), confidence=presence)


def mask_of(found: Suspects, logits: NDArray[np.float64], difference: Difference) -> BoolMask:
    """Return the mask of an image that holds a defect, from its suspects and their log odds."""
    mask = np.zeros(difference.parts.shape, dtype=bool)
    numbers = chosen(found, logits)
    if not difference.itself:
        # Beside another picture what differs beyond doubt is a defect, however small and faint.
        inner = found.features[:, FEATURES.index("edge")] == 0
        parts = found.features[:, FEATURES.index("part")] == 1
        numbers += [
            number
            for number in np.flatnonzero(inner & parts).tolist()
            if difference.strength[found.boxes[number]][found.masks[number]].max() > CLEAR
            and not any(_common(found, number, other) for other in numbers)
        ]
    for number in numbers:
        mask[found.boxes[number]] |= found.masks[number]
    return mask


def suspect_logits(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log odds of the IoU to expect of each suspect with a defect, shape (n,)."""
    logits: NDArray[np.float64] = features @ np.array(COEFFICIENTS) + INTERCEPT
    return logits


def chosen(found: Suspects, logits: NDArray[np.float64]) -> list[int]:
    """Return the numbers of the suspects that make the mask, the best first."""
    taken: list[int] = []
    for number in np.argsort(-logits, kind="stable").tolist():
        if taken and logits[number] < 0:
            break
        area = np.count_nonzero(found.masks[number])
        if all(
            _common(found, number, other) < 0.3 * min(area, np.count_nonzero(found.masks[other]))
            for other in taken
        ):
            taken.append(number)
    return taken


def judge_suspects(
    gray: NDArray[np.uint8],
    surface: BoolMask,
    pool: CandidatePool,
    difference: Difference,
    *,
    connectivity: int,
    left_out: LeftOut,
) -> Suspects:
    """Describe what may be a defect; arguments as for `compared_defect`."""
    inside, shown = left_out.window(surface.shape), left_out.seen(surface)
    if left_out.region is not None:
        difference = _outside(difference, left_out.region)
    components = judge_components(
        gray, surface, pool, connectivity=connectivity, left_out=left_out
    )
    kinds = [
        _components(components),
        _parts(difference, inside),
        _candidates(pool, difference, left_out),
    ]
    boxes = [box for kind in kinds for box in kind[0]]
    masks = [mask for kind in kinds for mask in kind[1]]
    suspects = Suspects(boxes, masks, np.empty((len(boxes), len(FEATURES))))
    parts = range(len(kinds[0][0]), len(boxes) - len(kinds[2][0]))
    areas = np.array([np.count_nonzero(mask) for mask in masks], dtype=np.float64)
    everywhere, signed = left_out.seen(np.ones_like(surface)), difference.signed
    log_strength = np.log(np.maximum(difference.strength, np.float32(0.3)))
    total = float(np.maximum(difference.strength - 1.5, 0).sum()) + 1
    part_areas = np.bincount(difference.parts.ravel())
    for number, (box, mask) in enumerate(zip(boxes, masks, strict=True)):
        contrast, outline, fill, edge = appearance(gray, shown, mask, box, inside)
        looks = appearance(signed, everywhere, mask, box, inside)
        size = float(np.log10(areas[number] / surface.size))
        inner, around = _differs(log_strength, mask, box)
        similar = np.abs(np.log(areas / areas[number])) < SIMILAR
        suspects.features[number] = (
            contrast,
            outline,
            size,
            size**2,
            fill,
            edge,
            np.log1p(np.count_nonzero(similar) - 1),
            _agreement(suspects, number, areas, range(parts.stop, len(boxes))),
            inner,
            around,
            *_matches(difference.parts, part_areas, mask, box),
            float(np.maximum(difference.strength[box][mask] - 1.5, 0).sum()) / total,
            float(number in parts),
            size * inner,
            *looks[:2],
        )
    return suspects


def _outside(difference: Difference, region: BoolMask) -> Difference:
    """Return a difference that shows nothing in a region (M, N)."""
    return replace(
        difference,
        strength=np.where(region, np.float32(0), difference.strength),
        parts=np.where(region, 0, difference.parts),
        signed=np.where(region, np.uint8(SAME), difference.signed),
    )


def _components(found: Components) -> tuple[list[Box], list[BoolMask]]:
    boxes = scipy.ndimage.find_objects(found.labels)
    numbers = found.numbers[:_MOST_COMPONENTS].tolist()
    own = [boxes[number - 1] for number in numbers]
    masks = [found.labels[box] == number for number, box in zip(numbers, own, strict=True)]
    return own, masks


def _parts(difference: Difference, inside: Box) -> tuple[list[Box], list[BoolMask]]:
    boxes, masks = [], []
    for number, box in enumerate(scipy.ndimage.find_objects(difference.parts)[:_MOST_PARTS], 1):
        if box is None:
            # All of it is ignored.
            continue
        rows, columns = (
            slice(max(side.start - NEAR, limit.start), min(side.stop + NEAR, limit.stop))
            for side, limit in zip(box, inside, strict=True)
        )
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        part = difference.parts[rows, columns] == number
        mask = outlined(difference.units((rows, columns)), part)
        if np.count_nonzero(mask) >= SMALLEST:
            (tight,) = scipy.ndimage.find_objects(mask.astype(np.uint8))
            masks.append(mask[tight])
            boxes.append(_moved(tight, rows.start, columns.start))
    return boxes, masks


def _moved(box: Box, row: int, column: int) -> Box:
    rows, columns = box
    return (
        slice(rows.start + row, rows.stop + row),
        slice(columns.start + column, columns.stop + column),
    )


def _candidates(
    pool: CandidatePool, difference: Difference, left_out: LeftOut
) -> tuple[list[Box], list[BoolMask]]:
    """Return the candidates that lie on what differs."""
    boxes, masks = [], []
    inside = left_out.window(difference.parts.shape)
    fitting = (pool.areas >= SMALLEST) & (pool.areas <= LARGEST * difference.parts.size)
    for index in np.flatnonzero(fitting).tolist():
        row0, column0, row1, column1 = pool.boxes[index].tolist()
        rows, columns = (
            slice(max(start, limit.start), min(stop, limit.stop))
            for start, stop, limit in zip((row0, column0), (row1, column1), inside, strict=True)
        )
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        mask = pool.mask_rows(index, row0, row1)[rows.start - row0 : rows.stop - row0, columns]
        if left_out.region is not None:
            mask &= ~left_out.region[rows, columns]
        differs = np.count_nonzero(difference.parts[rows, columns][mask])
        area = np.count_nonzero(mask)
        if area >= SMALLEST and differs > min(SMALLEST, 0.2 * area):
            boxes.append((rows, columns))
            masks.append(mask)
    return boxes, masks


def _common(found: Suspects, one: int, other: int) -> int:
    """Count the pixels that two suspects share."""
    both = []
    for first, second in zip(found.boxes[one], found.boxes[other], strict=True):
        both.append(slice(max(first.start, second.start), min(first.stop, second.stop)))
        if both[-1].start >= both[-1].stop:
            return 0
    parts = [
        found.masks[number][
            tuple(
                slice(part.start - box.start, part.stop - box.start)
                for part, box in zip(both, found.boxes[number], strict=True)
            )
        ]
        for number in (one, other)
    ]
    return int(np.count_nonzero(parts[0] & parts[1]))


def _agreement(
    found: Suspects, number: int, areas: NDArray[np.float64], candidates: Sequence[int]
) -> float:
    """Return the best IoU with another suspect that is a candidate."""
    best = 0.0
    for other in candidates:
        smaller, larger = sorted((areas[number], areas[other]))
        if other != number and smaller > best * larger:
            common = _common(found, number, other)
            best = max(best, common / (smaller + larger - common))
    return best


def _differs(log_strength: NDArray[np.float32], mask: BoolMask, box: Box) -> tuple[float, float]:
    """Return the mean logarithm of the difference's strength inside, and in a ring around."""
    wide = tuple(slice(max(0, side.start - 7), side.stop + 7) for side in box)
    values = log_strength[wide]
    region = np.zeros(values.shape, dtype=bool)
    rows, columns = (side.start - own.start for side, own in zip(box, wide, strict=True))
    region[rows : rows + mask.shape[0], columns : columns + mask.shape[1]] = mask
    near = scipy.ndimage.binary_dilation(region, iterations=2)
    ring = scipy.ndimage.binary_dilation(near, iterations=4) & ~near
    around = float(values[ring].mean()) if ring.any() else 0.0
    return float(values[region].mean()), around


def _matches(
    parts: NDArray[np.int32], areas: NDArray[np.int64], mask: BoolMask, box: Box
) -> tuple[float, float]:
    """Return the IoU with the parts that it touches, and the share that lies in them."""
    within = np.bincount(parts[box][mask], minlength=len(areas))
    within[0] = 0
    common = int(within.sum())
    size = int(np.count_nonzero(mask))
    touched = int(areas[within > 0].sum())
    return common / max(size + touched - common, 1), common / size
