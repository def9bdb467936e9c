"""Images of any shape people have, read once and never changed."""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
import zlib
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from PIL import Image

from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.exposure import to_gray8
from napari_semxai.store.disk.names import IMAGE_SUFFIXES, check_name, natural_key
from napari_semxai.store.images.microscope import read_sidecar
from napari_semxai.store.images.tiff import (
    is_tiff,
    oriented,
    read_tiff_page,
    tiff_microscope,
    tiff_page_count,
)
from napari_semxai.types import InputError, Microscope, SemImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_semxai.types import Border

_ORIENTATION = 0x0112
_MOST_BYTES = 2**31
# By the colour type of a PNG; a colour table becomes RGB, perhaps with opacity.
_PNG_PALETTE = 3
_PNG_CHANNELS = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}
_PNG_SIGNATURE, _PNG_START = b"\x89PNG\r\n\x1a\n", 26
# JPEG has at least one bit for each block of 8 x 8 pixels; PNG's deflate makes at most 1032 bytes
# of one.
_PIXELS_A_BYTE = {"JPEG": 8 * 64, "PNG": 8 * 1032}

# What tifffile, its codecs and Pillow raise on damaged files.
_READ_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_image(path: str | Path, page: int = 0) -> SemImage:
    """Read one image of a TIFF, JPEG, PNG or BMP file.

    Colour tables are applied; the pixel size, the height of the picture above an info bar and
    what else the microscope wrote are taken from tags, or from a text file beside the image.

    Parameters
    ----------
    path : str or Path
        The format is recognised by the content, not by the name.
    page : int
        Page of a multi-page TIFF, counted from 0.

    Raises
    ------
    InputError
        When the file is missing, damaged, or not an image of a known kind.
    """
    path = Path(path)
    with reading(path):
        if is_tiff(path):
            stored = read_tiff_page(path, page)
            image = _image(
                stored.pixels,
                page_name(path, page) if stored.page_count > 1 else path.stem,
                path,
                page=page,
                page_count=stored.page_count,
                pixel_size=stored.pixel_size,
                picture_rows=stored.picture_rows,
                turned=stored.turned,
                microscope=stored.microscope,
            )
            return image if stored.microscope is not None else _with_sidecar(image, path)
        if page != 0:
            raise InputError(f"{path}: has 1 page, so there is no page {page}")
        pixels, turned = _read_picture(path)
        return _with_sidecar(_image(pixels, path.stem, path, turned=turned), path)


def _with_sidecar(image: SemImage, path: Path) -> SemImage:
    """Return an image with what a text file of the microscope beside it says."""
    known = read_sidecar(path, image.gray.shape)
    if known is None:
        return image
    # A program that wrote a size since knows better.
    size = known.pixel_size if image.pixel_size is None else image.pixel_size
    rows = known.picture_rows
    return replace(image, microscope=known, pixel_size=size, picture_rows=rows)


def read_microscope(path: Path, page: int = 0) -> Microscope | None:
    """Return what the microscope wrote of an image, without its pixels; None where nothing is.

    Its pixel size is none to rely on: that depends on the size of the image.

    Raises
    ------
    InputError
        As `read_image`.
    """
    with reading(path):
        known = tiff_microscope(path, page) if is_tiff(path) else None
        return known or read_sidecar(path, (1, 1))


def microscope_columns(path: Path, page: int = 0) -> dict[str, Any]:
    """Return what the microscope wrote of an image by column of a table; empty where nothing is.

    Masks alone need no image, so one that is missing or damaged is as one without.
    """
    one = Microscope("")
    with suppress(InputError, OSError):
        one = read_microscope(path, page) or one
    volts, metres = one.voltage, one.working_distance
    stage = (*(place * 1e3 for place in one.stage), None, None, None)
    return {
        "microscope": f"{one.maker} {one.instrument}".strip(),
        "voltage_kv": None if volts is None else volts / 1e3,
        "magnification": one.magnification,
        "working_distance_mm": None if metres is None else metres * 1e3,
        "detector": one.detector,
        **dict(zip(("stage_x_mm", "stage_y_mm", "stage_z_mm"), stage, strict=False)),
        "taken": one.date,
    }


