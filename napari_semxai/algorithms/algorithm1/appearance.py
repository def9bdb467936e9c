"""How a part of an image looks beside the surface around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from napari_semxai.types import BoolMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST = 30
"""Pixels of the smallest part that is judged."""

Box = tuple[slice, slice]


def grown(mask: BoolMask, steps: int) -> BoolMask:
    """Return a mask (M, N) with all pixels some steps along rows and columns away from it.

    Ten times as fast as `scipy.ndimage.binary_dilation` with as many iterations.
    """
    for _ in range(steps):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        wider[:, 1:] |= mask[:, :-1]
        wider[:, :-1] |= mask[:, 1:]
        mask = wider
    return mask


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """A component and what lies around it, of any picture (M, N).

    Attributes
    ----------
    wide : tuple of slice
        Where that is: the surface is judged as far away as the component is large.
    region : ndarray of bool, shape (m, n)
        The component in it.
    beyond : ndarray of bool, shape (m, n)
        All but the component and its outline, whose blur belongs to both.
    outline : ndarray of bool, shape (m, n)
        Pixels of the component at its outline.
    """

    wide: Box
    region: BoolMask
    beyond: BoolMask
    outline: BoolMask

    @classmethod
    def of(cls, component: BoolMask, box: Box, inside: Box) -> Surroundings:
        """Return the surroundings of a component, which is given in its `box`."""
        reach = max(4, round(0.5 * int(np.count_nonzero(component)) ** 0.5)) + 2
        rows, columns = (
            slice(max(part.start - reach, limit.start), min(part.stop + reach, limit.stop))
            for part, limit in zip(box, inside, strict=True)
        )
        region = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
        row, column = box[0].start - rows.start, box[1].start - columns.start
        region[row : row + component.shape[0], column : column + component.shape[1]] = component
        return cls((rows, columns), region, ~grown(region, 2), region & grown(~region, 1))

    def looks(self, gray: NDArray[np.uint8], surface: BoolMask) -> tuple[float, float]:
        """Return contrast and outline of the component in a picture (M, N)."""
        values = scipy.ndimage.gaussian_filter(gray[self.wide].astype(np.float32), 1.0)
        around = surface[self.wide] & self.beyond
        ring = values[around] if np.count_nonzero(around) >= SMALLEST else gray[surface]
        middle = float(np.median(ring))
        # The median absolute deviation, as a standard deviation: other defects hardly move it.
        # Plus a grey level, for a surface without any noise.
        spread = 1.4826 * float(np.median(np.abs(ring - middle))) + 1.0
        contrast = np.log1p(abs(float(np.median(values[self.region])) - middle) / spread)
        slopes = np.hypot(*np.gradient(values))
        typical = float(np.median(slopes[around])) if around.any() else 0.0
        sharp = float(slopes[self.outline].mean()) if self.outline.any() else 0.0
        return contrast, np.log((sharp + 1.0) / (typical + 1.0))


def fill_and_edge(component: BoolMask, box: Box, inside: Box) -> tuple[float, float]:
    """Return the share of its box that a component fills, and how far it runs along an edge."""
    area = int(np.count_nonzero(component))
    lost = _at_edge(component, box, inside) / area**0.5
    return area / component.size, min(lost, 3.0)


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
