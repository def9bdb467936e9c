"""Grains of metals and ceramics: grey levels by orientation, borders, twins, lamellae."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, Layer, outlines
from napari_semxai.algorithms.synthetic.wide.cells import cells, planes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic.fields import Field


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
