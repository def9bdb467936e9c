"""The defects of a mask, one a connected component, and edits of single ones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy
import skimage

from napari_semxai.algorithms.masks.components import components_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask

_EIGHT = np.ones((3, 3), bool)
_BRIDGE = 1.5
"""Half the width in pixels of what joins two defects."""
_WAIST = 0.9
"""A waist is at most so wide, in widths of the narrower part."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One 8-connected component of a mask.

    Attributes
    ----------
    number : int
        From 1, in the order in which the mask's rows reach them.
    area : int
        Pixels.
    box : tuple of int
        (row0, column0, row1, column1), ends excluded.
    seed : tuple of int
        (row, column) of one of its pixels: finds it again while it is there.
    """

    number: int
    area: int
    box: tuple[int, int, int, int]
    seed: tuple[int, int]

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box (row, column) in pixels."""
        row0, column0, row1, column1 = self.box
        return (row0 + row1 - 1) / 2, (column0 + column1 - 1) / 2

    def part_of(self, mask: BoolMask) -> BoolMask:
        """Return this defect alone, in a mask of the same shape (M, N)."""
        row0, column0, row1, column1 = self.box
        box = (slice(row0, row1), slice(column0, column1))
        seed = np.array([[self.seed[0] - row0, self.seed[1] - column0]])
        part = np.zeros_like(mask)
        # In its box alone: a mask of many specks has many defects.
        part[box] = components_at(mask[box], seed)
        return part


def find_defects(mask: BoolMask) -> tuple[Defect, ...]:
    """Return the components of a mask (M, N) by their number.

    Examples
    --------
    >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1]], dtype=bool)
    >>> [(one.number, one.area, one.box) for one in find_defects(mask)]
    [(1, 2, (0, 0, 1, 2)), (2, 1, (1, 3, 2, 4))]
    """
    labels, count = scipy.ndimage.label(mask, _EIGHT)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    found = []
    for number, (rows, columns) in enumerate(scipy.ndimage.find_objects(labels), start=1):
        first = labels[rows.start, columns] == number
        seed = rows.start, columns.start + int(np.argmax(first))
        box = (rows.start, columns.start, rows.stop, columns.stop)
        found.append(Defect(number, int(areas[number]), box, seed))
    return tuple(found)


def remove_defects(mask: BoolMask, seeds: NDArray[np.int_]) -> BoolMask:
    """Remove the components that hold a seed (k, 2) as (row, column)."""
    return mask & ~components_at(mask, seeds)


def keep_defects(mask: BoolMask, seeds: NDArray[np.int_]) -> BoolMask:
    """Keep only the components that hold a seed (k, 2) as (row, column)."""
    return components_at(mask, seeds)


def join_defects(mask: BoolMask, seeds: NDArray[np.int_]) -> BoolMask:
    """Join the components that hold a seed, each to the next one by the shortest bridge.

    Parameters
    ----------
    mask : ndarray of bool, shape (M, N)
        The mask; it is not changed.
    seeds : ndarray of int, shape (k, 2)
        Pixels (row, column).
    """
    joined = mask.copy()
    for first, second in pairwise(seeds):
        here = components_at(mask, first[None])
        if here[tuple(second)]:
            continue
        there = components_at(mask, second[None])
        # Of each pixel the nearest one of the first component.
        distance, nearest = scipy.ndimage.distance_transform_edt(~here, return_indices=True)
        rows, columns = np.nonzero(there)
        best = int(np.argmin(distance[rows, columns]))
        end = np.array([rows[best], columns[best]])
        _paint_line(joined, nearest[:, end[0], end[1]], end)
    return joined


def split_defects(mask: BoolMask, seeds: NDArray[np.int_]) -> BoolMask:
    """Cut each component that holds a seed in two at its waist; one without a waist stays.

    The parts are those of a watershed of the distance to the background, from its two highest
    places that are as far apart as the smaller one is high [1]_.

    Parameters
    ----------
    mask : ndarray of bool, shape (M, N)
        The mask; it is not changed.
    seeds : ndarray of int, shape (k, 2)
        Pixels (row, column).

    References
    ----------
    .. [1] P. Soille and L. Vincent, "Determining watersheds in digital pictures via flooding
       simulations", SPIE 1360, 1990.
    """
    parted = mask.copy()
    for seed in seeds:
        part = components_at(mask, seed[None])
        distance = scipy.ndimage.distance_transform_edt(part)
        places = skimage.feature.peak_local_max(
            distance, min_distance=2, labels=part.astype(np.uint8), exclude_border=False
        )
        if len(places) == 0:
            continue
        apart = np.hypot(*(places - places[0]).T) > distance[tuple(places.T)]
        if not apart.any():
            continue
        markers = np.zeros(mask.shape, np.int32)
        markers[tuple(places[0])], markers[tuple(places[int(np.argmax(apart))])] = 1, 2
        labels = skimage.segmentation.watershed(-distance, markers, mask=part)
        # A cut one pixel wide, through which the parts do not touch by their corners either.
        cut = scipy.ndimage.binary_dilation(labels == 1, _EIGHT) & (labels == 2)
        lower = distance[labels == 2].max(initial=0)
        if cut.any() and distance[cut].max() < _WAIST * lower:
            parted &= ~cut
    return parted


def _paint_line(mask: BoolMask, start: NDArray[np.int_], end: NDArray[np.int_]) -> None:
    """Set every pixel near the straight line between two pixels."""
    low = np.maximum(np.minimum(start, end) - 2, 0)
    high = np.minimum(np.maximum(start, end) + 3, mask.shape)
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    rows, columns = np.mgrid[box]
    along = (end - start).astype(float)
    length = max(float(along @ along), 1.0)
    share = ((rows - start[0]) * along[0] + (columns - start[1]) * along[1]) / length
    share = np.clip(share, 0, 1)
    away = np.hypot(rows - start[0] - share * along[0], columns - start[1] - share * along[1])
    mask[box] |= away <= _BRIDGE
