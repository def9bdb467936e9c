"""Size, place and shape of a mask as one object, in pixels and micrometres, and its outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy
import skimage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask

_MICRO = 1e6
# Name of a length or area in pixels, and the power of the pixel size it grows with.
_SCALED = {
    "area": 2,
    "height": 1,
    "width": 1,
    "equivalent_diameter": 1,
    "perimeter": 1,
    "major_axis": 1,
    "minor_axis": 1,
}
# Clockwise, the mask on the right: up, right, down, left as (row, column).
_STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))


def measure(mask: BoolMask, pixel_size: float | None = None) -> dict[str, float | int | None]:
    """Measure all foreground of a mask as one object.

    Parameters
    ----------
    mask : ndarray of bool, shape (M, N)
        The mask.
    pixel_size : float, optional
        Metres; without it there are no values in micrometres.

    Returns
    -------
    dict
        ``components`` (8-connected); ``row0, column0, row1, column1`` (bounding box, ends
        excluded); ``centroid_row, centroid_column``; ``orientation_deg`` (from the rows' axis to
        the major axis, -90 to 90); ``eccentricity``; and with the endings ``_px`` and ``_um``
        (``_px``, ``_um2`` for the area) ``area, height, width, equivalent_diameter, perimeter,
        major_axis, minor_axis``. None where an empty mask has no such value.
    """
    regions = skimage.measure.regionprops(mask.astype(np.uint8))
    values = _empty() if not regions else _values(regions[0])
    values["components"] = int(scipy.ndimage.label(mask, np.ones((3, 3)))[1])
    for name, power in _SCALED.items():
        pixels = values.pop(name)
        values[f"{name}_px"] = pixels
        known = None if pixel_size is None or pixels is None else (pixel_size * _MICRO) ** power
        unit = "um2" if power == 2 else "um"
        values[f"{name}_{unit}"] = None if known is None or pixels is None else pixels * known
    return values


def _values(region: object) -> dict[str, float | int | None]:
    known = {name: getattr(region, name) for name in _PROPERTIES}
    row0, column0, row1, column1 = map(int, known["bbox"])
    return {
        "row0": row0,
        "column0": column0,
        "row1": row1,
        "column1": column1,
        "centroid_row": float(known["centroid"][0]),
        "centroid_column": float(known["centroid"][1]),
        "orientation_deg": float(np.degrees(known["orientation"])),
        "eccentricity": float(known["eccentricity"]),
        "area": int(known["area"]),
        "height": row1 - row0,
        "width": column1 - column0,
        "equivalent_diameter": float(known["equivalent_diameter_area"]),
        "perimeter": float(known["perimeter"]),
        "major_axis": float(known["axis_major_length"]),
        "minor_axis": float(known["axis_minor_length"]),
    }


_PROPERTIES = (
    "bbox",
    "centroid",
    "orientation",
    "eccentricity",
    "area",
    "equivalent_diameter_area",
    "perimeter",
    "axis_major_length",
    "axis_minor_length",
)


def _empty() -> dict[str, float | int | None]:
    places = ("row0", "column0", "row1", "column1", "centroid_row", "centroid_column")
    values: dict[str, float | int | None] = dict.fromkeys((*places, "orientation_deg"))
    values |= dict.fromkeys(("eccentricity", "equivalent_diameter", "perimeter"))
    return (
        values
        | dict.fromkeys(("major_axis", "minor_axis"))
        | dict.fromkeys(("area", "height", "width"), 0)
    )


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
        # COCO's polygons have no holes: a cut through the hole makes two parts without it.
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
