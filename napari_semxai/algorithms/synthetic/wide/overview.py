"""Low magnification: many things at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic.fields import Field, blob, stroke
from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray


def paint_scatter(canvas: Canvas) -> None:
    """Scatter many small things, some of them in swarms; regions: each thing."""
    rng = canvas.rng
    count = int(canvas.spread(25, 220))
    radius = canvas.spread(2.5, 9) * max(0.6, canvas.size)
    stamps = [_sprite(canvas, radius * float(np.exp(rng.normal(0, 0.5)))) for _ in range(9)]
    places = rng.uniform((0, 0), canvas.shape, (count, 2))
    if canvas.chance(0.5):
        swarm = rng.random(count) < canvas.between(0.3, 0.9)
        middle = rng.uniform((0.2, 0.2), (0.8, 0.8)) * canvas.shape
        spread = canvas.between(0.05, 0.2) * min(canvas.shape)
        places[swarm] = middle + rng.normal(0, spread, (int(swarm.sum()), 2))
    labels = np.zeros(canvas.shape, np.uint16)
    for number, place in enumerate(places):
        _paste(canvas, labels, number, place, stamps[int(rng.integers(len(stamps)))])
    canvas.add_objects(labels, ["object"] * count)


def _sprite(canvas: Canvas, size: float) -> tuple[Field, Field]:
    """Draw a small thing: its signed field and its grey levels against the surface."""
    side = int(4 * size + 14)
    patch = blob(canvas.rng, (side / 2, side / 2), size, (side, side))
    field = np.full((side, side), -5.0, np.float32)
    field[patch.window] = patch.field
    tone = canvas.between(15, 110) * canvas.rng.choice((-1, 1, 1))
    slope = np.float32(canvas.light[1]) * np.gradient(np.clip(field, -1, 6), axis=1)
    value = np.float32(tone) + canvas.between(0, 45) * slope
    value += canvas.between(0, 70) * np.exp(-np.clip(field, 0, 30))
    return field, np.asarray(value, np.float32)


def _paste(
    canvas: Canvas,
    labels: NDArray[np.uint16],
    number: int,
    place: NDArray[np.float64],
    stamp: tuple[Field, Field],
) -> None:
    """Put a sprite, turned by quarters, at a place."""
    turn = int(canvas.rng.integers(4))
    field, value = (np.rot90(part, turn) for part in stamp)
    corner = place.astype(int) - field.shape[0] // 2
    low, high = np.maximum(corner, 0), np.minimum(corner + field.shape[0], canvas.shape)
    if (low >= high).any():
        return
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    inner = tuple(slice(a - c, b - c) for a, b, c in zip(low, high, corner, strict=True))
    cover = np.clip(field[inner] + np.float32(0.5), 0, 1)
    view = canvas.image[window]
    view += cover * (np.float32(canvas.spec.level) + value[inner] - view)
    np.copyto(labels[window], np.uint16(number + 1), where=field[inner] > 0)


def paint_dies(canvas: Canvas) -> None:
    """Paint a field of blocks between streets; regions: each block and its pads."""
    rng = canvas.rng
    pitch = np.array([canvas.spread(60, 220), canvas.spread(60, 220)]) * max(0.5, canvas.size)
    street = canvas.between(0.04, 0.2)
    blocks = np.zeros(canvas.shape, np.uint16)
    parts = np.zeros(canvas.shape, np.uint16)
    # Neither darker than black nor as grey as what is around.
    block_tone, pad_tone = (
        rng.uniform(12, 90) if rng.random() < 0.5 else -rng.uniform(0.12, 0.45) * canvas.spec.level
        for _ in range(2)
    )
    design = [(rng.uniform(0.04, 0.7, 2), rng.uniform(0.06, 0.4, 2)) for _ in range(5)]
    shift = rng.uniform(-1, 0, 2) * pitch
    count, grid = 0, np.ceil(np.array(canvas.shape) / pitch).astype(int) + 1
    for down, right in np.ndindex(*grid):
        corner = shift + (down, right) * pitch
        block = _box(canvas, corner, corner + (1 - street) * pitch)
        canvas.image[block] += np.float32(block_tone)
        blocks[block] = down * grid[1] + right + 1
        for place, extent in design:
            end = np.minimum(place + extent, 0.95 - street)
            pad = _box(canvas, corner + place * pitch, corner + end * pitch)
            count += 1
            canvas.image[pad] += np.float32(pad_tone)
            parts[pad] = count
    canvas.add("pattern", blocks > 0)
    canvas.add("ground", blocks == 0)
    canvas.layers.append(Layer(blocks, ["pattern_piece"] * int(grid.prod())))
    canvas.layers.append(Layer(parts, ["pad"] * count))


def _box(
    canvas: Canvas, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[slice, slice]:
    low = np.clip(low, 0, canvas.shape).astype(int)
    high = np.clip(high, 0, canvas.shape).astype(int)
    return slice(low[0], max(low[0], high[0])), slice(low[1], max(low[1], high[1]))


def paint_fibres(canvas: Canvas) -> None:
    """Lay fibres or wires over one another; regions: each as far as one sees it."""
    count = int(canvas.rng.integers(3, 10))
    labels = np.zeros(canvas.shape, np.uint16)
    thick = canvas.spread(45, 150) * max(0.6, canvas.size)
    tone = canvas.between(-40, 70)
    for number in range(count):
        place = canvas.rng.uniform((0, 0), canvas.shape)
        patch = stroke(canvas.rng, (place[0], place[1]), thick, canvas.shape)
        width = max(1.0, float(patch.field.max()))
        round_ = np.clip(1 - patch.field / np.float32(width), 0, 1)
        value = np.float32(canvas.spec.level) + tone + canvas.between(20, 100) * round_**3
        view = canvas.image[patch.window]
        cover = np.clip(patch.field + np.float32(0.5), 0, 1)
        around = np.clip(patch.field / np.float32(0.8 * width) + 1, 0, 1)
        view *= 1 - np.float32(0.35) * around
        view += cover * (value - view)
        np.copyto(labels[patch.window], np.uint16(number + 1), where=patch.field > 0)
    canvas.add_objects(labels, ["object"] * count)
