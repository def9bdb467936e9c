"""Select mask candidates from a pool as SAM 2's automatic mask generator does, without torch.

References
----------
.. [1] N. Ravi et al., "SAM 2: Segment Anything in Images and Videos", arXiv:2408.00714.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import CandidatePool, FilterSettings

CROP_NMS_THRESH = 0.7
"""Box IoU above which a mask found in two crops is kept once, as in the reference."""
BLOCK = 64
"""Boxes compared at once with all boxes of similar area."""


def filter_candidates(pool: CandidatePool, settings: FilterSettings) -> NDArray[np.int64]:
    """Return the indices of the candidates that pass, in the reference generator's order.

    Parameters
    ----------
    pool : CandidatePool
        Every decoded mask; complete down to its predicted-IoU floor.
    settings : FilterSettings
        Thresholds; a threshold of 0 or less filters nothing.

    Returns
    -------
    ndarray of int64, shape (k,)
        By falling predicted IoU; with crops, smaller crops first. Candidates that a comparison
        proposed come last, and all of them: the difference vouches for those.
    """
    if pool.proposed is not None:
        grid = np.flatnonzero(~pool.proposed)
        others = replace(pool.take(grid), proposed=None)
        passed = grid[filter_candidates(others, settings)]
        return np.concatenate([passed, np.flatnonzero(pool.proposed)])
    # Comparisons in 32 bits, strict or not, as the reference has them: a candidate that lies
    # exactly on a threshold must fall on the same side.
    keep = np.ones(len(pool), dtype=bool)
    if settings.pred_iou_thresh > 0:
        keep &= pool.predicted_iou > np.float32(settings.pred_iou_thresh)
    if settings.stability_score_thresh > 0:
        stability = pool.stability(settings.stability_score_offset)
        keep &= stability >= np.float32(settings.stability_score_thresh)
    passed = np.flatnonzero(keep)
    boxes = pool.boxes[passed]
    scores = pool.predicted_iou[passed]
    crops = pool.crop_boxes
    if crops is None or len(passed) == 0:
        return passed[non_maximum_suppression(boxes, scores, settings.box_nms_thresh)]
    return passed[_suppress_crops(boxes, scores, crops[passed], settings.box_nms_thresh)]


def _suppress_crops(
    boxes: NDArray[np.int32],
    scores: NDArray[np.float32],
    crops: NDArray[np.int32],
    threshold: float,
) -> NDArray[np.int64]:
    """Suppress within each crop by predicted IoU, then between crops by the crops' size."""
    changes = np.flatnonzero((crops[1:] != crops[:-1]).any(axis=1)) + 1
    groups = np.split(np.arange(len(crops)), changes)
    # Crops of a pool stand together, in the order of the reference.
    kept = np.concatenate(
        [
            group[non_maximum_suppression(boxes[group], scores[group], threshold)]
            for group in groups
        ]
    )
    # Small crops win over large ones: what they found is finer.
    sizes = (crops[kept, 2:] - crops[kept, :2]).prod(axis=1).astype(np.float32)
    return kept[non_maximum_suppression(boxes[kept], 1 / sizes, CROP_NMS_THRESH)]


def non_maximum_suppression(
    boxes: NDArray[np.int32], scores: NDArray[np.float32], threshold: float
) -> NDArray[np.int64]:
    """Drop boxes that overlap a better one, as ``torchvision.ops.nms`` does.

    Parameters
    ----------
    boxes : ndarray of int32, shape (n, 4)
        (row0, col0, row1, col1), half open; compared by their first and last pixels.
    scores : ndarray of float32, shape (n,)
        Better is larger; of equal scores the first one wins.
    threshold : float
        Largest box IoU allowed with a better box.

    Returns
    -------
    ndarray of int64, shape (k,)
        Kept boxes by falling score.
    """
    order = np.argsort(-scores, kind="stable")
    first, second = _overlapping(boxes[order], threshold)
    dropped = np.zeros(len(order), dtype=bool)
    starts = np.searchsorted(first, np.arange(len(order) + 1))
    for better in np.unique(first).tolist():
        if not dropped[better]:
            dropped[second[starts[better] : starts[better + 1]]] = True
    return order[~dropped]


def _overlapping(
    boxes: NDArray[np.int32], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (i < j, sorted by i) of boxes whose IoU exceeds `threshold`.

    The IoU of two boxes is at most the ratio of their areas, so that only boxes of similar
    area are compared.
    """
    low = boxes[:, :2].astype(np.float32)
    # The reference's boxes end on their last pixel, ours one past it.
    high = np.maximum(boxes[:, 2:] - 1, boxes[:, :2]).astype(np.float32)
    size = high - low
    areas = size[:, 1] * size[:, 0]
    # IoU is at most the ratio of the areas: sorted by area, only neighbours can overlap enough,
    # which is a small part of all pairs.
    order = np.argsort(areas, kind="stable")
    sides = np.concatenate([low, high, areas[:, None]], axis=1)[order].T.copy()
    # A little more than 1 / threshold, for the rounding of the areas.
    largest = sides[4].astype(np.float64) * (1.001 / max(threshold, 1e-6))
    stops = np.searchsorted(sides[4], largest, side="right")
    pairs = [np.empty((2, 0), np.int64)]
    for start in range(0, len(boxes), BLOCK):
        stop = min(start + BLOCK, len(boxes))
        iou = _box_iou(sides[:, start:stop, None], sides[:, None, start : stops[stop - 1]])
        one, other = np.nonzero(iou > np.float64(threshold))
        later = other > one
        found = order[np.stack([one[later], other[later]]) + start]
        pairs.append(np.sort(found, axis=0))
    both = np.concatenate(pairs, axis=1)
    both = both[:, np.argsort(both[0], kind="stable")]
    return both[0], both[1]


def _box_iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of boxes (row0, col0, row1, col1, area) along the first axis; NaN for two of no area."""
    rows = np.minimum(one[2], other[2]) - np.maximum(one[0], other[0])
    columns = np.minimum(one[3], other[3]) - np.maximum(one[1], other[1])
    inter = np.maximum(columns, 0) * np.maximum(rows, 0)
    with np.errstate(invalid="ignore"):
        iou: NDArray[np.float32] = inter / (one[4] + other[4] - inter)
    return iou


def same_candidate(before: CandidatePool, index: int, after: CandidatePool) -> int | None:
    """Return where a candidate stands in a pool that grew or was made anew; None if nowhere."""
    same_area = after.areas == before.areas[index]
    same_box = (after.boxes == before.boxes[index]).all(axis=1)
    # Decoding a mask from its runs is slow: only those that may be the same one.
    for row in np.flatnonzero(same_area & same_box).tolist():
        if np.array_equal(after.mask(row), before.mask(index)):
            return int(row)
    return None
