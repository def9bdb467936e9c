"""Finer concept maps: put where the network looks, sharpened by an earlier layer and the image.

A late layer knows what it sees but not where. Three things bring it back: its cells are put where
they look, which strided convolutions move by up to half a cell; an earlier layer, which has finer
cells, says where anything differs from the rest of the image; and the image's edges say where it
ends. The last two can only shape what the concepts found, not add to it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_semxai.backends.concept_maps import guided, upsampled
from napari_semxai.backends.opencv import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Offset = tuple[float, float]

# Small, so that no bounded activation saturates.
_FAINT = 1e-3


def cell_offset(g: nn.Module, inputs: Tensor) -> Offset:
    """Return how far cells look beside the place that an even division of the image gives them.

    The weights are made alike, so that the gradient of a cell counts its paths to each pixel.

    Parameters
    ----------
    g : nn.Module
        From images to a map, without gradients of its own.
    inputs : Tensor, shape (1, C, H, W)
        An image; only its shape counts.

    Returns
    -------
    tuple of float
        Rows and columns, in pixels of the network's input.
    """
    alike = copy.deepcopy(g)
    with torch.no_grad():
        for name, values in (*alike.named_parameters(), *alike.named_buffers()):
            if name.endswith(("bias", "running_mean")):
                values.zero_()
            elif values.is_floating_point():
                values.fill_(1 / values[0].numel() if values.ndim > 1 else 1.0)
    with torch.enable_grad():
        faint = torch.full_like(inputs, _FAINT).requires_grad_()
        latent = alike(faint)
        cell = tuple(side // 2 for side in latent.shape[2:])
        latent[0, :, cell[0], cell[1]].sum().backward()
    paths = (
        faint.grad.abs().sum((0, 1)).double() if faint.grad is not None else latent.new_zeros(1)
    )
    total = float(paths.sum())
    if not np.isfinite(total) or total <= 0:
        return 0.0, 0.0
    seen = [
        float((paths.sum(1 - axis) * torch.arange(side)).sum()) / total
        for axis, side in enumerate(inputs.shape[2:])
    ]
    drawn = [
        (cell[axis] + 0.5) * inputs.shape[2 + axis] / latent.shape[2 + axis] - 0.5
        for axis in range(2)
    ]
    return seen[0] - drawn[0], seen[1] - drawn[1]


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
