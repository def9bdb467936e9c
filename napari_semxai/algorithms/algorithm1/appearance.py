"""How a part of an image looks beside the surface around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask

SMALLEST = 30
"""Pixels of the smallest part that is judged."""

Box = tuple[slice, slice]


def appearance(
    gray: NDArray[np.uint8], surface: BoolMask, component: BoolMask, box: Box, inside: Box
) -> tuple[float, float, float, float]:
    """Return contrast, outline, fill and edge of one component, which is given in its `box`."""
    area = int(np.count_nonzero(component))
    # The surface around it is judged as far away as the component is large.
    reach = max(4, round(0.5 * area**0.5))
    wide = tuple(
        slice(max(part.start - reach - 2, limit.start), min(part.stop + reach + 2, limit.stop))
        for part, limit in zip(box, inside, strict=True)
    )
    region = np.zeros(tuple(side.stop - side.start for side in wide), dtype=bool)
    region[
        tuple(
            slice(part.start - side.start, part.stop - side.start)
            for part, side in zip(box, wide, strict=True)
        )
    ] = component
    values = scipy.ndimage.gaussian_filter(gray[wide].astype(np.float32), 1.0)
    # Without the outline itself, whose blur belongs to both.
    around = surface[wide] & ~scipy.ndimage.binary_dilation(region, iterations=2)
    ring = values[around] if np.count_nonzero(around) >= SMALLEST else gray[surface]
    middle = float(np.median(ring))
    # The median absolute deviation, as a standard deviation: other defects hardly move it.
    # Plus a grey level, for a surface without any noise.
    spread = 1.4826 * float(np.median(np.abs(ring - middle))) + 1.0
    contrast = np.log1p(abs(float(np.median(values[region])) - middle) / spread)
    slopes = np.hypot(*np.gradient(values))
    outline_at = region & ~scipy.ndimage.binary_erosion(region, border_value=1)
    typical = float(np.median(slopes[around])) if around.any() else 0.0
    sharp = float(slopes[outline_at].mean()) if outline_at.any() else 0.0
    outline = np.log((sharp + 1.0) / (typical + 1.0))
    lost = _at_edge(component, box, inside) / area**0.5
    return contrast, outline, area / component.size, min(lost, 3.0)


def _at_edge(component: BoolMask, box: Box, inside: Box) -> int:
    """Count the pixels of a component at the image's edge or the ignored border."""
    rows, columns = box
    sides = (
        (rows.start == inside[0].start, component[0]),
        (rows.stop == inside[0].stop, component[-1]),
        (columns.start == inside[1].start, component[:, 0]),
        (columns.stop == inside[1].stop, component[:, -1]),
    )
    return sum(int(np.count_nonzero(line)) for meets, line in sides if meets)
