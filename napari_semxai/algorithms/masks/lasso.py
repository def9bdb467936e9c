"""Outlines that a person draws corner by corner, straight or along the edges of the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy
import skimage
from numpy.typing import NDArray

from napari_semxai.types import BoolMask

Place = tuple[float, float]
Link = Callable[[Place, Place], NDArray[np.float64]]
"""Returns the line (row, column) from one corner to another, both included."""

_MOST_NODES = 96
"""Nodes on the longer side of the grid that a path is looked for on: a few milliseconds."""
_MARGIN = 12
"""Nodes by which the grid is larger than the two ends, so that a path can bow out."""
_SMOOTH = 1.0
_FLAT = 0.02
"""Cost of a step along the strongest edge, where a step over even ground costs 1."""
_TOLERANCE = 1.5
"""How far in pixels a side may stray from the outline that it is put in the place of."""


def straight(start: Place, end: Place) -> NDArray[np.float64]:
    """Return the straight line between two corners."""
    return np.array([start, end], dtype=np.float64)


def edge_path(gray: NDArray[np.uint8], start: Place, end: Place) -> NDArray[np.float64]:
    """Return the line between two places that keeps to edges of the picture.

    It is the cheapest path over a grid around both, where strong gradients are cheap. Far-apart
    ends have a coarser grid, so that the answer always takes some milliseconds.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The picture.
    start, end : tuple of float
        Row and column; pixel (0, 0) has its middle at 0.

    Returns
    -------
    ndarray of float, shape (P, 2)
        Rows and columns, from `start` to `end`.

    References
    ----------
    .. [1] E. N. Mortensen and W. A. Barrett, "Intelligent Scissors for Image Composition",
       SIGGRAPH, 1995.
    """
    ends = np.clip([start, end], 0, np.array(gray.shape) - 1)
    stride = max(1, int(np.ceil(np.ptp(ends, axis=0).max() / (_MOST_NODES - 2 * _MARGIN))))
    low = np.maximum(np.floor(ends.min(0)).astype(int) - _MARGIN * stride, 0)
    high = np.ceil(ends.max(0)).astype(int) + _MARGIN * stride + 1
    part = gray[low[0] : high[0], low[1] : high[1]]
    # The reduction would fill up with black, whose edge is the strongest of all.
    part = np.pad(part, [(0, -side % stride) for side in part.shape], mode="edge")
    # Of areas, not of single pixels: noise would be taken for edges.
    steep = _steepness(skimage.measure.block_reduce(part, stride, np.mean))
    cost = _FLAT + (1 - steep / max(float(steep.max()), 1e-6)) ** 2
    nodes = np.minimum(np.rint((ends - low) / stride).astype(int), np.array(cost.shape) - 1)
    path, _ = skimage.graph.route_through_array(cost, nodes[0], nodes[1], geometric=True)
    inner = np.array(path[1:-1], np.float64).reshape(-1, 2) * stride + (stride - 1) / 2 + low
    return np.concatenate([[start], inner, [end]])


def nearest_edge(gray: NDArray[np.uint8], place: Place, reach: int) -> Place:
    """Return the steepest pixel within `reach` of a place; the place itself on even ground."""
    row, column = (
        int(np.clip(round(each), 0, side - 1))
        for each, side in zip(place, gray.shape, strict=True)
    )
    top, left = max(row - reach, 0), max(column - reach, 0)
    part = _steepness(gray[top : row + reach + 1, left : column + reach + 1])
    if part.max() <= 0:
        return place
    found = np.unravel_index(int(part.argmax()), part.shape)
    return float(top + found[0]), float(left + found[1])


def _steepness(part: NDArray[np.uint8]) -> NDArray[np.float64]:
    steep: NDArray[np.float64] = scipy.ndimage.gaussian_gradient_magnitude(
        part.astype(np.float64), _SMOOTH, mode="nearest"
    )
    return steep


@dataclass
class Outline:
    """Corners and the lines between them, to be drawn, corrected, and made a mask.

    Attributes
    ----------
    corners : list of tuple of float
        Row and column; pixel (0, 0) has its middle at 0.
    lines : list of ndarray of float, shape (P, 2)
        From each corner to the next; of a closed outline, from the last to the first, too.
    closed : bool
        Whether it is around something already, and is only corrected.
    instead_of : ndarray of bool, shape (M, N), or None
        The object that it was taken from, and takes the place of.
    """

    corners: list[Place] = field(default_factory=list)
    lines: list[NDArray[np.float64]] = field(default_factory=list)
    closed: bool = False
    instead_of: BoolMask | None = None

    @classmethod
    def around(cls, object_: BoolMask) -> Outline:
        """Return the outer outline of one connected object (M, N), exact until it is changed."""
        filled = scipy.ndimage.binary_fill_holes(object_)
        # A margin: the outline of an object at the image's edge is closed there, too.
        padded = np.pad(filled, 1).astype(np.float64)
        found = skimage.measure.find_contours(padded, 0.5, fully_connected="high")
        contour = max(found, key=len) - 1
        # Halves apart, as the first corner is the last one as well.
        half = len(contour) // 2
        kept = np.concatenate(
            [
                _corners(contour[: half + 1])[:-1],
                half + _corners(contour[half:])[:-1],
            ]
        )
        stops = [*kept[1:], len(contour) - 1]
        lines = [contour[begin : stop + 1] for begin, stop in zip(kept, stops, strict=True)]
        corners = [(float(row), float(column)) for row, column in contour[kept]]
        return cls(corners, lines, closed=True, instead_of=object_)

    def add(self, corner: Place, link: Link) -> None:
        """Put a corner at the end of an outline that is not closed."""
        if self.corners:
            self.lines.append(link(self.corners[-1], corner))
        self.corners.append(corner)

    def insert(self, line: int, corner: Place, link: Link) -> int:
        """Put a corner into a line; return its number."""
        self.corners.insert(line + 1, corner)
        self.lines.insert(line + 1, self.lines[line])
        self._link(line, link)
        self._link(line + 1, link)
        return line + 1

    def move(self, corner: int, place: Place, link: Link) -> None:
        """Move a corner; the lines at it are drawn anew."""
        self.corners[corner] = place
        for line in (corner - 1, corner):
            self._link(line, link)

    def remove(self, corner: int, link: Link) -> None:
        """Remove a corner; a line across takes its place."""
        del self.corners[corner]
        if self.lines:
            # Of the two lines at the corner one goes, the other one is drawn anew.
            del self.lines[min(corner, len(self.lines) - 1)]
            self._link(corner - 1, link)

    def corner_at(self, place: Place, reach: float) -> int | None:
        """Return the corner nearest to a place, within `reach` pixels."""
        return _nearest(np.array(self.corners).reshape(-1, 2), place, reach)

    def line_at(self, place: Place, reach: float) -> int | None:
        """Return the line nearest to a place, within `reach` pixels."""
        points = [_dense(line) for line in self.lines]
        found = _nearest(np.concatenate([*points, np.empty((0, 2))]), place, reach)
        if found is None:
            return None
        ends = np.cumsum([len(each) for each in points])
        return int(np.searchsorted(ends, found, side="right"))

    def path(self) -> NDArray[np.float64]:
        """Return the line through all corners, shape (P, 2)."""
        if not self.lines:
            return np.array(self.corners, np.float64).reshape(-1, 2)
        return np.concatenate(self.lines)

    def mask(self, shape: tuple[int, int], link: Link) -> BoolMask:
        """Return the pixels (M, N) whose middle lies within; `link` closes it where it is open."""
        path = self.path()
        if not self.closed and len(self.corners) > 1:
            path = np.concatenate([path, link(self.corners[-1], self.corners[0])])
        inside: BoolMask = np.zeros(shape, dtype=bool)
        if len(path) > 2:
            inside[skimage.draw.polygon(path[:, 0], path[:, 1], shape)] = True
        if self.instead_of is not None:
            # What was no part of the object within it stays so.
            inside &= ~(scipy.ndimage.binary_fill_holes(self.instead_of) & ~self.instead_of)
        return inside

    def apply(self, mask: BoolMask, link: Link, *, erase: bool = False) -> BoolMask:
        """Return a mask with the outline's pixels added, or taken out.

        Parameters
        ----------
        mask : ndarray of bool, shape (M, N)
            The mask; it is not changed.
        link : callable
            Closes the outline where it is open.
        erase : bool
            Take the pixels out instead.
        """
        inside = self.mask((mask.shape[0], mask.shape[1]), link)
        if erase:
            return mask & ~inside
        return (mask if self.instead_of is None else mask & ~self.instead_of) | inside

    def _link(self, line: int, link: Link) -> None:
        """Draw a line anew; of an outline that is not closed there is none before the first."""
        count = len(self.corners)
        if self.closed:
            line %= count
        if 0 <= line < len(self.lines):
            self.lines[line] = link(self.corners[line], self.corners[(line + 1) % count])


def _corners(line: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return which points of a line suffice to draw it with a small error."""
    kept = skimage.measure.approximate_polygon(line, _TOLERANCE)
    # The points that are kept stand in the order of the line, each once.
    numbers, start = [], 0
    for point in kept:
        start += int(np.argmax((line[start:] == point).all(axis=1)))
        numbers.append(start)
    return np.array(numbers)


def _dense(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points along a line, about a pixel apart."""
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    wanted = np.linspace(0.0, steps[-1], max(2, int(steps[-1]) + 1))
    return np.stack([np.interp(wanted, steps, line[:, axis]) for axis in (0, 1)], axis=1)


def _nearest(points: NDArray[np.float64], place: Place, reach: float) -> int | None:
    if not len(points):
        return None
    distances = np.hypot(*(points - place).T)
    found = int(distances.argmin())
    return found if distances[found] <= reach else None