def page_count(path: str | Path) -> int:
    """Return the number of images in a file: its pages for a TIFF, otherwise 1.

    Raises
    ------
    InputError
        When the file is missing or a damaged TIFF.
    """
    path = Path(path)
    with reading(path):
        return tiff_page_count(path) if is_tiff(path) else 1


def page_name(path: Path, page: int) -> str:
    """Return the name of one page of a multi-page file, pages counted from 1."""
    return f"{path.stem}_p{page + 1:04d}"


def image_from_array(
    array: NDArray[Any],
    name: str,
    *,
    path: Path | None = None,
    page: int = 0,
    pixel_size: float | None = None,
    picture_rows: int | None = None,
) -> SemImage:
    """Make an image of an array, without copying it where it is 8-bit grey.

    Parameters
    ----------
    array : ndarray, shape (M, N), (M, N, 3) or (M, N, 4)
        Bool, integer or floating; leading axes of length 1 are dropped.
    name : str
        What to call the image.
    path, page, pixel_size, picture_rows
        See `SemImage`.

    Raises
    ------
    InputError
        For other shapes and types.
    """
    place = {"page": page, "pixel_size": pixel_size, "picture_rows": picture_rows}
    return _image(np.asarray(array), name, path, **place)


def _image(pixels: NDArray[Any], name: str, path: Path | None, **known: Any) -> SemImage:
    # A stack of one picture, as several programs save it.
    while pixels.ndim > 2 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if 0 in pixels.shape:
        raise InputError(f"{path or name}: the image has no pixels (shape {pixels.shape})")
    try:
        gray = to_gray8(pixels)
    except ValueError as error:
        raise InputError(f"{path or name}: {error}") from error
    return SemImage(
        name=name, pixels=_read_only(pixels), gray=_read_only(gray), path=path, **known
    )


def without_info_bar(image: SemImage) -> SemImage:
    """Return the picture above the info bar, or the image itself where no bar is known."""
    rows = image.picture_rows
    if rows is None:
        return image
    return SemImage(
        name=image.name,
        pixels=image.pixels[:rows],
        gray=image.gray[:rows],
        path=image.path,
        page=image.page,
        page_count=image.page_count,
        pixel_size=image.pixel_size,
        microscope=image.microscope,
    )


def auto_border(image: SemImage) -> Border:
    """Return the border that Algorithm 1 should ignore: edge strips and a known info bar.

    Returns
    -------
    tuple of int
        (top, right, bottom, left).
    """
    top, right, bottom, left = edge_strips(without_info_bar(image).gray)
    return top, right, bottom + len(image.gray) - (image.picture_rows or len(image.gray)), left


