"""Edits of a mask: of all of it, and any edit as the runs of pixels that it flipped.

Such runs are small, exact, and their own undo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy
import skimage

from napari_semxai.algorithms.masks.components import large_components, largest_component
from napari_semxai.algorithms.masks.metrics import bounding_box
from napari_semxai.types import BoolMask, MaskEdit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def fill_holes(mask: BoolMask, size: int = 0) -> BoolMask:
    """Fill background that does not reach the edge; holes up to `size` pixels, 0 for all."""
    filled: BoolMask = scipy.ndimage.binary_fill_holes(mask)
    if size <= 0:
        return filled
    holes = filled & ~mask
    return filled & ~large_components(holes, size + 1, connectivity=4)


def remove_specks(mask: BoolMask, size: int = 16) -> BoolMask:
    """Remove 8-connected components of fewer than `size` pixels."""
    return large_components(mask, size)


def smooth(mask: BoolMask, radius: int = 2) -> BoolMask:
    """Replace each pixel by the majority of a disc of `radius` pixels around it."""
    disc = skimage.morphology.disk(radius).astype(np.float32)
    return _in_box(mask, radius, lambda part: _majority(part, disc))


def grow(mask: BoolMask, radius: int = 1) -> BoolMask:
    """Add every pixel within `radius` pixels of the mask."""
    return _in_box(mask, radius, lambda part: _distance(~part) <= radius)


def shrink(mask: BoolMask, radius: int = 1) -> BoolMask:
    """Remove every pixel within `radius` pixels of the background."""
    return _in_box(mask, radius, lambda part: _distance(part) > radius)


def keep_largest(mask: BoolMask) -> BoolMask:
    """Keep the largest 8-connected component."""
    return largest_component(mask, connectivity=8)


def invert(mask: BoolMask) -> BoolMask:
    """Swap foreground and background."""
    return ~mask


@dataclass(frozen=True, slots=True)
class WholeMaskEdit:
    """An edit of a whole mask, as docks offer it and recipes name it.

    Attributes
    ----------
    name : str
        Name in recipes and, capitalised, on the button.
    description : str
        One line for the tooltip.
    function : callable
        Takes the mask and the parameter, and returns a new mask.
    parameter : {"radius", "size"} or None
        Which argument of `function` a person chooses: a radius in pixels, or the size in pixels
        of a disc of that radius.
    """

    name: str
    description: str
    function: Callable[..., BoolMask]
    parameter: Literal["radius", "size"] | None = None


MASK_EDITS: tuple[WholeMaskEdit, ...] = (
    WholeMaskEdit("fill holes", "Fill background that does not reach the edge", fill_holes),
    WholeMaskEdit(
        "remove specks",
        "Remove components smaller than a disc of this radius",
        remove_specks,
        "size",
    ),
    WholeMaskEdit("smooth", "Majority in a disc of this radius", smooth, "radius"),
    WholeMaskEdit("grow", "Add every pixel within this radius", grow, "radius"),
    WholeMaskEdit(
        "shrink", "Remove every pixel within this radius of the background", shrink, "radius"
    ),
    WholeMaskEdit("keep largest", "Keep the largest component", keep_largest),
    WholeMaskEdit("invert", "Swap foreground and background", invert),
)
"""All edits in the order of their buttons; a new one is an entry here."""


def _majority(mask: BoolMask, disc: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> BoolMask:
    counts = scipy.ndimage.convolve(mask.astype(np.float32), disc, mode="constant")
    majority: BoolMask = counts > disc.sum() / 2
    return majority


def _distance(mask: BoolMask) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    if mask.all():
        return np.full(mask.shape, np.inf)
    distance: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = (
        scipy.ndimage.distance_transform_edt(mask)
    )
    return distance


def _in_box(mask: BoolMask, margin: int, edit: Callable[[BoolMask], BoolMask]) -> BoolMask:
    """Apply a local edit to the bounding box of the mask only: most of an image is background."""
    result = np.zeros_like(mask)
    found = bounding_box(mask)
    if found is not None:
        box = tuple(
            slice(max(side.start - margin - 1, 0), side.stop + margin + 1) for side in found
        )
        result[box] = edit(mask[box])
    return result


def mask_patch(
    before: BoolMask, after: BoolMask, name: str, details: Mapping[str, Any] | None = None
) -> MaskEdit:
    """Return the edit that turns `before` into `after`, and back again.

    Parameters
    ----------
    before, after : ndarray of bool, shape (M, N)
        The mask before and after.
    name : str
        What the edit is called.
    details : mapping, optional
        What it was asked for; values that JSON can hold.

    Raises
    ------
    ValueError
        When the shapes differ.

    Examples
    --------
    >>> before = np.zeros((2, 4), dtype=bool)
    >>> after = before.copy()
    >>> after[1, 1:3] = True
    >>> edit = mask_patch(before, after, "stroke")
    >>> edit.box, edit.runs
    ((1, 1, 2, 3), (0, 2))
    >>> bool((apply_patch(before, edit) == after).all())
    True
    """
    if before.shape != after.shape:
        raise ValueError(f"masks of shapes {before.shape} and {after.shape} cannot be compared")
    flipped = before != after
    found = bounding_box(flipped)
    if found is None:
        return MaskEdit(name, (0, 0, 0, 0), (), details or {})
    rows, columns = found
    box = (rows.start, columns.start, rows.stop, columns.stop)
    flat = flipped[found].ravel()
    borders = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    # Kept and flipped pixels by turns, the first run kept, so that lengths are all that is stored.
    runs = np.diff(np.concatenate([[0], borders, [flat.size]])).tolist()
    return MaskEdit(name, box, tuple([0, *runs] if flat[0] else runs), details or {})


def apply_patch(mask: BoolMask, edit: MaskEdit) -> BoolMask:
    """Return `mask` with the pixels of `edit` flipped.

    Raises
    ------
    ValueError
        When the edit does not fit the mask.
    """
    row0, column0, row1, column1 = edit.box
    rows, columns = mask.shape
    size = (row1 - row0) * (column1 - column0)
    fits = 0 <= row0 <= row1 <= rows and 0 <= column0 <= column1 <= columns
    if not fits or sum(edit.runs) != size or min(edit.runs, default=0) < 0:
        raise ValueError(f"edit {edit.name!r} does not fit a mask of shape {mask.shape}")
    flips = np.arange(len(edit.runs)) % 2 == 1
    result = mask.copy()
    result[row0:row1, column0:column1] ^= np.repeat(flips, edit.runs).reshape(
        row1 - row0, column1 - column0
    )
    return result


def apply_patches(mask: BoolMask, edits: Iterable[MaskEdit]) -> BoolMask:
    """Return `mask` after all edits; in any order, and twice is as never."""
    for edit in edits:
        mask = apply_patch(mask, edit)
    return mask
