"""Clumps of particles: balls, discs and flakes that lie on one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.synthetic.defects import Painted
from napari_semxai.algorithms.synthetic.fields import Field, blob, smooth_noise, window_grid
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
