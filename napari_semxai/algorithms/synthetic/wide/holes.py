"""Holes: arrays of all lattices, single ones with a floor, pores and foams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.defects import Painted
from napari_semxai.algorithms.synthetic.fields import Field, blob, window_grid
from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, Layer
from napari_semxai.algorithms.synthetic.wide.cells import cells

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    own = np.float32(size) - distance
    np.copyto(labels[window], np.uint16(number + 1), where=own > part)
    np.maximum(part, own, out=part)


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
        own: Field = np.float32(radius) - np.hypot(rows, columns)
    else:
        patch = blob(rng, (centre[0], centre[1]), radius, canvas.shape)
        window, own = patch.window, patch.field
    field = np.full(canvas.shape, -12.0, np.float32)
    field[window] = own
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