def image_files(folder: str | Path) -> list[Path]:
    """Return the image files below a folder, 2 before 10, hidden ones left out."""
    folder = Path(folder)
    found = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        # A link that leads nowhere is an image that is missing, and to be named.
        and (path.is_file() or (path.is_symlink() and not path.is_dir()))
    )
    return sorted(found, key=lambda path: (natural_key(path.with_suffix("").as_posix()), path))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged or missing file raises into one line that names it."""
    check_name(path)
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except _READ_ERRORS as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        # Pillow shows the object that it was given in place of the file.
        detail = detail.partition(" <_")[0]
        raise InputError(
            f"{path}: cannot be read as an image ({detail}); "
            "TIFF, JPEG, PNG and BMP files are understood"
        ) from error


def _read_picture(path: Path) -> tuple[NDArray[Any], int]:
    """Return pixels as viewers show them, and the orientation in which they are stored."""
    if (deep := deep_png(path)) is not None:
        pixels, turned = deep
        if pixels.ndim == 3 and pixels.shape[2] == 2:
            pixels = pixels[..., 0]
    else:
        with open_picture(path) as picture:
            pixels, turned = _samples(picture), picture.getexif().get(_ORIENTATION, 1)
    turned = turned if turned in range(2, 9) else 1
    return np.ascontiguousarray(oriented(pixels, turned)), turned


class _WholeFile(io.BufferedReader):
    """Reads no more than there is: a damaged length makes a file take that much memory first."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None else min(size, self._size))


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Open a JPEG, PNG or BMP file, however large it says its pieces are."""
    # Bitmaps have no such lengths, and their pixels need not be copied.
    if _start_of(path, 2) == b"BM":
        with _picture(path, path) as picture:
            yield picture
    else:
        with _WholeFile(path) as file, _picture(path, file) as picture:
            yield picture


def _picture(path: Path, stored: Path | io.BufferedReader) -> Image.Image:
    with warnings.catch_warnings():
        # Mosaics are large on purpose.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = Image.open(stored, formats=("BMP", "JPEG", "PNG"))
    size, (columns, rows) = path.stat().st_size, picture.size
    if columns * rows > size * _PIXELS_A_BYTE.get(picture.format or "", math.inf):
        raise InputError(
            f"{path}: says {columns}x{rows} pixels, more than its {size:,} bytes can hold; it is "
            "damaged: get a new copy"
        )
    return picture


def _samples(picture: Image.Image) -> NDArray[Any]:
    if picture.mode == "P":
        return _gray_where_equal(np.asarray(picture.convert("RGB")))
    if picture.mode in ("LA", "La"):
        return np.asarray(picture.convert("L"))
    if picture.mode in ("CMYK", "YCbCr", "HSV", "LAB", "RGBX", "PA"):
        return np.asarray(picture.convert("RGB"))
    # Some versions widen 16 bits of grey to 32.
    pixels = np.asarray(picture)
    return pixels.astype(np.uint16) if picture.mode == "I" else pixels


def deep_png(path: Path) -> tuple[NDArray[Any], int] | None:
    """Return the samples of a PNG that Pillow does not read whole, and its orientation.

    That is one of 16-bit colours or opacity, which Pillow cuts to 8, or one beyond its limit.

    Raises
    ------
    InputError
        When it needs more than 2 GiB.
    """
    start = _start_of(path, _PNG_START)
    if len(start) < _PNG_START or not start.startswith(_PNG_SIGNATURE):
        return None
    columns, rows, depth, kind = struct.unpack(">IIBB", start[16:])
    large = columns * rows > 2 * (Image.MAX_IMAGE_PIXELS or _MOST_BYTES)
    if not large and (depth < 16 or kind == 0):
        return None
    size = columns * rows * max(1, depth // 8) * _PNG_CHANNELS.get(kind, 4)
    if size > _MOST_BYTES:
        raise InputError(
            f"{path}: {columns}x{rows} pixels need {size / 2**30:.1f} GiB, at most 2 are read; "
            "save a smaller part"
        )
    stored = path.read_bytes()
    pixels = np.asarray(imagecodecs.png_decode(stored))
    return _gray_where_equal(pixels) if kind == _PNG_PALETTE else pixels, _png_orientation(stored)


def _start_of(path: Path, size: int) -> bytes:
    # Without pathlib and a buffer, which take longer than reading a small picture's header.
    with open(path, "rb", buffering=0) as file:
        return file.read(size)


def _png_orientation(stored: bytes) -> int:
    """Return the orientation of the EXIF chunk; to ask Pillow would decode all pixels again."""
    at = len(_PNG_SIGNATURE)
    while at + 8 <= len(stored):
        length, name = struct.unpack_from(">I4s", stored, at)
        if name == b"eXIf":
            exif = Image.Exif()
            exif.load(stored[at + 8 : at + 8 + length])
            return int(exif.get(_ORIENTATION, 1))
        at += length + 12
    return 1


def _gray_where_equal(rgb: NDArray[Any]) -> NDArray[Any]:
    """Colour tables of SEM files are nearly always grey ramps."""
    red = rgb[..., 0]
    equal = np.array_equal(red, rgb[..., 1]) and np.array_equal(red, rgb[..., 2])
    return np.ascontiguousarray(red) if equal else rgb


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
