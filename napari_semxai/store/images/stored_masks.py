"""What a mask file of any program holds: values, colour table and alpha, as they lie there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from napari_semxai.algorithms.masks.foreground_rules import StoredMask
from napari_semxai.store.images.read import is_deep_png, reading
from napari_semxai.store.images.tiff import (
    is_tiff,
    page_colormap,
    stored_samples,
    through_colormap,
    tiff_page_count,
)
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ENTRIES = 256
WRITTEN_BY = "napari-semxai"
"""What stands in the masks of this program, which are white on black."""


def stored_mask(path: Path) -> StoredMask:
    """Read what a mask file holds.

    Raises
    ------
    InputError
        When it is missing, damaged, no image of a known kind, or of several pages.
    """
    with reading(path):
        if is_tiff(path):
            return _from_tiff(path)
        with Image.open(path, formats=("BMP", "JPEG", "PNG")) as picture:
            frames: int = getattr(picture, "n_frames", 1)
            if frames > 1:
                raise _several(path, frames)
            if is_deep_png(path):
                return _with_alpha(np.asarray(imagecodecs.png_decode(path.read_bytes())))
            own = picture.info.get("Software") == WRITTEN_BY
            return replace(_from_picture(picture), bright=own)


def _from_tiff(path: Path) -> StoredMask:
    pages = tiff_page_count(path)
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0].aspage()
        slices = tif.series[0].size // max(page.size, 1)
        if pages > 1 or slices > 1:
            raise _several(path, max(pages, slices))
        samples, colormap = stored_samples(page), page_colormap(page)
        own = page.software == WRITTEN_BY
        lossy = page.compression in (tifffile.COMPRESSION.JPEG, tifffile.COMPRESSION.OJPEG)
    if colormap is not None:
        return StoredMask(through_colormap(samples, colormap), indices=samples)
    return replace(_with_alpha(samples, lossy=lossy), bright=own)


def _from_picture(picture: Image.Image) -> StoredMask:
    if picture.mode == "P":
        return _from_palette(picture)
    clear = picture.info.get("transparency")
    if picture.mode not in ("1", "L", "LA", "I", "I;16", "F", "RGB", "RGBA"):
        opaque = picture.mode in ("CMYK", "YCbCr", "HSV", "LAB", "RGBX")
        picture = picture.convert("RGB" if opaque else "RGBA")
    stored = _with_alpha(np.asarray(picture), lossy=picture.format == "JPEG")
    if clear is None or stored.alpha is not None:
        return stored
    same = stored.values == np.array(clear)
    alpha = ~(same if same.ndim == 2 else same.all(axis=2))
    return StoredMask(stored.values, alpha.astype(np.uint8))


def _from_palette(picture: Image.Image) -> StoredMask:
    indices = np.asarray(picture)
    colors = np.zeros((_ENTRIES, 3), dtype=np.uint8)
    given = np.array(picture.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    colors[: len(given)] = given
    clear = picture.info.get("transparency")
    alpha = np.full(_ENTRIES, 255, dtype=np.uint8)
    if isinstance(clear, bytes):
        alpha[: len(clear)] = list(clear)
    elif clear is not None:
        alpha[clear] = 0
    return StoredMask(colors[indices], None if clear is None else alpha[indices], indices)


def _with_alpha(samples: NDArray[Any], *, lossy: bool = False) -> StoredMask:
    """Split grey or colours from what comes behind them."""
    if samples.ndim == 3 and samples.shape[2] in (1, 2):
        alpha = samples[..., 1] if samples.shape[2] == 2 else None
        return StoredMask(samples[..., 0], alpha, lossy=lossy)
    if samples.ndim == 3 and samples.shape[2] not in (3, 4):
        raise ValueError(f"{samples.shape[2]} channels; save one of them")
    if samples.ndim == 3 and samples.shape[2] == 4:
        return StoredMask(samples[..., :3], samples[..., 3], lossy=lossy)
    return StoredMask(samples, lossy=lossy)


def _several(path: Path, count: int) -> InputError:
    return InputError(
        f"{path}: has {count} pages, and a mask has one; save the page that belongs to the image "
        "as a file of its own"
    )
