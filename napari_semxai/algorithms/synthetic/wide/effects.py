"""What befalls a whole picture: shadow, tilt, charging, drift, and what is written over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.defects import Painted
from napari_semxai.algorithms.synthetic.fields import smooth_noise
from napari_semxai.algorithms.synthetic.spec import Region
from napari_semxai.algorithms.synthetic.wide.canvas import Canvas, soften
from napari_semxai.algorithms.synthetic.wide.plates import PLATES, Plate, scale_plate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic.fields import Field
    from napari_semxai.types import BoolMask


def darken_half(canvas: Canvas) -> None:
    """Leave one side in the dark: softly by a shadow, or sharply past an edge.

    Past a sharp edge lies another level; both sides become regions.
    """
    rows = np.linspace(-1, 1, canvas.shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, canvas.shape[1], dtype=np.float32)[None, :]
    angle = canvas.rng.uniform(0, 2 * np.pi)
    place = np.float32(np.sin(angle)) * rows + np.float32(np.cos(angle)) * columns
    place = (
        place
        + canvas.between(-0.5, 0.5)
        + canvas.between(0, 0.2) * canvas.noise(canvas.spread(60, 400))
    )
    keep = canvas.between(0.0, 0.45)
    if canvas.chance(0.6):
        width = canvas.between(0.08, 0.7)
        light = 1 / (1 + np.exp(np.clip(place / width * 4, -30, 30)))
    else:
        pixels = place * np.float32(min(canvas.shape) / 2)
        light = np.clip(np.float32(0.5) - pixels / canvas.between(1, 4), 0, 1)
        if canvas.chance(0.5):
            canvas.image += canvas.between(20, 120) * np.exp(
                -np.square(np.clip(pixels / 3, -4, 4))
            )
        canvas.add("material", place > 0)
        canvas.add("material", place <= 0)
    light = keep + (1 - keep) * light
    canvas.image *= light
    _hide(canvas, light > 0.12)


def _hide(canvas: Canvas, seen: BoolMask) -> None:
    """Take what nobody can see out of the regions."""
    for layer in canvas.layers:
        if layer.kinds != ["material"]:
            layer.labels = layer.labels * seen
    canvas.defects = [
        Painted(item.kind, item.mask & seen, tuple(part & seen for part in item.parts))
        for item in canvas.defects
    ]


def charge(canvas: Canvas) -> None:
    """Charge what stands out: halos, streaks along the scan lines, uneven lines."""
    things = _things(canvas)
    rng = canvas.rng
    if things.any() and canvas.chance(0.7):
        soft = soften(things.astype(np.float32), canvas.spread(6, 36) * canvas.size)
        sign = 1 if canvas.chance(0.65) else -0.7
        canvas.image += np.float32(sign) * canvas.between(20, 160) * soft
    if canvas.chance(0.7):
        # What a line meets changes the level of what follows on it, on both sides.
        weight = things.astype(np.float32) if things.any() else _spots(canvas)
        decay = np.exp(-1 / (canvas.between(0.03, 0.5) * canvas.shape[1]))
        trail = _trail(weight[::2, ::4], float(decay) ** 4)
        trail = np.repeat(np.repeat(trail, 2, 0), 4, 1)[: canvas.shape[0], : canvas.shape[1]]
        peak = max(1e-6, float(trail.max()))
        canvas.image += canvas.between(-90, 110) / np.float32(peak) * trail
    if canvas.chance(0.5):
        lines = smooth_noise(rng, (canvas.shape[0], 1), canvas.spread(1.5, 40))
        canvas.image += canvas.between(2, 14) * lines
    if canvas.chance(0.25):
        jump = int(rng.integers(canvas.shape[0]))
        canvas.image[jump:] += canvas.between(-40, 40)


def _things(canvas: Canvas) -> BoolMask:
    """Return what may charge: the defects, or some regions of the topmost layer."""
    if canvas.defects:
        return np.asarray(np.logical_or.reduce([item.mask for item in canvas.defects]))
    if not canvas.layers:
        return np.zeros(canvas.shape, bool)
    layer = canvas.layers[-1]
    charged = canvas.rng.random(len(layer.kinds) + 1) < 0.25
    charged[0] = False
    return np.asarray(charged[layer.labels])


def _spots(canvas: Canvas) -> NDArray[np.float32]:
    return (canvas.noise(canvas.spread(20, 80)) > 1.4).astype(np.float32)


def _trail(weight: NDArray[np.float32], decay: float) -> NDArray[np.float32]:
    """Sum of what lies to the left on each line, forgotten by `decay` a pixel."""
    trail = np.empty_like(weight)
    memory = np.zeros(len(weight), np.float32)
    for column in range(weight.shape[1]):
        memory = np.float32(decay) * memory + weight[:, column]
        trail[:, column] = memory
    return trail


def drift(canvas: Canvas) -> None:
    """Shift the scan lines: sheared, wavy, trembling or with a jump; regions go along."""
    rows = canvas.shape[0]
    place = np.linspace(-0.5, 0.5, rows, dtype=np.float32)
    shift = canvas.between(-0.22, 0.22) * np.float32(rows) * place
    if canvas.chance(0.6):
        scale = canvas.spread(12, 200)
        shift += (
            canvas.between(0.02, 0.2)
            * np.float32(scale)
            * smooth_noise(canvas.rng, (rows, 1), scale)[:, 0]
        )
    if canvas.chance(0.4):
        shift += canvas.between(0.2, 1.5) * canvas.rng.standard_normal(rows, dtype=np.float32)
    if canvas.chance(0.3):
        jump = int(canvas.rng.integers(rows))
        shift[jump:] += canvas.between(-25, 25)
    columns = np.arange(canvas.shape[1], dtype=np.float32)[None, :] + shift[:, None]
    # Mirrored at the sides, so that no line runs out of the picture.
    last = np.float32(canvas.shape[1] - 1)
    columns = np.clip(last - np.abs(last - np.abs(columns)), 0, last)
    low = np.minimum(columns.astype(np.int32), canvas.shape[1] - 2)
    part = columns - low
    line = np.arange(rows)[:, None]
    canvas.image = canvas.image[line, low] * (1 - part) + canvas.image[line, low + 1] * part
    near = low + (part >= 0.5)
    for layer in canvas.layers:
        layer.labels = layer.labels[line, near]
    canvas.defects = [
        Painted(item.kind, item.mask[line, near], tuple(p[line, near] for p in item.parts))
        for item in canvas.defects
    ]


def draw_bar(rng: np.random.Generator, image: Field) -> list[Region]:
    """Draw an info bar along the lower (now and then the upper) edge, in place.

    Returns
    -------
    list of Region
        The bar first, then what it holds.
    """
    rows, columns = image.shape
    height = max(13, round(rng.uniform(0.045, 0.115) * rows))
    plate = _make(rng, height, columns)
    row = 0 if rng.random() < 0.04 else rows - height
    back, ink = _tones(rng)
    image[row : row + height] = np.float32(back) + plate.ink * np.float32(ink - back)
    return _regions(plate, image.shape, (row, 0), "info_bar")


def write_over(rng: np.random.Generator, image: Field) -> list[Region]:
    """Write a caption over the picture, or only a scale bar in a corner, in place.

    Returns
    -------
    list of Region
        The caption's box first if it has a ground of its own, then what it holds.
    """
    rows, columns = image.shape
    ink = 255.0 if rng.random() < 0.8 else 0.0
    if rng.random() < 0.45:
        height, width = (
            round(rng.uniform(0.05, 0.09) * rows),
            round(rng.uniform(0.12, 0.3) * columns),
        )
        plate = Plate(rng, np.zeros((height, width), np.float32))
        scale_plate(plate)
    else:
        height, width = round(rng.uniform(0.04, 0.075) * rows), columns
        if rng.random() < 0.3:
            width = round(rng.uniform(0.75, 0.97) * columns)
        plate = _make(rng, height, width)
    corner = rng.uniform((0.88, 0.02), (0.97, 0.98)) * (rows, columns) - (height, width)
    row, column = np.clip(corner, 0, np.array(image.shape) - (height, width)).astype(int)
    view = image[row : row + height, column : column + width]
    backed = rng.random() < 0.35
    if backed:
        view[:] = 255 - ink
    elif rng.random() < 0.4:
        # A dark (or bright) outline keeps letters legible.
        view += ndimage.maximum_filter(plate.ink, 3) * (np.float32(255 - ink) - view)
    view += plate.ink * (np.float32(ink) - view)
    return _regions(plate, image.shape, (int(row), int(column)), "info_bar" if backed else None)


def _make(rng: np.random.Generator, height: int, width: int) -> Plate:
    plate = Plate(rng, np.zeros((height, width), np.float32))
    list(PLATES.values())[int(rng.integers(len(PLATES)))](plate)
    return plate


def _tones(rng: np.random.Generator) -> tuple[float, float]:
    """Grey levels of the bar and of its ink."""
    share = rng.random()
    if share < 0.6:
        return float(rng.choice((0.0, 0.0, 8.0))), 255.0
    if share < 0.85:
        return float(rng.choice((255.0, 255.0, 235.0))), 0.0
    back = float(rng.uniform(50, 200))
    return back, 255.0 if back < 140 else 0.0


def _regions(
    plate: Plate, shape: tuple[int, int], corner: tuple[int, int], whole: str | None
) -> list[Region]:
    row, column = corner
    regions = []
    if whole:
        regions.append(Region(whole, _rectangle(shape, corner, (plate.height, plate.width))))
    for kind, rows, columns in plate.boxes:
        low = (row + rows.start, column + columns.start)
        size = (rows.stop - rows.start, columns.stop - columns.start)
        regions.append(Region(kind, _rectangle(shape, low, size)))
    return regions


def _rectangle(shape: tuple[int, int], low: tuple[int, int], size: tuple[int, int]) -> BoolMask:
    mask = np.zeros(shape, dtype=bool)
    mask[low[0] : low[0] + size[0], low[1] : low[1] + size[1]] = True
    return mask
