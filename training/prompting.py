"""Clicking like a person: one click, then corrections in the middle of the largest error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.backends.sam2.clicks import answer_prompts, answers
from napari_semxai.types import Prompts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.backends.sam2.segmenter import Segmenter
    from napari_semxai.types import BoolMask

LEAST = 40
"""Pixels that something clicked at has more than."""


def iou(prediction: BoolMask, truth: BoolMask) -> float:
    """Intersection over union; 1 when both are empty."""
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def defects_to_click(scene: Scene) -> list[BoolMask]:
    """Return the single defects of a scene that are large enough to click at."""
    return [r.mask for r in scene.regions if r.kind == "defect" and r.mask.sum() > LEAST]


def inner_point(mask: BoolMask) -> tuple[int, int]:
    """(row, column) of the pixel of the largest component that is farthest from its outline."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count > 1:
        mask = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    distance = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(distance)), mask.shape)
    return int(row), int(column)


def click_ious(
    segmenter: Segmenter, image: NDArray[np.uint8], truth: BoolMask, corrections: int = 5
) -> list[float]:
    """IoU of the best answer to one click, then after each corrective click, as the tool answers.

    Parameters
    ----------
    segmenter : Segmenter
        The network.
    image : ndarray of uint8, shape (M, N)
        The picture.
    truth : ndarray of bool, shape (M, N)
        What is clicked at; not empty.
    corrections : int
        How many corrective clicks follow.

    Returns
    -------
    list of float
        ``corrections + 1`` values.
    """
    prompts = Prompts((inner_point(truth),), (True,))
    offered = [answer.mask for answer in answers(segmenter, image, prompts)]
    values = [iou(mask, truth) for mask in offered]
    mask, results = offered[int(np.argmax(values))], [max(values)]
    for _ in range(corrections):
        missed, extra = truth & ~mask, mask & ~truth
        if missed.any() or extra.any():
            inside = np.count_nonzero(missed) >= np.count_nonzero(extra)
            place = inner_point(missed if inside else extra)
            said = (*prompts.foreground, inside)
            prompts = Prompts((*prompts.points, place), said)
            mask = answer_prompts(segmenter, image, prompts, mask).mask
        results.append(iou(mask, truth))
    return results
