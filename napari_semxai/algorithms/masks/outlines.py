"""Outlines of a mask along the edges of its pixels, from which exactly the mask comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask

# Clockwise, the mask on the right: up, right, down, left as (row, column).
_STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))


def outlines(mask: BoolMask) -> list[NDArray[np.int64]]:
    """Return closed outlines whose insides together are the mask.

    A part with a hole is cut through the hole, because an outline cannot have one. No two
    outlines share a pixel.

    Parameters
    ----------
    mask : ndarray of bool, shape (M, N)
        The mask.

    Returns
    -------
    list of ndarray of int, shape (n, 2)
        Corners as (row, column) between pixels: the pixel (r, c) has the corners (r, c) and
        (r + 1, c + 1). The last corner is joined to the first.

    Examples
    --------
    >>> outlines(np.array([[False, True, True]]))[0].tolist()
    [[0, 1], [0, 3], [1, 3], [1, 1]]
    """
    return [_trace(part) + corner for part, corner in _parts(np.asarray(mask, dtype=bool))]


def _parts(mask: BoolMask) -> Iterator[tuple[BoolMask, NDArray[np.int64]]]:
    """Yield 4-connected parts without holes, each in its box, with the box's first corner."""
    labels, _ = scipy.ndimage.label(mask)
    for number, box in enumerate(scipy.ndimage.find_objects(labels), start=1):
        part = labels[box] == number
        corner = np.array([box[0].start, box[1].start])
        holes = scipy.ndimage.binary_fill_holes(part) & ~part
        if not holes.any():
            yield part, corner
            continue
        cut = int(np.flatnonzero(holes.any(axis=1))[0]) + 1
        for half, row in ((part[:cut], 0), (part[cut:], cut)):
            for piece, inner in _parts(half):
                yield piece, corner + inner + (row, 0)


def _trace(part: BoolMask) -> NDArray[np.int64]:
    """Follow the one outline of a part without holes."""
    padded = np.pad(part, 1)
    start = (0, int(np.flatnonzero(part[0])[0]))
    place, heading, corners = start, 1, [start]
    while True:
        row, column = place[0] + _STEPS[heading][0], place[1] + _STEPS[heading][1]
        place = (row, column)
        if place == start:
            return np.array(corners, dtype=np.int64)
        turned = _turn(padded[row : row + 2, column : column + 2], heading)
        if turned != heading:
            corners.append(place)
        heading = turned


def _turn(around: BoolMask, heading: int) -> int:
    """Return the new heading at a corner; `around` are the four pixels that meet there."""
    # Pixels ahead on the left and on the right, seen along each heading.
    ahead = {
        0: (around[0, 0], around[0, 1]),
        1: (around[0, 1], around[1, 1]),
        2: (around[1, 1], around[1, 0]),
        3: (around[1, 0], around[0, 0]),
    }
    left, right = ahead[heading]
    if left and right:
        return (heading - 1) % 4
    return heading if right else (heading + 1) % 4
