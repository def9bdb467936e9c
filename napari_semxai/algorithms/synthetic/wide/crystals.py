"""Faceted crystals, alone, scattered or in a pile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic.fields import window_grid
from napari_semxai.algorithms.synthetic.wide.canvas import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic.fields import Field
    from napari_semxai.algorithms.synthetic.wide.canvas import Canvas


def paint_crystals(canvas: Canvas) -> None:
    """Paint crystals over one another; regions: each crystal and its facets."""
    radius = canvas.spread(14, 75) * max(0.5, canvas.size)
    fill = canvas.spread(0.15, 2.5)
    area = canvas.shape[0] * canvas.shape[1]
    count = int(np.clip(fill * area / (3 * radius**2), 2, 130))
    sides = int(canvas.rng.choice((3, 4, 4, 6, 6, 8, 0)))
    tone = np.float32(canvas.rng.choice((-1, 1, 1)) * canvas.rng.uniform(0, 60))
    objects = np.zeros(canvas.shape, np.uint16)
    facets = np.zeros(canvas.shape, np.uint16)
    for number in range(count):
        size = radius * float(np.exp(canvas.rng.normal(0, 0.35)))
        _crystal(canvas, (objects, facets), number, size, (sides, tone))
    canvas.add_objects(objects, ["object"] * count)
    canvas.layers.append(Layer(facets, ["facet"] * (count * _FACETS)))


_FACETS = 16


def _crystal(
    canvas: Canvas,
    layers: tuple[NDArray[np.uint16], NDArray[np.uint16]],
    number: int,
    size: float,
    look: tuple[int, np.float32],
) -> None:
    """Paint one convex crystal: the lowest of its planes is the facet one sees."""
    rng = canvas.rng
    centre = rng.uniform((0, 0), canvas.shape)
    window, rows, columns = window_grid((centre[0], centre[1]), 1.5 * size, canvas.shape)
    normals, offsets = _planes(rng, look[0], size)
    best: Field = np.full((rows.shape[0], columns.shape[1]), np.inf, np.float32)
    facet = np.zeros(best.shape, np.uint16)
    for index, (normal, offset) in enumerate(zip(normals, offsets, strict=True)):
        height = np.float32(offset) - (
            np.float32(normal[0]) * rows + np.float32(normal[1]) * columns
        )
        lower = height < best
        np.copyto(best, height, where=lower)
        np.copyto(facet, np.uint16(index), where=lower)
    inside = best > 0
    slope = normals @ np.array(canvas.light)
    shade = 45 + look[1] + 30 * rng.normal(0, 0.35, len(normals)) + rng.uniform(20, 55) * slope
    if rng.random() < 0.5:
        # Steep facets are bright: more electrons get out of them.
        shade += rng.uniform(0, 40) * np.hypot(*normals.T)
    value = shade.astype(np.float32)[facet] + np.float32(0.5 * canvas.spec.level)
    value += np.float32(rng.uniform(0, 0.25)) * best
    edge = np.float32(rng.uniform(0, 50)) * (best < np.float32(rng.uniform(1, 2.5)))
    np.copyto(canvas.image[window], value + edge, where=inside)
    np.copyto(layers[0][window], np.uint16(number + 1), where=inside)
    np.copyto(layers[1][window], facet + np.uint16(number * _FACETS + 1), where=inside)


def _planes(
    rng: np.random.Generator, sides: int, size: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes and heights at the middle of a crystal's planes, mostly with a flat top."""
    corners = sides or int(rng.integers(4, 9))
    jitter = 0.02 if sides else 0.3
    turns = (np.arange(corners) + rng.normal(0, jitter, corners)) * (2 * np.pi / corners)
    turns += rng.uniform(0, 2 * np.pi)
    steep = rng.uniform(0.5, 1.5) * np.exp(rng.normal(0, 0.25, corners))
    normals = np.stack([np.sin(turns), np.cos(turns)], 1) * steep[:, None]
    reach = size * rng.uniform(0.6, 1.0) * np.exp(rng.normal(0, 0.12, corners))
    offsets = steep * reach
    if rng.random() < 0.75:
        top = rng.normal(0, 0.15, (1, 2))
        normals = np.concatenate([normals, top])
        offsets = np.append(offsets, offsets.min() * rng.uniform(0.35, 0.95))
    return normals, offsets
