"""Masks on disk: 0 and 255, one byte a pixel, the size of the image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from napari_semxai.algorithms.exposure import luminance
from napari_semxai.store.atomic import atomic_write
from napari_semxai.store.images import read_image
from napari_semxai.types import BoolMask, InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MASK_SUFFIXES = (".png", ".tif", ".tiff")
_ENDINGS = ("_mask", "-mask")
_FULL_LEVELS = (1, 255, 65535)
_THRESHOLD = 128 / 255


def read_mask(path: str | Path, shape: tuple[int, int] | None = None) -> BoolMask:
    """Read a mask: as 8-bit grey, foreground where the value is 128 or more.

    Soft edges, RGB and RGBA are understood. Where no value exceeds 1, foreground is 1; where
    values exceed 255 they are 16-bit grey, foreground from 32,896.

    Parameters
    ----------
    path : str or Path
        PNG, TIFF, BMP or JPEG.
    shape : tuple of int, optional
        (M, N) of the image the mask belongs to.

    Returns
    -------
    ndarray of bool, shape (M, N)

    Raises
    ------
    InputError
        When the file cannot be read, or has another size than `shape`.
    """
    mask = mask_from_array(read_image(path).pixels)
    if shape is not None and mask.shape != tuple(shape):
        found, wanted = ("x".join(map(str, reversed(size))) for size in (mask.shape, shape))
        raise InputError(f"{path}: the mask is {found} pixels, the image {wanted}")
    return mask


def image_stem(stem: str) -> str:
    """Return what the image is called whose mask has a file of the name `stem`, without ending.

    Examples
    --------
    >>> image_stem("wafer_mask"), image_stem("wafer")
    ('wafer', 'wafer')
    """
    for ending in _ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def mask_from_array(pixels: NDArray[Any]) -> BoolMask:
    """Return the foreground of stored mask values by the rule of `read_mask`.

    Parameters
    ----------
    pixels : ndarray, shape (M, N), (M, N, 3) or (M, N, 4)
        Grey, RGB or RGBA of any numeric type.

    Returns
    -------
    ndarray of bool, shape (M, N)
    """
    gray = np.nan_to_num(luminance(pixels))
    top = gray.max()
    full = next((level for level in _FULL_LEVELS if top <= level), top)
    return np.asarray(gray >= full * _THRESHOLD)


def write_mask(path: str | Path, mask: ArrayLike) -> None:
    """Write a mask as 0 and 255, uint8, atomically.

    Parameters
    ----------
    path : str or Path
        ``.png``, ``.tif`` or ``.tiff``.
    mask : array_like, shape (M, N)
        Foreground where nonzero.

    Raises
    ------
    InputError
        For another suffix or shape, or when the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in MASK_SUFFIXES:
        raise InputError(f"{path}: masks are saved as .png or .tif, without loss")
    foreground = np.asarray(mask) != 0
    if foreground.ndim != 2:
        raise InputError(f"{path}: a mask has shape (M, N), not {foreground.shape}")
    pixels = foreground.astype(np.uint8) * np.uint8(255)
    with atomic_write(path) as file:
        if suffix == ".png":
            Image.fromarray(pixels).save(file, format="PNG", compress_level=3)
        else:
            tifffile.imwrite(file, pixels, compression="zlib", metadata=None)
