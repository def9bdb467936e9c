"""Finer concept maps: put where the network looks, sharpened by an earlier layer and the image.

A late layer knows what it sees but not where. Three things bring it back: its cells are put where
they look, which is measured; an earlier layer, which has finer cells, says where anything differs
from the rest of the image; and the image's edges say where it ends. The last two can only shape
what the concepts found, not add to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_semxai.backends.concepts.maps import guided, upsampled
from napari_semxai.backends.runtime.opencv import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Offset = tuple[float, float]

# In normalised units, in which images have a deviation of about 1.
_GRAIN = 0.1
# Places as shares of the sides, and the change of brightness there.
_DISCS = (((0.30, 0.36), 1.0), ((0.42, 0.68), -1.0), ((0.60, 0.31), -1.0), ((0.69, 0.63), 1.0))
_RADIUS = 1 / 12


def cell_offset(g: nn.Module, inputs: Tensor) -> Offset:
    """Measure how far a layer's map lies beside what it shows; moved by as much, it lies on it.

    Two bright and two dark discs are looked for where they were put. Padding and strides alone do
    not tell: training makes up for them, or does not.

    Parameters
    ----------
    g : nn.Module
        From images to a map, without gradients of its own.
    inputs : Tensor, shape (1, C, H, W)
        An image; only its shape counts.

    Returns
    -------
    tuple of float
        Rows and columns, in pixels of the network's input. (0, 0) where the discs disagree by more
        than half a cell, or change nothing.
    """
    sides = torch.tensor(inputs.shape[2:], dtype=torch.double)
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0)) * _GRAIN
    moves = []
    with torch.no_grad():
        plain = g(noise)
        cells = torch.tensor(plain.shape[2:], dtype=torch.double)
        for place, step in _DISCS:
            centre = torch.tensor(place, dtype=torch.double) * sides
            change = g(noise + step * _disc(centre, inputs)) - plain
            seen = (_centre(change.norm(dim=1)[0].double()) + 0.5) * sides / cells - 0.5
            moves.append(centre - seen)
    found = torch.stack(moves)
    if not (found.std(dim=0) <= sides / cells / 2).all():
        return 0.0, 0.0
    down, right = found.mean(dim=0).tolist()
    return down, right


def _disc(centre: Tensor, inputs: Tensor) -> Tensor:
    """Return 1 inside a disc around a place in pixels, 0 elsewhere, in the inputs' shape."""
    rows, columns = (torch.arange(side) for side in inputs.shape[2:])
    square = (rows[:, None] - centre[0]) ** 2 + (columns - centre[1]) ** 2
    radius = _RADIUS * min(inputs.shape[2:])
    return (square <= radius**2).to(inputs).expand(inputs.shape)


def _centre(values: Tensor) -> Tensor:
    """Return the centre of mass of values (m, n), in cells; not a number where all are 0."""
    places = [torch.arange(side, dtype=values.dtype) for side in values.shape]
    rows, columns = values.sum(1), values.sum(0)
    return torch.stack([(rows * places[0]).sum(), (columns * places[1]).sum()]) / values.sum()


def placed(
    maps: NDArray[np.float32], offset: Offset, input_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Move maps (k, M, N) by an offset in pixels of the network's input."""
    rows, columns = maps.shape[1:]
    down, right = offset[0] * rows / input_size[0], offset[1] * columns / input_size[1]
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.stack(
        [
            np.asarray(
                cv2.warpAffine(one, move, (columns, rows), borderMode=cv2.BORDER_REPLICATE),
                np.float32,
            )
            for one in maps
        ]
    )


def activity(latents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much a layer's map differs from what it shows in most of the image.

    Parameters
    ----------
    latents : ndarray of float32, shape (m, n, D)
        Of one image.

    Returns
    -------
    ndarray of float32, shape (m, n)
        0 where it differs no more than half of the image.
    """
    deviation = latents - np.median(latents, axis=(0, 1))
    size = np.sqrt((deviation**2).sum(axis=-1))
    return np.asarray(np.maximum(size - np.median(size), 0), np.float32)


def sharpened(
    maps: NDArray[np.float32],
    detail: NDArray[np.float32] | None,
    image: NDArray[Any],
    low_shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Shape maps by an earlier layer and by the image.

    Parameters
    ----------
    maps : ndarray of float32, shape (k, M, N)
        Not negative.
    detail : ndarray of float32, shape (M, N), or None
        Activity of the earlier layer, not negative.
    image : ndarray of uint8, shape (M, N)
        Whose edges the maps follow.
    low_shape : tuple of int
        Rows and columns of the maps before they were enlarged.

    Returns
    -------
    ndarray of float32, shape (k, M, N)
        The geometric mean of map and detail, both relative to their maxima, in the map's unit.
    """
    if detail is not None and detail.max() > 0:
        peaks = maps.max(axis=(1, 2), keepdims=True)
        maps = np.sqrt(maps * (detail / detail.max()) * peaks)
    return np.maximum(guided(maps, image, low_shape), np.float32(0))


def enlarged(
    low: NDArray[np.float32], shape: tuple[int, int], offset: Offset, input_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return maps (k, m, n) at the image's size, put where their cells look."""
    return placed(upsampled(low, shape), offset, input_size)
