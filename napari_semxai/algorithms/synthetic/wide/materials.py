"""Two or more materials that meet, each with a texture of its own."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, Layer, lit
from napari_semxai.algorithms.synthetic.wide.cells import cells, streaks

if TYPE_CHECKING:
    from collections.abc import Callable

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
