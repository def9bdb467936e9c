"""Clicking like a person: one click, then corrections in the middle of the largest error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    from napari_semxai.types import BoolMask


def iou(prediction: BoolMask, truth: BoolMask) -> float:
    """Intersection over union; 1 when both are empty."""
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def inner_point(mask: BoolMask) -> tuple[int, int]:
    """(row, column) of the pixel of the largest component that is farthest from its outline."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count > 1:
        mask = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    distance = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(distance)), mask.shape)
    return int(row), int(column)


def click_ious(
    predictor: SAM2ImagePredictor, truth: BoolMask, corrections: int = 5
) -> list[float]:
    """IoU of the best of three masks after one click, then after each corrective click.

    Parameters
    ----------
    predictor : SAM2ImagePredictor
        With the image set.
    truth : ndarray of bool, shape (M, N)
        What is clicked at; not empty.
    corrections : int
        How many corrective clicks follow.

    Returns
    -------
    list of float
        ``corrections + 1`` values.
    """
    row, column = inner_point(truth)
    points, labels = [[column, row]], [1]
    masks, _, logits = _ask(predictor, points, labels, None)
    values = [iou(mask, truth) for mask in masks]
    best = int(np.argmax(values))
    mask, logit, results = masks[best], logits[best], [values[best]]
    for _ in range(corrections):
        missed, extra = truth & ~mask, mask & ~truth
        if missed.any() or extra.any():
            inside = np.count_nonzero(missed) >= np.count_nonzero(extra)
            row, column = inner_point(missed if inside else extra)
            points.append([column, row])
            labels.append(int(inside))
            masks, _, logits = _ask(predictor, points, labels, logit)
            mask, logit = masks[0], logits[0]
        results.append(iou(mask, truth))
    return results


def _ask(
    predictor: SAM2ImagePredictor,
    points: list[list[int]],
    labels: list[int],
    logit: NDArray[np.float32] | None,
) -> tuple[BoolMask, NDArray[np.float32], NDArray[np.float32]]:
    """Three masks for the first click; one, refined from the last answer, after it."""
    masks, scores, logits = predictor.predict(
        np.array(points, np.float32),
        np.array(labels),
        mask_input=None if logit is None else logit[None],
        multimask_output=logit is None,
    )
    return masks > 0, scores, logits
