"""The crops that show each concept most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.backends.opencv import cv2

if TYPE_CHECKING:
    from collections.abc import Sequence


CROPS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """The best crops of every concept, as in `ConceptBank`."""

    pixels: NDArray[np.uint8]
    images: NDArray[np.int32]
    boxes: NDArray[np.int32]


def best_crops(
    images: Sequence[NDArray[Any]],
    values: NDArray[np.float32],
    input_size: Sequence[int],
    patch_size: int,
) -> Crops:
    """Cut out the crops with the largest values.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (M, N)
        The images.
    values : ndarray of float32, shape (crops, k)
        For the crops in xplique's order: image after image, each row by row.
    input_size : sequence of int
        (H, W) of the network's input, in whose pixels crops are cut.
    patch_size : int
        Their side.

    Returns
    -------
    Crops
    """
    stride = int(0.8 * patch_size)
    rows, columns = ((side - patch_size) // stride + 1 for side in input_size)
    best = np.argsort(-values, axis=0, kind="stable")[:CROPS].T
    owners, within = np.divmod(best, rows * columns)
    corners = np.stack(np.divmod(within, columns), axis=-1) * stride
    shapes = np.array([image.shape[:2] for image in images])
    scale = shapes[owners] / np.asarray(tuple(input_size))
    starts, stops = corners * scale, (corners + patch_size) * scale
    boxes = np.rint(np.concatenate([starts, stops], axis=-1)).astype(np.int32)
    pixels = [
        [_cut(images[owner], box, patch_size) for owner, box in zip(*row, strict=True)]
        for row in zip(owners, boxes, strict=True)
    ]
    return Crops(np.array(pixels, np.uint8), owners.astype(np.int32), boxes)


def _cut(image: NDArray[Any], box: NDArray[np.int32], side: int) -> NDArray[np.uint8]:
    row0, col0, row1, col1 = box.tolist()
    piece = np.ascontiguousarray(image[row0:row1, col0:col1])
    return np.asarray(cv2.resize(piece, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
