"""Candidate pools from plain masks, for tests and benchmarks that are not about the network."""

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


def random_boxes(count, seed, spread=30):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, spread, (count, 2))
    return np.hstack([low, low + rng.integers(1, spread, (count, 2))]).astype(np.int32)


def random_pool(count, seed):
    rng = np.random.default_rng(seed)
    curves = np.sort(rng.integers(0, 5000, (count, CURVE_LEVELS.size)), axis=1)[:, ::-1]
    return CandidatePool(
        shape=(1000, 1000),
        runs=np.empty((0, 2), np.int32),
        run_offsets=np.zeros(count + 1, np.int64),
        areas=curves[:, 64].astype(np.int64),
        centroids=np.zeros((count, 2)),
        predicted_iou=rng.random(count).astype(np.float32),
        area_curves=curves.astype(np.int32),
        boxes=random_boxes(count, seed, 500),
        points=np.zeros((count, 2), np.float32),
    )
