"""Putting a plate into the picture: as an info bar, or written over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.spec import Region
from napari_semxai.algorithms.synthetic.wide.plates import PLATES, Plate, scale_plate

if TYPE_CHECKING:
    from napari_semxai.algorithms.synthetic.fields import Field
    from napari_semxai.types import BoolMask


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
