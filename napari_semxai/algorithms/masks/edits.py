"""Edits of a whole mask: mask in, new mask out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
import skimage

from napari_semxai.algorithms.masks.components import large_components, largest_component
from napari_semxai.algorithms.masks.metrics import bounding_box
from napari_semxai.types import BoolMask


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
class MaskEdit:
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


MASK_EDITS: tuple[MaskEdit, ...] = (
    MaskEdit("fill holes", "Fill background that does not reach the edge", fill_holes),
    MaskEdit(
        "remove specks",
        "Remove components smaller than a disc of this radius",
        remove_specks,
        "size",
    ),
    MaskEdit("smooth", "Majority in a disc of this radius", smooth, "radius"),
    MaskEdit("grow", "Add every pixel within this radius", grow, "radius"),
    MaskEdit(
        "shrink", "Remove every pixel within this radius of the background", shrink, "radius"
    ),
    MaskEdit("keep largest", "Keep the largest component", keep_largest),
    MaskEdit("invert", "Swap foreground and background", invert),
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
