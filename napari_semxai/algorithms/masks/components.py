"""Connected components from run lengths, and edits of single ones.

Labelling every pixel touches the whole image several times; a mask of few runs needs only
its runs. On SEM masks this is several times faster than pixel labelling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
import skimage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask, IntArray

_EIGHT = np.ones((3, 3), bool)
_BRIDGE = 1.5
"""Half the width in pixels of what joins two defects."""
_WAIST = 0.9
"""A waist is at most so wide, in widths of the narrower part."""


def largest_component(mask: BoolMask, connectivity: int = 8) -> BoolMask:
    """Keep the largest connected component of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (M, N)
        The mask; it is not changed.
    connectivity : {8, 4}
        Whether diagonal neighbours belong together (8) or not (4).

    Returns
    -------
    ndarray of bool, shape (M, N)
        The component with the most pixels; of equals the first in row order. Empty for an
        empty mask.

    Raises
    ------
    ValueError
        If `connectivity` is neither 4 nor 8.

    Examples
    --------
    >>> import numpy as np
    >>> largest_component(np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)).sum()
    np.int64(2)
    """
    check_connectivity(connectivity)
    starts, stops = _runs(mask)
    component = np.zeros(mask.shape, dtype=bool)
    if starts.size == 0:
        return component
    labels = _label_runs(starts, stops, mask.shape[1] + 2, connectivity)
    sizes = np.bincount(labels, weights=stops - starts)
    keep = labels == _first_largest(labels, sizes)
    _paint(component, starts[keep], stops[keep])
    return component


def components_at(mask: BoolMask, seeds: IntArray, connectivity: int = 8) -> BoolMask:
    """Keep the connected components of a mask that hold a seed.

    Parameters
    ----------
    mask : ndarray of bool, shape (M, N)
        The mask; it is not changed.
    seeds : ndarray of int, shape (k, 2)
        Pixels (row, column) within the mask's shape; those on background count for nothing.
    connectivity : {8, 4}
        Whether diagonal neighbours belong together (8) or not (4).

    Raises
    ------
    ValueError
        If `connectivity` is neither 4 nor 8.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
    >>> components_at(mask, np.array([[2, 2]])).sum()
    np.int64(1)
    """
    check_connectivity(connectivity)
    starts, stops = _runs(mask)
    component = np.zeros(mask.shape, dtype=bool)
    if starts.size == 0 or len(seeds) == 0:
        return component
    stride = mask.shape[1] + 2
    # A seed's run is the last one that starts at or before it, unless that stops before it.
    places = seeds[:, 0] * stride + seeds[:, 1] + 1
    runs = np.searchsorted(starts, places, side="right") - 1
    runs = runs[(runs >= 0) & (places < stops[runs])]
    labels = _label_runs(starts, stops, stride, connectivity)
    keep = np.isin(labels, labels[runs])
    _paint(component, starts[keep], stops[keep])
    return component


def components_meeting(mask: BoolMask, other: BoolMask) -> BoolMask:
    """Keep the 8-connected components of a mask that share a pixel with another mask (M, N)."""
    # Within one row what they share is one run of the mask: its first pixel tells all of it.
    starts, _ = _runs(mask & other)
    rows, columns = np.divmod(starts, mask.shape[1] + 2)
    return components_at(mask, np.stack([rows, columns - 1], axis=1))


def large_components(mask: BoolMask, size: int, connectivity: int = 8) -> BoolMask:
    """Keep the connected components of a mask with at least `size` pixels.

    Parameters are as in `components_at`.
    """
    check_connectivity(connectivity)
    starts, stops = _runs(mask)
    kept = np.zeros(mask.shape, dtype=bool)
    if starts.size:
        labels = _label_runs(starts, stops, mask.shape[1] + 2, connectivity)
        large = np.bincount(labels, weights=stops - starts) >= size
        _paint(kept, starts[large[labels]], stops[large[labels]])
    return kept


def check_connectivity(connectivity: int) -> None:
    """Raise ValueError unless `connectivity` is 4 or 8."""
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 or 8, not {connectivity!r}")


def _runs(mask: BoolMask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return starts and stops of the row runs, in a row-major index with two columns of padding.

    The padding keeps the end of a row from touching the start of the next.
    """
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=bool)
    padded[:, 1:-1] = mask
    flat = padded.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return changes[0::2], changes[1::2]


def _label_runs(
    starts: NDArray[np.int64], stops: NDArray[np.int64], stride: int, connectivity: int
) -> NDArray[np.int32]:
    """Return the component number of each run."""
    diagonal = connectivity == 8
    # Runs are sorted, so the runs of the next row that touch one stand next to each other; strict
    # or not strict decides whether a shared corner is enough. Far fewer runs than pixels: several
    # times faster than labelling the picture.
    first = np.searchsorted(stops, starts + stride, side="left" if diagonal else "right")
    last = np.searchsorted(starts, stops + stride, side="right" if diagonal else "left")
    counts = np.maximum(last - first, 0)
    above = np.repeat(np.arange(starts.size), counts)
    within = np.arange(above.size) - np.repeat(np.cumsum(counts) - counts, counts)
    below = np.repeat(first, counts) + within
    graph = scipy.sparse.coo_array(
        (np.ones(above.size, dtype=np.int8), (above, below)), shape=(starts.size, starts.size)
    )
    labels: NDArray[np.int32] = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
    return labels


def _first_largest(labels: NDArray[np.int32], sizes: NDArray[Any]) -> int:
    """Return the label with the largest size; of equals the one whose run comes first."""
    return int(labels[np.argmax(sizes[labels])])


def _paint(target: BoolMask, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
    stride = target.shape[1] + 2
    flat = target.ravel()
    # Padded index r * (N + 2) + c + 1 back to r * N + c.
    shift = 2 * (starts // stride) + 1
    for start, stop in zip((starts - shift).tolist(), (stops - shift).tolist(), strict=True):
        flat[start:stop] = True


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
    label : str
        Its class; "" where none is known.
    """

    number: int
    area: int
    box: tuple[int, int, int, int]
    seed: tuple[int, int]
    label: str = ""

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


def label_defects(
    mask: BoolMask, defects: tuple[Defect, ...], label: str, parts: Iterable[tuple[str, BoolMask]]
) -> tuple[Defect, ...]:
    """Return the defects of a mask with their classes.

    Parameters
    ----------
    mask : ndarray of bool, shape (M, N)
        The mask.
    defects : tuple of Defect
        What `find_defects` finds in it.
    label : str
        Class of those that no part lies on.
    parts : iterable of (str, ndarray of bool, shape (M, N))
        Objects with a class of their own; of several on one defect that with the most pixels
        counts.
    """
    labels = scipy.ndimage.label(mask, _EIGHT)[0]
    found, most = [label] * (len(defects) + 1), np.zeros(len(defects) + 1, int)
    for name, part in parts:
        pixels = np.bincount(labels[part & mask], minlength=len(most))
        for number in np.flatnonzero(pixels > most):
            found[number], most[number] = name, pixels[number]
    return tuple(replace(one, label=found[one.number]) for one in defects)


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
