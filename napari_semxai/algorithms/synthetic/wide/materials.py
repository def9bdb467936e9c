"""Materials that fill the plane: layers that meet, grains, and the cells and textures of both."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.fields import interpolation, smooth_noise
from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, Layer, lit, outlines

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic.fields import Field


def paint_halves(canvas: Canvas) -> None:
    """Paint a bright and a dark half; regions: each, and what their textures hold."""
    border = _border(canvas, canvas.rng.uniform(0, 2 * np.pi), canvas.rng.uniform(-0.3, 0.3))
    _compose(canvas, [border], canvas.between(25, 130))


def paint_layers(canvas: Canvas) -> None:
    """Paint a stack of layers as a cross-section shows it; regions: each layer."""
    count = int(canvas.rng.integers(2, 6))
    angle = canvas.rng.choice((0.0, np.pi / 2)) + canvas.rng.normal(0, 0.04)
    places = np.sort(canvas.rng.uniform(-0.42, 0.42, count))
    shared = _wave(canvas, 0.5)
    borders = [_line(canvas, angle, place) + shared + _wave(canvas, 0.2) for place in places]
    for upper, lower in pairwise(borders):
        # Layers may thin out to nothing, but never cross.
        np.minimum(lower, upper, out=lower)
    _compose(canvas, borders, canvas.between(15, 80))


def _line(canvas: Canvas, angle: float, place: float) -> Field:
    """Pixels from a straight line, positive on one side."""
    rows = np.linspace(-0.5, 0.5, canvas.shape[0], dtype=np.float32)[:, None] - np.float32(place)
    columns = np.linspace(-0.5, 0.5, canvas.shape[1], dtype=np.float32)[None, :]
    columns = columns - np.float32(place)
    down, right = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    extent = np.float32(min(canvas.shape))
    return np.asarray(extent * (down * rows + right * columns), np.float32)


def _wave(canvas: Canvas, share: float) -> Field:
    """Straight (zero), gently wavy, or ragged deviation of a border."""
    wave = np.zeros(canvas.shape, np.float32)
    if canvas.chance(share):
        scale = canvas.spread(40, 250) * canvas.size
        wave += canvas.between(0.05, 0.3) * np.float32(scale) * canvas.noise(scale)
    if canvas.chance(share):
        scale = canvas.spread(5, 30)
        wave += canvas.between(0.05, 0.35) * np.float32(scale) * canvas.noise(scale)
    return wave


def _border(canvas: Canvas, angle: float, place: float) -> Field:
    border = _line(canvas, angle, place)
    if canvas.chance(0.3):
        # A circle so large that only an arc of it is seen.
        radius = canvas.between(0.4, 2.0) * max(canvas.shape)
        border = np.hypot(border + radius, _line(canvas, angle + np.pi / 2, 0)) - radius
    return np.asarray(border + _wave(canvas, 0.6), np.float32)


def _compose(canvas: Canvas, borders: list[Field], step: np.float32) -> None:
    """Give each material its grey level and texture; draw the borders."""
    labels = np.ones(canvas.shape, np.uint16)
    for border in borders:
        labels += border > 0
    count = len(borders) + 1
    levels = canvas.rng.permutation(np.linspace(-1, 1, count)) * step + canvas.spec.level
    levels = np.clip(levels + canvas.rng.normal(0, 4, count), canvas.between(2, 16), 235)
    canvas.layers.append(Layer(labels, ["material"] * count))
    names = list(TEXTURES)
    for number in range(count):
        there = labels == number + 1
        # What a dark material holds cannot be seen.
        choices = names if levels[number] > 30 else names[:2]
        texture = TEXTURES[choices[int(canvas.rng.integers(len(choices)))]](canvas, there)
        texture *= np.float32(np.clip(levels[number] / 90, 0.3, 1.2))
        texture += np.float32(levels[number] - canvas.spec.level)
        np.add(canvas.image, texture, out=canvas.image, where=there)
    for border in borders:
        if canvas.chance(0.6):
            width = canvas.between(0.8, 3.5)
            line = np.exp(-np.square(np.clip(border / width, -4, 4)))
            canvas.image += canvas.between(-70, 110) * line


def _flat(canvas: Canvas, _there: object) -> Field:
    return canvas.between(0, 5) * canvas.noise(canvas.spread(10, 80))


def _fine(canvas: Canvas, _there: object) -> Field:
    return canvas.between(3, 22) * canvas.noise(canvas.spread(2.5, 9))


def _rough(canvas: Canvas, _there: object) -> Field:
    scale = canvas.spread(8, 45)
    height = np.float32(scale) * (canvas.noise(scale) + np.float32(0.4) * canvas.noise(scale / 3))
    return canvas.between(8, 35) * lit(height, canvas.light)


def _columns(canvas: Canvas, _there: object) -> Field:
    long, short = canvas.spread(60, 400), canvas.spread(2.5, 9)
    down, right = (long, short) if canvas.chance(0.6) else (short, long)
    return canvas.between(4, 18) * streaks(canvas.rng, canvas.shape, down, right)


def _grainy(canvas: Canvas, there: object) -> Field:
    """Grains, each a region inside its material."""
    spacing = canvas.spread(14, 70)
    labels, seeds = cells(canvas.rng, canvas.shape, spacing, waviness=0.06 * spacing)
    tones = canvas.rng.normal(0, canvas.between(4, 22), len(seeds)).astype(np.float32)
    canvas.layers.append(Layer(labels * np.asarray(there), ["grain"] * (len(seeds) - 1)))
    return np.asarray(tones[labels], np.float32)


def _dotted(canvas: Canvas, there: object) -> Field:
    """Inclusions, each a region inside its material."""
    scale = canvas.spread(6, 24)
    field = canvas.noise(scale) - canvas.between(0.9, 1.8)
    inside = (field > 0) & np.asarray(there)
    canvas.layers.append(Layer.of_pieces("inclusion", inside))
    tone = canvas.between(20, 80) * canvas.rng.choice((-1, 1))
    cover = np.clip(field * np.float32(0.3 * scale), 0, 1)
    return np.asarray(cover * np.float32(tone), np.float32)


TEXTURES: dict[str, Callable[[Canvas, object], Field]] = {
    "flat": _flat,
    "fine": _fine,
    "rough": _rough,
    "columns": _columns,
    "grainy": _grainy,
    "dotted": _dotted,
}
"""Zero-mean textures of a material; they list what they hold as regions."""


def paint_grains(canvas: Canvas) -> None:
    """Fill the image with grains; regions: each grain, and bands inside some of them."""
    spacing = canvas.spread(22, 170) * max(0.5, canvas.size)
    stretch = (1.0, canvas.spread(0.35, 2.8)) if canvas.chance(0.3) else (1.0, 1.0)
    waviness = float(canvas.between(0.02, 0.12)) * spacing * canvas.chance(0.6)
    labels, seeds = cells(canvas.rng, canvas.shape, spacing, stretch, waviness)
    count = len(seeds)
    levels = canvas.rng.normal(0, 1, count).astype(np.float32)
    if canvas.chance(0.25):
        # Two phases: a bright and a dark one.
        levels = 0.25 * levels + canvas.rng.choice((-1, 1), count).astype(np.float32)
    strength = canvas.between(3, 38)
    canvas.image += (strength * np.clip(levels, -2.2, 2.2))[labels]
    _slant(canvas, labels, seeds, spacing)
    canvas.layers.append(Layer(labels, ["grain"] * (count - 1)))
    if canvas.chance(0.5):
        _bands(canvas, labels, seeds, spacing, float(strength))
    if canvas.chance(0.35):
        _lamellae(canvas, labels, count, float(strength))
    _borders(canvas, labels)


def _slant(
    canvas: Canvas, labels: NDArray[np.uint16], seeds: NDArray[np.float32], spacing: float
) -> None:
    """Let the grey level run across each grain."""
    table = np.zeros((len(seeds), 3), np.float32)
    table[:, 1:] = canvas.rng.normal(0, canvas.between(0, 9) / spacing, (len(seeds), 2))
    table[:, 0] = -(table[:, 1:] * seeds).sum(1)
    canvas.image += planes(table, labels)


def _bands(
    canvas: Canvas,
    labels: NDArray[np.uint16],
    seeds: NDArray[np.float32],
    spacing: float,
    strength: float,
) -> None:
    """Straight bands across some grains, as twins are."""
    count = len(seeds)
    angles = canvas.rng.uniform(0, np.pi, count)
    table = np.zeros((count, 3), np.float32)
    table[:, 1], table[:, 2] = np.sin(angles), np.cos(angles)
    table[:, 0] = -(table[:, 1:] * seeds).sum(1)
    halves = canvas.rng.uniform(0.05, 0.2, count) * spacing
    halves[canvas.rng.random(count) < canvas.between(0.3, 0.8)] = 0
    band = np.abs(planes(table, labels)) < halves.astype(np.float32)[labels]
    tones = canvas.rng.normal(0, 0.9 * strength + 5, count).astype(np.float32)
    canvas.image += tones[labels] * band
    canvas.layers.append(Layer(labels * band, ["grain_part"] * (count - 1)))


def _lamellae(canvas: Canvas, labels: NDArray[np.uint16], count: int, strength: float) -> None:
    """Fine stripes in some grains, each in a direction of its own."""
    angles = canvas.rng.uniform(0, np.pi, count)
    waves = 2 * np.pi / canvas.rng.uniform(4, 11, count)
    table = np.stack([canvas.rng.uniform(0, 6, count), np.sin(angles), np.cos(angles)], 1)
    table[:, 1:] *= waves[:, None]
    heights = canvas.rng.uniform(0.2, 0.8, count) * strength
    heights[canvas.rng.random(count) < 0.5] = 0
    stripes = np.cos(planes(table.astype(np.float32), labels))
    canvas.image += heights.astype(np.float32)[labels] * stripes


def _borders(canvas: Canvas, labels: NDArray[np.uint16]) -> None:
    """Dark grooves, bright ridges or no line between grains."""
    if canvas.chance(0.3):
        return
    width = canvas.between(0.6, 1.8)
    line: Field = ndimage.gaussian_filter(outlines(labels).astype(np.float32), width, truncate=2.5)
    tone = canvas.between(20, 110) * (1 if canvas.chance(0.4) else -1)
    canvas.image += np.float32(tone * width) * line


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
    # The nearest seed in a stretched metric: cells of a rolled or grown material.
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
