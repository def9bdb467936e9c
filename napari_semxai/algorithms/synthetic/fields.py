"""Signed fields (positive inside, in pixels) that scenes are built of: noise, blobs, patterns."""

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
    # Without slope at the cells, or their grid would show in a shaded picture.
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
    # Two products of small matrices: faster than a blur, whose cost grows with the scale.
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
    # Stretched one way and squeezed the other: the area stays that of the radius.
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
    # As large as other defects of the radius, so that size does not tell the class.
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


def pattern_field(rng: np.random.Generator, kind: str, shape: tuple[int, int]) -> Field:
    """Signed field of the pattern, positive inside its pieces.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    kind : str
        "lines", "holes" or "traces".
    shape : tuple of int
        (M, N) of the image.

    Returns
    -------
    ndarray of float32, shape (M, N)
    """
    field = {"lines": _lines, "holes": _holes, "traces": _traces}[kind](rng, shape)
    roughness = np.float32(rng.uniform(0, 1.0))
    return np.asarray(field + roughness * smooth_noise(rng, shape, rng.uniform(4, 14)), np.float32)


def _lines(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Parallel lines, mostly along an axis."""
    _, rows, columns = window_grid((0, 0), 4 * max(shape), shape)
    angle = rng.choice((0.0, np.pi / 2)) if rng.random() < 0.8 else rng.uniform(0, np.pi)
    angle += rng.normal(0, 0.02)
    pitch = np.exp(rng.uniform(np.log(14), np.log(130)))
    half = pitch * rng.uniform(0.2, 0.8) / 2
    across = rows * np.float32(np.cos(angle)) + columns * np.float32(np.sin(angle))
    across = across + np.float32(rng.uniform(0, pitch))
    phase = np.mod(across, np.float32(pitch)) - np.float32(pitch / 2)
    return np.asarray(np.float32(half) - np.abs(phase), np.float32)


def _holes(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Make a lattice of round or square contact holes, straight or staggered."""
    _, rows, columns = window_grid((0, 0), 4 * max(shape), shape)
    pitch_row, pitch_col = np.exp(rng.uniform(np.log(26), np.log(110), 2))
    if rng.random() < 0.6:
        pitch_col = pitch_row
    radius = min(pitch_row, pitch_col) * rng.uniform(0.2, 0.4)
    rows = rows + np.float32(rng.uniform(0, pitch_row))
    columns = columns + np.float32(rng.uniform(0, pitch_col))
    if rng.random() < 0.4:
        odd = np.floor(rows / np.float32(pitch_row)) % 2
        columns = columns + odd * np.float32(pitch_col / 2)
    down = np.mod(rows, np.float32(pitch_row)) - np.float32(pitch_row / 2)
    right = np.mod(columns, np.float32(pitch_col)) - np.float32(pitch_col / 2)
    if rng.random() < 0.75:
        return np.asarray(np.float32(radius) - np.hypot(down, right), np.float32)
    return np.asarray(np.float32(radius) - np.maximum(np.abs(down), np.abs(right)), np.float32)


def _traces(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Routed traces: bent conductors with round ends, and bars across the image."""
    field = np.full(shape, -1e3, np.float32)
    half = np.exp(rng.uniform(np.log(5), np.log(17)))
    for _ in range(int(rng.integers(1, 4))):
        _bar(rng, field, half * rng.uniform(1.0, 2.2))
    for _ in range(int(rng.integers(3, 10))):
        _bent_trace(rng, field, half)
    return field


def _bar(rng: np.random.Generator, field: Field, half: float) -> None:
    """Add a bar over the whole width or height."""
    axis = int(rng.random() < 0.35)
    place = rng.uniform(0, field.shape[axis])
    distance = np.abs(np.arange(field.shape[axis], dtype=np.float32) - np.float32(place))
    profile = np.float32(half) - distance
    np.maximum(field, profile[:, None] if axis == 0 else profile[None, :], out=field)


def _bent_trace(rng: np.random.Generator, field: Field, half: float) -> None:
    """Add one to three joined segments along the axes, kept off other traces where possible."""
    longest = max(2.5 * half, 0.45 * max(field.shape))
    start = rng.uniform((0, 0), field.shape)
    axis = int(rng.integers(2))
    for _ in range(int(rng.integers(1, 4))):
        end = start.copy()
        end[axis] += rng.choice((-1, 1)) * rng.uniform(2.5 * half, longest)
        _segment(field, start, end, half)
        start, axis = end, 1 - axis


def _segment(
    field: Field, start: NDArray[np.float64], end: NDArray[np.float64], half: float
) -> None:
    """Add a straight segment with round ends."""
    centre = (float(start[0] + end[0]) / 2, float(start[1] + end[1]) / 2)
    extent = np.abs(end - start) / 2
    row0, col0 = (int(max(0, c - e - half - 14)) for c, e in zip(centre, extent, strict=True))
    row1, col1 = (int(max(0, c + e + half + 14)) for c, e in zip(centre, extent, strict=True))
    part = field[row0:row1, col0:col1]
    if part.size == 0:
        return
    rows = np.arange(row0, row0 + part.shape[0], dtype=np.float32) - np.float32(centre[0])
    columns = np.arange(col0, col0 + part.shape[1], dtype=np.float32) - np.float32(centre[1])
    down = np.maximum(np.abs(rows) - np.float32(extent[0]), 0)[:, None]
    right = np.maximum(np.abs(columns) - np.float32(extent[1]), 0)[None, :]
    np.maximum(part, np.float32(half) - np.hypot(down, right), out=part)
