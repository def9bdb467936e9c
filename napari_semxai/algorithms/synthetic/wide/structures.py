"""Structures made or grown: combs, meanders and dendrites; holes, pores and foams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.defects import Painted
from napari_semxai.algorithms.synthetic.fields import (
    Field,
    blob,
    pattern_field,
    smooth_noise,
    window_grid,
)
from napari_semxai.algorithms.synthetic.spec import PATTERNS
from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, Layer, lit
from napari_semxai.algorithms.synthetic.wide.materials import cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask


def paint_combs(canvas: Canvas) -> None:
    """Paint two combs that reach into each other, or a meander; regions: each conductor."""
    rows, columns = canvas.shape
    turned = canvas.chance(0.5)
    along, across = (columns, rows) if turned else (rows, columns)
    field = _comb_field(canvas, along, across)
    if turned:
        field = np.ascontiguousarray(field.T)
    field += canvas.between(0, 1.2) * canvas.noise(float(canvas.between(4, 14)))
    _paint_relief(canvas, field)
    _list(canvas, field > 0)


def _comb_field(canvas: Canvas, along: int, across: int) -> Field:
    """Signed field of the conductors; fingers run along the rows."""
    pitch = canvas.spread(22, 110) * max(0.5, canvas.size)
    half = pitch * canvas.between(0.12, 0.36)
    place = np.arange(across, dtype=np.float32) + canvas.between(0, pitch)
    number = np.floor(place / pitch).astype(np.int64) % 2
    bars = np.float32(half) - np.abs(np.mod(place, np.float32(pitch)) - np.float32(pitch / 2))
    down = np.arange(along, dtype=np.float32)[:, None]
    low, high = along * canvas.between(-0.2, 0.25), along * canvas.between(0.75, 1.2)
    width = half * canvas.between(1.0, 3.0)
    gap = pitch * canvas.between(0.35, 0.9)
    start = np.where(number == 0, low, low + width + gap).astype(np.float32)
    end = np.where(number == 1, high, high - width - gap).astype(np.float32)
    fingers = np.minimum(bars[None, :], np.minimum(down - start, end - down))
    rails = np.maximum(width - np.abs(down - low), width - np.abs(down - high))
    return np.asarray(np.maximum(fingers, rails), np.float32)


def paint_dendrite(canvas: Canvas) -> None:
    """Paint growths that branch; regions: each growth. One alone is, mostly, the defect."""
    field = np.full(canvas.shape, -8.0, np.float32)
    growths = int(canvas.rng.choice((1, 1, 1, 2, 3)))
    masks: list[BoolMask] = []
    for _ in range(growths):
        heights = np.full(canvas.shape, -8.0, np.float32)
        _grow(canvas, heights)
        heights += canvas.between(0, 0.8) * canvas.noise(5)
        masks.append(heights > 0)
        np.maximum(field, heights, out=field)
    _paint_relief(canvas, field)
    if growths == 1 and canvas.chance(0.6):
        canvas.defects.append(Painted("dendrite", masks[0]))
        return
    labels = np.zeros(canvas.shape, np.uint16)
    for number, mask in enumerate(masks):
        labels[mask] = number + 1
    canvas.add_objects(labels, ["object"] * growths)


def _grow(canvas: Canvas, field: Field) -> None:
    """Grow a stem from an edge or several from a point, with side branches on both sides."""
    rng = canvas.rng
    length = canvas.spread(0.25, 0.9) * min(canvas.shape)
    width = float(np.clip(length * rng.uniform(0.012, 0.04), 2.2, 14))
    if canvas.chance(0.5):
        start = rng.uniform((0.25, 0.25), (0.75, 0.75)) * canvas.shape
        stems = int(rng.integers(3, 7))
        turns = rng.uniform(0, 6.3) + np.arange(stems) * 2 * np.pi / stems
        turns += rng.normal(0, 0.15, stems)
        length = 0.6 * length
    else:
        side = rng.random()
        start = np.array([canvas.shape[0] * rng.choice((0.02, 0.98)), canvas.shape[1] * side])
        turns = np.array([-1 if start[0] > canvas.shape[0] / 2 else 1]) * np.pi / 2
        turns = turns + rng.normal(0, 0.35)
    branching = float(rng.uniform(0.6, 1.35))
    for turn in turns:
        _branch(canvas, field, (start, float(turn)), (length, width), (branching, 0))


def _branch(
    canvas: Canvas,
    field: Field,
    root: tuple[NDArray[np.float64], float],
    size: tuple[float, float],
    habit: tuple[float, int],
) -> None:
    """Draw a tapering branch and its side branches, shorter towards the tip."""
    rng = canvas.rng
    (start, turn), (length, width), (angle, depth) = root, size, habit
    direction = np.array([np.sin(turn), np.cos(turn)])
    end = start + length * direction
    _tapered(field, start, end, width)
    if depth >= 2 or length < 24:
        return
    steps = int(np.clip(length / (5 * width + 5), 2, 12 if depth == 0 else 4))
    for place in np.linspace(0.12, 0.92, steps):
        for side in (-1, 1):
            if rng.random() < 0.85:
                reach = length * (1 - 0.75 * place) * rng.uniform(0.18, 0.5)
                root = (start + place * length * direction, turn + side * angle)
                thin = width * (1 - 0.6 * place) * 0.75
                _branch(canvas, field, root, (reach, thin), (angle, depth + 1))


def _tapered(
    field: Field, start: NDArray[np.float64], end: NDArray[np.float64], width: float
) -> None:
    """Add a stroke that grows thin from `width` to a third of it."""
    low = np.maximum(np.floor(np.minimum(start, end) - width - 3), 0).astype(int)
    high = np.maximum(np.ceil(np.maximum(start, end) + width + 3), 0).astype(int)
    part = field[low[0] : high[0], low[1] : high[1]]
    if not part.size:
        return
    rows = (np.arange(part.shape[0]) + low[0] - start[0]).astype(np.float32)[:, None]
    columns = (np.arange(part.shape[1]) + low[1] - start[1]).astype(np.float32)[None, :]
    step = (end - start).astype(np.float32)
    place = (rows * step[0] + columns * step[1]) / np.float32(max(1.0, float(step @ step)))
    np.clip(place, 0, 1, out=place)
    down, right = rows - place * step[0], columns - place * step[1]
    heights = np.float32(width / 2 + 1) * (1 - np.float32(0.66) * place)
    np.maximum(part, heights - np.sqrt(down * down + right * right), out=part)


def _paint_relief(canvas: Canvas, field: Field) -> None:
    """Raise what `field` says in the picture, with a bright edge."""
    tone = canvas.between(20, 95)
    if canvas.chance(0.35):
        tone = -canvas.between(0.15, 0.75) * np.float32(canvas.spec.level)
    cover = np.clip(field + np.float32(0.5), 0, 1)
    texture = canvas.between(0, 12) * smooth_noise(canvas.rng, canvas.shape, canvas.spread(3, 30))
    canvas.image += cover * (np.float32(tone) + texture)
    if canvas.chance(0.75):
        width = canvas.between(1.0, 3.5)
        edge = np.exp(-np.square(np.clip(field / width, -4, 4)))
        canvas.image += canvas.between(10, 110) * edge
    canvas.image += canvas.between(0, 25) * lit(np.clip(field, 0, 4), canvas.light)


def paint_pattern(canvas: Canvas) -> None:
    """Paint a wafer pattern: lines, contact holes or traces; regions as of `make_scene`."""
    kind = PATTERNS[1:][int(canvas.rng.integers(len(PATTERNS) - 1))]
    field = pattern_field(canvas.rng, kind, canvas.shape)
    _paint_relief(canvas, field)
    _list(canvas, field > 0)


def _list(canvas: Canvas, mask: BoolMask) -> None:
    canvas.add("pattern", mask)
    canvas.add("ground", ~mask)
    canvas.layers += [Layer.of_pieces("pattern_piece", mask)]
    canvas.layers += [Layer.of_pieces("ground_piece", ~mask)]


def paint_hole_array(canvas: Canvas) -> None:
    """Paint a lattice of holes, perhaps with missing ones; regions: array, holes, floors."""
    rng = canvas.rng
    pitch = canvas.spread(24, 130) * max(0.5, canvas.size)
    squeeze = canvas.between(0.6, 1.0) if canvas.chance(0.4) else np.float32(1)
    places = _lattice(canvas, pitch, float(squeeze))
    places += rng.normal(0, rng.choice((0, 0.03, 0.12)) * pitch, places.shape)
    radius = pitch * canvas.between(0.2, 0.42)
    missing = rng.random(len(places)) < rng.choice((0, 0.02, 0.3))
    labels = np.zeros(canvas.shape, np.uint16)
    field = np.full(canvas.shape, -6.0, np.float32)
    square = canvas.chance(0.2)
    spread = float(rng.choice((0.0, 0.03, 0.2)))
    for number, place in enumerate(places[~missing]):
        size = float(radius) * float(np.exp(rng.normal(0, spread)))
        _stamp(field, labels, number, place, (size, float(squeeze), square))
    field += canvas.between(0, 0.8) * canvas.noise(6)
    _paint_depth(canvas, field, float(radius))
    labels *= field > 0
    canvas.add("pattern", labels > 0)
    canvas.add("ground", labels == 0)
    canvas.layers.append(Layer(labels, ["pattern_piece"] * len(places)))
    if radius > 9 and canvas.chance(0.45):
        inner = field - canvas.between(0.25, 0.6) * radius
        canvas.image += canvas.between(20, 90) * np.clip(inner + np.float32(0.5), 0, 1)
        canvas.layers.append(Layer(labels * (inner > 0), ["hole_floor"] * len(places)))


def _lattice(canvas: Canvas, pitch: float, squeeze: float) -> NDArray[np.float64]:
    """(row, column) of the points of a square or hexagonal lattice, turned and tilted."""
    count = int(min(11, 0.72 * max(canvas.shape) / (pitch * squeeze) + 2))
    down, right = np.mgrid[-count : count + 1, -count : count + 1].astype(float)
    if canvas.chance(0.5):
        right += 0.5 * (down % 2)
        down *= np.sqrt(3) / 2
    angle = canvas.rng.normal(0, 0.03) if canvas.chance(0.6) else canvas.rng.uniform(0, 3)
    rows = down * np.cos(angle) - right * np.sin(angle)
    columns = down * np.sin(angle) + right * np.cos(angle)
    middle = np.array(canvas.shape) / 2 + canvas.rng.uniform(-pitch, pitch, 2)
    places = np.stack([rows.ravel() * squeeze, columns.ravel()], 1) * pitch + middle
    inside = ((places > -pitch) & (places < np.array(canvas.shape) + pitch)).all(1)
    return np.asarray(places[inside])


def _stamp(
    field: Field,
    labels: NDArray[np.uint16],
    number: int,
    place: NDArray[np.float64],
    form: tuple[float, float, bool],
) -> None:
    """Add one hole."""
    size, squeeze, square = form
    centre = (float(place[0]), float(place[1]))
    window, rows, columns = window_grid(centre, size + 6, field.shape)
    part = field[window]
    if not part.size or part.shape != (rows.shape[0], columns.shape[1]):
        return
    rows = rows / np.float32(squeeze)
    distance = np.maximum(abs(rows), abs(columns)) if square else np.hypot(rows, columns)
    heights = np.float32(size) - distance
    np.copyto(labels[window], np.uint16(number + 1), where=heights > part)
    np.maximum(part, heights, out=part)


def _paint_depth(canvas: Canvas, field: Field, radius: float) -> None:
    """Darken the holes towards their middle, or light their floor; bright rims."""
    cover = np.clip(field + np.float32(0.5), 0, 1)
    wall = canvas.between(0.1, 1.0) * max(2.0, radius)
    depth = np.clip(field / np.float32(wall), 0, 1)
    sign = 1 if canvas.chance(0.82) else -0.7
    tone = canvas.between(0.3, 0.95) * canvas.spec.level * sign
    flat = canvas.between(0, 1)
    canvas.image -= np.float32(tone) * (flat * cover + (1 - flat) * depth)
    if canvas.chance(0.75):
        width = canvas.between(0.9, 3.5)
        rim = np.exp(-np.square(np.clip(field / width, -4, 4)))
        canvas.image += canvas.between(15, 120) * rim


def paint_single_hole(canvas: Canvas) -> None:
    """Paint one large hole with a floor; half of the time it is the defect."""
    rng = canvas.rng
    centre = rng.uniform((0.3, 0.3), (0.7, 0.7)) * canvas.shape
    radius = canvas.spread(0.07, 0.3) * min(canvas.shape)
    if canvas.chance(0.5):
        window, rows, columns = window_grid((centre[0], centre[1]), radius + 12, canvas.shape)
        rows = rows / canvas.between(0.6, 1.0)
        inside: Field = np.float32(radius) - np.hypot(rows, columns)
    else:
        patch = blob(rng, (centre[0], centre[1]), radius, canvas.shape)
        window, inside = patch.window, patch.field
    field = np.full(canvas.shape, -12.0, np.float32)
    field[window] = inside
    _paint_depth(canvas, field, radius)
    inner = field - canvas.between(0.15, 0.5) * np.float32(radius)
    floor = inner > 0
    if canvas.chance(0.7):
        texture = canvas.between(0, 15) * canvas.noise(float(canvas.between(3, 20)))
        canvas.image += np.clip(inner + 0.5, 0, 1) * (canvas.between(-40, 60) + texture)
    mask = field > 0
    if canvas.chance(0.5):
        canvas.defects.append(Painted("void", mask, (floor,) if floor.sum() > 40 else ()))
        return
    canvas.add_objects(mask.astype(np.uint16), ["object"])
    canvas.add("hole_floor", floor)


def paint_pores(canvas: Canvas) -> None:
    """Paint irregular pores: sponge, foam with walls, or scattered; regions: each pore."""
    scale = canvas.spread(9, 70) * max(0.5, canvas.size)
    if canvas.chance(0.4):
        field = _foam(canvas, scale * 1.4)
    else:
        field = canvas.noise(scale) + np.float32(0.45) * canvas.noise(0.45 * scale)
        field = (field - canvas.between(0.1, 1.3)) * np.float32(0.35 * scale)
    _paint_depth(canvas, field, 0.3 * scale)
    mask = field > 0
    canvas.add("pattern", mask)
    canvas.add("ground", ~mask)
    canvas.layers.append(Layer.of_pieces("pattern_piece", mask))


def _foam(canvas: Canvas, spacing: float) -> Field:
    """Signed field of cells between walls of about even width."""
    labels, _ = cells(canvas.rng, canvas.shape, spacing, waviness=0.05 * spacing)
    same = np.ones(canvas.shape, bool)
    same[:-1] &= labels[:-1] == labels[1:]
    same[:, :-1] &= labels[:, :-1] == labels[:, 1:]
    distance = ndimage.distance_transform_edt(same).astype(np.float32)
    return np.asarray(distance - canvas.between(0.05, 0.2) * np.float32(spacing), np.float32)
