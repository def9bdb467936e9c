"""What a method says of the images of a data set: float maps and masks in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.dataset import TruthImage, find_by_stem
from napari_semxai.store.masks import read_mask
from napari_semxai.types import BoolMask, FloatArray, InputError

if TYPE_CHECKING:
    from pathlib import Path


def read_map(folder: Path, image: TruthImage) -> FloatArray | None:
    """Read a method's float map of an image; None where it has none.

    Raises
    ------
    InputError
        When it cannot be read, or holds something else.
    """
    path = folder / f"{image.name}.npy"
    if not path.is_file():
        return None
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})") from error
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"{path}: a map holds floats of shape (M, N), not {values.shape}")
    return np.asarray(values)


def read_given_mask(folder: Path, image: TruthImage) -> BoolMask:
    """Read a method's mask of an image.

    Raises
    ------
    InputError
        When there is none, or it cannot be read.
    """
    found = find_by_stem(folder, f"{image.name}_mask") or find_by_stem(folder, image.name)
    if found is None:
        raise InputError(f"{folder}: has no {image.name}.npy, {image.name}_mask.png or .png")
    return read_mask(found)
