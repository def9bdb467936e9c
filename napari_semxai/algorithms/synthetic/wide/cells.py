"""Cells that fill the plane: what grains, crystals in a pile and foams have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.fields import interpolation, smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic.fields import Field


def cells(
    rng: np.random.Generator,
    shape: tuple[int, int],
    spacing: float,
    stretch: tuple[float, float] = (1.0, 1.0),
    waviness: float = 0.0,
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Divide the image into cells around random seeds.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : tuple of int
        (M, N) of the image.
    spacing : float
        Side in pixels of a square as large as the mean cell.
    stretch : tuple of float
        How far a cell reaches along rows and columns, relative to each other.
    waviness : float
        Pixels by which borders between cells wander.

    Returns
    -------
    labels : ndarray of uint16, shape (M, N)
        From 1.
    seeds : ndarray of float32, shape (n + 1, 2)
        (row, column) of each label's seed; row 0 belongs to no label.
    """
    count = int(np.clip(shape[0] * shape[1] / spacing**2, 2, 60_000))
    seeds = rng.integers((0, 0), shape, (count, 2))
    marks = np.zeros(shape, dtype=np.uint16)
    marks[seeds[:, 0], seeds[:, 1]] = np.arange(1, count + 1)
    sampling = (1 / stretch[0], 1 / stretch[1])
    rows, columns = ndimage.distance_transform_edt(
        marks == 0, sampling=sampling, return_distances=False, return_indices=True
    )
    labels = marks[rows, columns]
    if waviness:
        labels = wander(rng, labels, waviness, max(4.0, 0.3 * spacing))
    return labels, np.concatenate([np.zeros((1, 2)), seeds]).astype(np.float32)


def wander(
    rng: np.random.Generator, labels: NDArray[np.uint16], reach: float, scale: float
) -> NDArray[np.uint16]:
    """Move every pixel's label by smooth noise of `reach` pixels."""
    places = []
    for axis, size in enumerate(labels.shape):
        index = np.arange(size, dtype=np.float32)
        moved = np.float32(reach) * smooth_noise(rng, labels.shape, scale)
        moved += index[:, None] if axis == 0 else index[None, :]
        places.append(np.clip(moved, 0, size - 1).astype(np.int32))
    return np.asarray(labels[places[0], places[1]])


def streaks(rng: np.random.Generator, shape: tuple[int, int], down: float, right: float) -> Field:
    """Noise of about unit variance that varies over `down` rows and `right` columns."""
    rows, columns = max(1, round(shape[0] / down)), max(1, round(shape[1] / right))
    values = rng.standard_normal((rows + 2, columns + 2), dtype=np.float32)
    shift = rng.random(2)
    noise = interpolation(shape[0], rows, shift[0]) @ values
    noise = noise @ interpolation(shape[1], columns, shift[1]).T
    return np.asarray(1.35 * noise, dtype=np.float32)


def planes(table: NDArray[np.float32], labels: NDArray[np.uint16]) -> Field:
    """Evaluate a plane of its own in every cell.

    Parameters
    ----------
    table : ndarray of float32, shape (n + 1, 3)
        Offset and slopes along rows and columns of each label.
    labels : ndarray of uint16, shape (M, N)
        Whose plane each pixel takes.
    """
    rows = np.arange(labels.shape[0], dtype=np.float32)[:, None]
    columns = np.arange(labels.shape[1], dtype=np.float32)[None, :]
    value = table[:, 1][labels] * rows
    value += table[:, 2][labels] * columns
    value += table[:, 0][labels]
    return np.asarray(value, dtype=np.float32)
