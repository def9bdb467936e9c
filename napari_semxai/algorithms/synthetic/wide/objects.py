"""Things on a surface: clumps of particles, crystals, and many small things from far away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.synthetic.defects import Painted
from napari_semxai.algorithms.synthetic.fields import (
    Field,
    blob,
    smooth_noise,
    stroke,
    window_grid,
)
from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, Layer, lit, soften


@dataclass(slots=True, eq=False)
class Pile:
    """Particles so far: who is on top where, and how high.

    Attributes
    ----------
    owner : ndarray of uint16, shape (M, N)
        Number of the particle that one sees.
    height : ndarray of float32, shape (M, N)
        Its height in pixels.
    value : ndarray of float32, shape (M, N)
        Its grey level, relative to its material's.
    clump_of : list of int
        The clump that each particle belongs to.
    """

    owner: NDArray[np.uint16]
    height: Field
    value: Field
    clump_of: list[int]


@dataclass(frozen=True, slots=True)
class Look:
    """How all particles of a scene look: balls, or flakes of some forms (field and radius)."""

    flakes: tuple[tuple[Field, float], ...]
    tone: float
    rim: float
    relief: float
    mottle: float


def paint_clumps(canvas: Canvas) -> None:
    """Paint one to several clumps; regions: each particle, each clump.

    A clump that is alone on its surface is, half of the time, the defect.
    """
    pile = _empty(canvas.shape)
    radius = canvas.spread(7, 34) * max(0.5, canvas.size)
    look = _draw_look(canvas, radius)
    clumps = int(canvas.rng.choice((1, 1, 2, 3, 6)))
    for clump in range(clumps):
        count = int(canvas.spread(3, 90 / clumps + 6))
        centre = canvas.rng.uniform((0.12, 0.12), (0.88, 0.88)) * canvas.shape
        extent = radius * np.sqrt(count) * canvas.rng.uniform(0.45, 1.0)
        shape = canvas.rng.uniform(0.6, 1.6)
        for _ in range(count):
            place = centre + canvas.rng.normal(0, 0.5, 2) * (extent * shape, extent / shape)
            size = radius * float(np.exp(canvas.rng.normal(0, 0.3)))
            _add(canvas, pile, (float(place[0]), float(place[1])), size, look)
            pile.clump_of.append(clump + 1)
    _paint(canvas, pile, look)
    numbers = np.array([0, *pile.clump_of], np.uint16)[pile.owner]
    if clumps == 1 and canvas.chance(0.5):
        parts = [pile.owner == number + 1 for number in range(len(pile.clump_of))]
        parts = [part for part in parts if part.sum() > 40][:12]
        canvas.defects.append(Painted("agglomerate", numbers > 0, tuple(parts)))
        return
    canvas.add_objects(numbers, ["clump"] * clumps)
    canvas.layers.append(Layer(pile.owner, ["clump_part"] * len(pile.clump_of)))


def paint_powder(canvas: Canvas) -> None:
    """Fill the image with particles; regions: each particle."""
    pile = _empty(canvas.shape)
    radius = canvas.spread(11, 55) * max(0.5, canvas.size)
    look = _draw_look(canvas, radius)
    area = canvas.shape[0] * canvas.shape[1]
    count = int(np.clip(canvas.between(0.5, 1.6) * area / (2.2 * radius**2), 4, 150))
    spread = canvas.between(0.05, 0.5)
    for _ in range(count):
        place = canvas.rng.uniform((0, 0), canvas.shape)
        size = radius * float(np.exp(canvas.rng.normal(0, spread)))
        _add(canvas, pile, (float(place[0]), float(place[1])), size, look)
        pile.clump_of.append(1)
    canvas.image -= np.float32(0.5 * canvas.spec.level * canvas.rng.random())
    _paint(canvas, pile, look)
    canvas.add_objects(pile.owner, ["object"] * count)


def _empty(shape: tuple[int, int]) -> Pile:
    zeros = np.zeros(shape, np.float32)
    return Pile(np.zeros(shape, np.uint16), zeros, zeros.copy(), [])


def _draw_look(canvas: Canvas, radius: float) -> Look:
    rng = canvas.rng
    return Look(
        flakes=() if canvas.chance(0.6) else tuple(_flake(canvas, radius) for _ in range(10)),
        tone=float(rng.choice((-0.5, 0.3, 1.0)) * rng.uniform(5, 70)),
        rim=float(rng.uniform(5, 95)),
        relief=float(rng.uniform(0, 45)),
        mottle=float(rng.uniform(0, 10)),
    )


def _add(canvas: Canvas, pile: Pile, centre: tuple[float, float], size: float, look: Look) -> None:
    """Lay one particle on the pile."""
    number = len(pile.clump_of) + 1
    if look.flakes:
        flake, size = look.flakes[int(canvas.rng.integers(len(look.flakes)))]
        inner, window = _placed(canvas, flake, centre)
        inner = inner * np.float32(1 / (0.55 * size))
    else:
        window, rows, columns = window_grid(centre, size + 1, canvas.shape)
        inner = 1 - (rows * rows + columns * columns) * np.float32(1 / size**2)
    rise = np.sqrt(np.clip(inner, 0, 1))
    under = pile.height[window]
    if not under.size:
        return
    base = np.float32(canvas.rng.uniform(0, 0.9) * size + 0.5 * float(under.mean()))
    top = base + np.float32(size) * rise
    seen = (inner > 0) & (top > under)
    value = np.float32(look.rim) * (1 - rise) ** 2 - np.float32(0.25 * look.rim)
    value += np.float32(canvas.rng.normal(0, 7))
    np.copyto(pile.owner[window], np.uint16(number), where=seen)
    np.copyto(pile.value[window], value, where=seen)
    np.copyto(under, top, where=seen)


def _flake(canvas: Canvas, radius: float) -> tuple[Field, float]:
    size = radius * float(np.exp(canvas.rng.normal(0, 0.4)))
    side = int(4 * size + 14)
    patch = blob(canvas.rng, (side / 2, side / 2), size, (side, side))
    return patch.field, size


def _placed(
    canvas: Canvas, field: Field, centre: tuple[float, float]
) -> tuple[Field, tuple[slice, slice]]:
    """Turn `field` by quarters around `centre`, cut at the image's edges."""
    field = np.rot90(field, int(canvas.rng.integers(4)))
    low = [int(c) - n // 2 for c, n in zip(centre, field.shape, strict=True)]
    cut = [
        slice(max(0, -start), max(0, -start, min(n, size - start)))
        for start, n, size in zip(low, field.shape, canvas.shape, strict=True)
    ]
    window = [
        slice(start + part.start, start + part.stop) for start, part in zip(low, cut, strict=True)
    ]
    return field[cut[0], cut[1]], (window[0], window[1])


def _paint(canvas: Canvas, pile: Pile, look: Look) -> None:
    """Bring the pile into the picture: relief, dark gaps, a soft shadow around."""
    there = pile.owner > 0
    around = soften(pile.height, canvas.spread(6, 24))
    depth = np.clip((around - pile.height) / np.float32(max(4.0, pile.height.max())), -0.5, 1)
    canvas.image *= 1 - canvas.between(0, 0.9) * np.clip(depth, 0, 1)
    slope = lit(pile.height, canvas.light)
    value = pile.value + np.float32(canvas.spec.level + look.tone)
    value += np.float32(look.relief) * np.clip(slope, -1.6, 1.6)
    value -= canvas.between(10, 90) * depth
    value += np.float32(look.mottle) * smooth_noise(canvas.rng, canvas.shape, 5)
    np.copyto(canvas.image, value, where=there)


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
