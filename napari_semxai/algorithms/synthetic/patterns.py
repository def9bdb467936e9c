"""Wafer patterns as signed fields: lines, contact holes and routed traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic.fields import Field, smooth_noise, window_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
