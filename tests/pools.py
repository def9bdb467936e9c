"""Candidate pools from plain masks, for tests that are not about the network."""

import numpy as np

from napari_semxai.types import CURVE_LEVELS, CandidatePool


def pool_of(masks, predicted_iou=None):
    masks = np.asarray(masks, bool)
    n, rows, columns = masks.shape
    runs, counts, boxes, centroids = [], [], [], []
    for mask in masks:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.ravel(), [0]]).astype(np.int8)))
        runs.append(edges.reshape(-1, 2))
        counts.append(len(edges) // 2)
        r, c = mask.nonzero()
        boxes.append((r.min(), c.min(), r.max() + 1, c.max() + 1) if r.size else (0,) * 4)
        centroids.append((r.mean(), c.mean()) if r.size else (np.nan, np.nan))
    areas = masks.sum(axis=(1, 2))
    return CandidatePool(
        shape=(rows, columns),
        runs=np.concatenate([*runs, np.empty((0, 2))]).astype(np.int32),
        run_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        areas=areas.astype(np.int64),
        centroids=np.array(centroids, float).reshape(n, 2),
        predicted_iou=np.full(n, 0.95, np.float32) if predicted_iou is None else predicted_iou,
        area_curves=np.repeat(areas[:, None], CURVE_LEVELS.size, axis=1).astype(np.int32),
        boxes=np.array(boxes, np.int32).reshape(n, 4),
        points=np.nan_to_num(np.array(centroids, np.float32)).reshape(n, 2),
    )


def scene_masks(shape=(96, 128)):
    """A surface with a defect in it, the defect, and a corner piece."""
    masks = np.zeros((3, *shape), bool)
    masks[1, 40:60, 50:80] = True
    masks[0] = ~masks[1]
    masks[0, :, -3:] = False
    masks[2, :30, :30] = True
    return masks
