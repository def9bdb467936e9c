"""Edits of a mask as the runs of pixels that they flipped: small, exact, and their own undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.masks.metrics import bounding_box
from napari_semxai.types import MaskEdit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_semxai.types import BoolMask


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
