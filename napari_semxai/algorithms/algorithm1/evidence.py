"""What speaks for a defect at each pixel: the bundled network's map, a difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.appearance import SMALLEST, Box, grown
from napari_semxai.algorithms.algorithm1.reference import NEAR, SAME, outlined
from napari_semxai.types import DEFECT_STEPS, BoolMask

if TYPE_CHECKING:
    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.types import LeftOut

WEAK = -2.0
"""Log odds from which the network's map has a part where it has nothing stronger."""
SAID = ("inside", "around", "match", "coverage", "share", "part", "size by inside")
"""What an evidence says of a suspect."""
BESIDE = ("likely inside", "likely around", "likely share", "likely match", "drawn", "itself")
"""What the map that knows the reference says of a suspect, whether it is a part of that, and
whether the image is its own reference."""
CLEAR = 5.0
"""Units of the noise by which a part differs that is taken beside a stronger defect."""

_MOST_PARTS = 12
_VOTE = 1.0
# Log odds up and down by which a mask is judged: the score is then the IoU to expect.
_OFFSET = 2.0
# Units by which things differ that are alike.
_NOISE = 1.5


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for a defect at each pixel of an image (M, N).

    Attributes
    ----------
    values : ndarray of float32, shape (M, N)
        Its strength, as a logarithm; log odds without a picture.
    parts : ndarray of int32, shape (M, N)
        What stands out, each part with a number of its own; 0 elsewhere.
    boxes : list of tuple of slice
        Where each part lies, as it is judged.
    masks : list of ndarray of bool
        Its pixels in its box.
    picture : ndarray of uint8, shape (M, N), optional
        In which parts have contrast and an outline.
    clear : float
        Value from which a part is a defect in any case.
    map : Evidence, optional
        The network's map that knows the picture, too.
    itself : bool
        Whether the picture is the image's difference from itself.
    """

    values: NDArray[np.float32]
    parts: NDArray[np.int32]
    boxes: list[Box]
    masks: list[BoolMask]
    picture: NDArray[np.uint8] | None = None
    clear: float = np.inf
    map: Evidence | None = None
    itself: bool = False

    @cached_property
    def _total(self) -> float:
        return float(self._weights(self.values).sum()) + 1

    @cached_property
    def _areas(self) -> NDArray[np.intp]:
        return np.bincount(self.parts.ravel())

    def _weights(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how much of all evidence lies where it has these values."""
        if self.picture is None:
            found: NDArray[np.float32] = scipy.special.expit(values)
        else:
            found = np.maximum(np.exp(values) - np.float32(_NOISE), np.float32(0))
        return found

    @cached_property
    def stability(self) -> float | None:
        """The IoU to expect of the mask, which log odds tell and differences do not."""
        return stability(self.values) if self.picture is None else None

    def said(self, mask: BoolMask, box: Box, size: float, part: bool) -> list[float]:
        """Return the columns `SAID` of a suspect, which is one of the parts or not."""
        within, around = _inside_and_around(self.values, mask, box)
        share = float(self._weights(self.values[box][mask]).sum()) / self._total
        return [within, around, *self._matches(mask, box), share, float(part), size * within]

    def beside(self, mask: BoolMask, box: Box, drawn: bool) -> list[float]:
        """Return the columns `BESIDE` of a suspect; NaN where there is no map."""
        said = [np.nan] * 4
        if self.map is not None:
            odds = self.map.values
            share = np.count_nonzero(odds[box][mask] > 0) / np.count_nonzero(mask)
            match, _ = self.map._matches(mask, box)
            said = [*_inside_and_around(odds, mask, box), share, match]
        return [*said, float(drawn), float(self.itself)]

    def _matches(self, mask: BoolMask, box: Box) -> tuple[float, float]:
        """Return the IoU with the parts that it touches, and the share that lies in them."""
        within = np.bincount(self.parts[box][mask], minlength=len(self._areas))
        within[0] = 0
        common = int(within.sum())
        size = int(np.count_nonzero(mask))
        touched = int(self._areas[within > 0].sum())
        return common / max(size + touched - common, 1), common / size

    def drawn(self, mask: BoolMask) -> BoolMask:
        """Return a mask (M, N) as log odds draw it: it is one opinion of two on each pixel."""
        if self.picture is not None:
            return mask
        both = self.values + np.where(mask, np.float32(_VOTE), np.float32(-_VOTE)) > 0
        labels, _ = scipy.ndimage.label(both, np.ones((3, 3)))
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        drawn: BoolMask = (areas >= SMALLEST)[labels]
        return drawn if drawn.any() else mask


