"""Smooth noise and signed fields (positive inside, in pixels) that scenes are built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A signed field on a window of the image.

    Attributes
    ----------
    window : tuple of slice
        Rows and columns of the image that `field` covers.
    field : ndarray of float32
        Positive inside, in pixels from the outline.
    parts : tuple of ndarray
        Fields of the same shape whose union is `field`; empty for one simple piece.
    """

    window: tuple[slice, slice]
    field: Field
    parts: tuple[Field, ...] = ()


def interpolation(length: int, cells: int, shift: float = 0.0) -> Field:
    """Matrix of shape (length, cells + 2) that smoothly interpolates `cells` cell values."""
    position = np.arange(length, dtype=np.float32) * (cells / length) + np.float32(shift)
    low = position.astype(np.int64)
    step = position - low
    weight = step * step * (3 - 2 * step)
    matrix = np.zeros((length, cells + 2), dtype=np.float32)
    rows = np.arange(length)
    matrix[rows, low] = 1 - weight
    matrix[rows, low + 1] = weight
    return matrix


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Field:
    """Noise of zero mean and about unit variance that varies over `scale` pixels."""
    rows, columns = (max(1, round(size / scale)) for size in shape)
    values = rng.standard_normal((rows + 2, columns + 2), dtype=np.float32)
    down, right = rng.random(2)
    down_matrix = interpolation(shape[0], rows, down)
    noise = down_matrix @ values @ interpolation(shape[1], columns, right).T
    return np.asarray(1.35 * noise, dtype=np.float32)


def window_grid(
    centre: tuple[float, float], reach: float, shape: tuple[int, int]
) -> tuple[tuple[slice, slice], Field, Field]:
    """Window of the image within `reach` of `centre`, and rows and columns from the centre."""
    row0, col0 = (max(0, int(c - reach)) for c in centre)
    row1, col1 = (min(n, int(c + reach) + 1) for c, n in zip(centre, shape, strict=True))
    rows = np.arange(row0, max(row1, row0 + 1), dtype=np.float32) - np.float32(centre[0])
    columns = np.arange(col0, max(col1, col0 + 1), dtype=np.float32) - np.float32(centre[1])
    window = (slice(row0, row0 + len(rows)), slice(col0, col0 + len(columns)))
    return window, rows[:, None], columns[None, :]


def blob(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, shape: tuple[int, int]
) -> Patch:
    """Draw a roundish, angular or ragged blob, sometimes an agglomerate of several."""
    stretch = float(np.exp(rng.uniform(0, 0.55)))
    reach = 1.75 * radius * stretch + 6
    window, rows, columns = window_grid(centre, reach, shape)
    angle = rng.uniform(0, np.pi)
    along = (rows * np.sin(angle) + columns * np.cos(angle)) / np.float32(stretch)
    across = (columns * np.sin(angle) - rows * np.cos(angle)) * np.float32(stretch)
    pieces = 1 if radius < 10 or rng.random() < 0.7 else int(rng.integers(2, 5))
    fields = []
    for _ in range(pieces):
        size = radius if pieces == 1 else radius * rng.uniform(0.45, 0.75)
        offset = (0.0, 0.0) if pieces == 1 else rng.normal(0, 0.45 * radius, 2)
        fields.append(_star(rng, along - offset[0], across - offset[1], size))
    ragged = rng.uniform(0, 0.09) * radius if rng.random() < 0.6 else 0.0
    if ragged:
        rough = smooth_noise(rng, fields[0].shape, max(3.0, radius * rng.uniform(0.15, 0.5)))
        fields = [field + np.float32(ragged) * rough for field in fields]
    whole = fields[0] if pieces == 1 else np.maximum.reduce(fields)
    return Patch(window, whole, tuple(fields) if pieces > 1 else ())


def _star(rng: np.random.Generator, along: Field, across: Field, radius: float) -> Field:
    """Star-shaped field: a wavy disc or a convex polygon with soft corners."""
    angle = np.arctan2(across, along)
    if rng.random() < 0.5:
        outline = np.full_like(angle, 1.0)
        for order in range(2, 7):
            height = rng.normal(0, 0.22 / order)
            outline += np.float32(height) * np.cos(order * angle + np.float32(rng.uniform(0, 6.3)))
    else:
        corners = int(rng.integers(3, 9))
        turns = (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) * (2 * np.pi / corners)
        outline = np.full_like(angle, 1.9)
        for turn in turns:
            cosine = np.cos(angle - np.float32(turn + 0.3))
            side = np.float32(rng.uniform(0.72, 1.0)) / np.maximum(cosine, np.float32(0.05))
            np.minimum(outline, side, out=outline)
    np.clip(outline, 0.3, 1.7, out=outline)
    return np.asarray(np.float32(radius) * outline - np.hypot(along, across), dtype=np.float32)


def stroke(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, shape: tuple[int, int]
) -> Patch:
    """Draw a slightly bent scratch with the area of a disc of `radius` and tapering ends."""
    half_width = float(np.clip(rng.uniform(0.08, 0.22) * radius, 1.6, 14.0))
    length = min(np.pi * radius**2 / (2 * half_width), 1.1 * max(shape))
    window, rows, columns = window_grid(centre, length / 2 + 3 * half_width, shape)
    angle = rng.uniform(0, np.pi)
    along = rows * np.float32(np.sin(angle)) + columns * np.float32(np.cos(angle))
    across = columns * np.float32(np.sin(angle)) - rows * np.float32(np.cos(angle))
    place = along / np.float32(length / 2)
    bend = np.float32(rng.normal(0, 0.07) * length) * (place * place)
    wave = np.float32(rng.normal(0, 0.6) * half_width) * np.sin(
        place * np.float32(rng.uniform(2, 9))
    )
    width = np.float32(half_width) * np.sqrt(np.clip(1 - place * place, 0, 1))
    field = np.where(np.abs(place) < 1, width, np.float32(-2)) - np.abs(across - bend - wave)
    return Patch(window, np.asarray(field, dtype=np.float32))