def stability(values: NDArray[np.float32]) -> float:
    """Return the IoU to expect of the mask that log odds (M, N) mean.

    SAM's stability score: pixels that a higher threshold keeps, of those that a lower one takes.

    References
    ----------
    .. [1] A. Kirillov et al., "Segment Anything", ICCV 2023, appendix B.
    """
    kept, taken = (int(np.count_nonzero(values > level)) for level in (_OFFSET, -_OFFSET))
    return kept / max(taken, 1)


def _inside_and_around(
    values: NDArray[np.float32], mask: BoolMask, box: Box
) -> tuple[float, float]:
    """Return the mean of an evidence inside, and in a ring around."""
    wide = tuple(slice(max(0, side.start - 7), side.stop + 7) for side in box)
    shown = values[wide]
    region = np.zeros(shown.shape, dtype=bool)
    rows, columns = (side.start - own.start for side, own in zip(box, wide, strict=True))
    region[rows : rows + mask.shape[0], columns : columns + mask.shape[1]] = mask
    near = grown(region, 2)
    ring = grown(near, 4) & ~near
    around = float(shown[ring].mean()) if ring.any() else 0.0
    return float(shown[region].mean()), around


def seen_defects(logits: NDArray[np.int8], shape: tuple[int, int], left_out: LeftOut) -> Evidence:
    """Return a map of a `CandidatePool` as evidence of an image of `shape`."""
    values: NDArray[np.float32] = np.divide(logits, DEFECT_STEPS, dtype=np.float32)
    if values.shape != shape:
        factors = [large / small for large, small in zip(shape, values.shape, strict=True)]
        values = scipy.ndimage.zoom(values, factors, order=1, grid_mode=True, mode="nearest")
    values[~left_out.kept(np.ones(shape, bool))] = -8
    parts = _parts_of(values)
    boxes = scipy.ndimage.find_objects(parts)
    masks = [parts[box] == number for number, box in enumerate(boxes, 1)]
    return Evidence(values, parts, boxes, masks)


def _parts_of(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the parts of a map of log odds, the largest ones, numbered from 1."""
    square = np.ones((3, 3), bool)
    labels, _ = scipy.ndimage.label(values > WEAK, square)
    strong = np.unique(labels[values > 0])
    # Where a part has a middle that is likelier than not, its faint rim is no part of it.
    faint = np.ones(labels.max() + 1, bool)
    faint[0] = faint[strong] = False
    labels, _ = scipy.ndimage.label((values > 0) | faint[labels], square)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    order = np.argsort(-areas, kind="stable")[:_MOST_PARTS]
    numbers = np.zeros(len(areas), np.int32)
    kept = order[areas[order] >= SMALLEST]
    numbers[kept] = np.arange(1, len(kept) + 1)
    found: NDArray[np.int32] = numbers[labels]
    return found


def _outside(difference: Difference, region: BoolMask) -> Difference:
    """Return a difference that shows nothing in a region (M, N)."""
    return replace(
        difference,
        strength=np.where(region, np.float32(0), difference.strength),
        parts=np.where(region, 0, difference.parts),
        signed=np.where(region, np.uint8(SAME), difference.signed),
    )


def differing(
    difference: Difference, left_out: LeftOut, logits: NDArray[np.int8] | None = None
) -> Evidence:
    """Return a difference as evidence, and beside it `CandidatePool.compared_logits`.

    A shadow differs, too: parts end where the difference is a third of its own strength nearby,
    and candidates draw outlines better.
    """
    if left_out.region is not None:
        difference = _outside(difference, left_out.region)
    shape = (difference.parts.shape[0], difference.parts.shape[1])
    boxes, masks = _parts(difference, left_out.window(shape))
    return Evidence(
        np.log(np.maximum(difference.strength, np.float32(0.3))),
        difference.parts,
        boxes,
        masks,
        difference.signed,
        np.inf if difference.itself else np.log(CLEAR),
        None if logits is None else seen_defects(logits, shape, left_out),
        difference.itself,
    )


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
