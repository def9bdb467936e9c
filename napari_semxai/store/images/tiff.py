"""TIFF pages with what microscopes and programs write beside the pixels."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.images.microscope import (
    METRES,
    fei_microscope,
    fei_picture_rows,
    fei_pixel_size,
    square_size,
    tag_text,
    tescan_microscope,
    thermo_microscope,
    zeiss_microscope,
    zeiss_pixel_size,
)
from napari_semxai.store.images.tiff_limits import check_page, file_state, forget_files, open_tiff
from napari_semxai.types import InputError, Microscope

if TYPE_CHECKING:
    from pathlib import Path

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_SIZELESS = 8
_JPEG = (tifffile.COMPRESSION.JPEG, tifffile.COMPRESSION.OJPEG)
_TAG_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
_KNOWN_PAGES: dict[tuple[str, int, int, int], tuple[int, ...]] = {}
_MOST_KNOWN = 64
_ORIENTATION = 274
_FEI_TAGS, _ZEISS_TAGS, _THERMO_TAG, _TESCAN_TAG = (34680, 34682), (34118,), 34683, 50431


@dataclass(frozen=True, slots=True, eq=False)
class TiffPage:
    """One page of a TIFF file.

    Attributes
    ----------
    pixels : ndarray, shape (M, N), (M, N, 3) or (M, N, 4)
        Values after the colour table, where there is one.
    page_count : int
        Pages of the file.
    pixel_size : float or None
        Metres per pixel from the microscope's tags.
    picture_rows : int or None
        Rows above the info bar, where the tags tell.
    turned : int
        Orientation by which the pixels were turned; 1 where they are as stored.
    microscope : Microscope or None
        All that the tags tell.
    """

    pixels: NDArray[Any]
    page_count: int
    pixel_size: float | None
    picture_rows: int | None
    turned: int
    microscope: Microscope | None = None


def is_tiff(path: Path) -> bool:
    """Whether the file starts as a TIFF or BigTIFF does."""
    with open(path, "rb", buffering=0) as file:
        return file.read(4) in _SIGNATURES


def tiff_page_count(path: Path) -> int:
    """Return the number of full-resolution pages."""
    with open_tiff(path) as tif:
        return len(full_pages(tif, path))


def read_tiff_page(path: Path, page: int) -> TiffPage:
    """Read one page; `InputError` where the file has no such page."""
    with open_tiff(path) as tif:
        pages = full_pages(tif, path)
        if not 0 <= page < len(pages):
            raise InputError(f"{path}: has {len(pages)} pages, so there is no page {page}")
        shown = tif.pages[pages[page]].aspage()
        pixels = _pixels(shown, page if len(set(pages)) == 1 else 0)
        known = _known(tif, shown, pixels.shape)
        size = _program_size(tif) if known is None else known.pixel_size
        rows = None if known is None else known.picture_rows
        turned = _orientation(shown)
    return TiffPage(pixels, len(pages), size, rows, turned, known)


def tiff_microscope(path: Path, page: int) -> Microscope | None:
    """Return what the tags of a page tell, but for what depends on the image's size."""
    with open_tiff(path) as tif:
        pages = full_pages(tif, path)
        return _known(tif, tif.pages[pages[min(page, len(pages) - 1)]].aspage(), (1, 1))


def _known(
    tif: tifffile.TiffFile, shown: tifffile.TiffPage, shape: tuple[int, ...]
) -> Microscope | None:
    # Microscopes tell it in each page; where one does not, the first page speaks for it. Pages
    # are asked: to ask the file takes as long as reading a small picture.
    asked = (_microscope(one, shape) for one in dict.fromkeys((shown, tif.pages[0].aspage())))
    return next((one for one in asked if one is not None), None)


def _microscope(page: tifffile.TiffPage, shape: tuple[int, ...]) -> Microscope | None:
    """Return what a microscope wrote in a page's tags; a damaged tag must not cost the picture."""
    if page.is_fei and (fei := _values_of(page, _FEI_TAGS)):
        with suppress(*_TAG_ERRORS):
            return fei_microscope(fei, shape[0])
        with suppress(*_TAG_ERRORS):
            rows = fei_picture_rows(fei, shape[0])
            return Microscope("FEI/Thermo", "", fei_pixel_size(fei), rows)
    if page.is_sem and (zeiss := _values_of(page, _ZEISS_TAGS)):
        with suppress(*_TAG_ERRORS):
            return zeiss_microscope(zeiss, shape)
        with suppress(*_TAG_ERRORS):
            return Microscope("Zeiss", "", zeiss_pixel_size(zeiss, shape[1], shape[0]))
    with suppress(*_TAG_ERRORS):
        return thermo_microscope(tag_text(page.tags[_THERMO_TAG].value, "<"), shape[0])
    with suppress(*_TAG_ERRORS):
        return tescan_microscope(tag_text(page.tags[_TESCAN_TAG].value, "[MAIN]"), shape)
    return None


def _program_size(tif: tifffile.TiffFile) -> float | None:
    """Return metres per pixel as programs write it."""
    first = tif.pages[0].aspage()
    with suppress(*_TAG_ERRORS):
        if first.is_ome:
            return ome_pixel_size(tif.ome_metadata or "")
        if first.is_imagej:
            return _imagej_pixel_size(tif)
    return None


def _values_of(page: tifffile.TiffPage, tags: tuple[int, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for tag in tags:
        with suppress(*_TAG_ERRORS):
            values |= page.tags[tag].value
    return values


def ome_pixel_size(xml: str) -> float | None:
    """Return metres per pixel from OME-XML; None where they are not square, or differ."""
    found = set()
    for pixels in re.findall(r"<(?:\w+:)?Pixels\b[^>]*", xml) or [xml]:
        sizes = []
        for axis in "XY":
            size = re.search(rf'\bPhysicalSize{axis}="([^"]+)"', pixels)
            unit = re.search(rf'\bPhysicalSize{axis}Unit="([^"]+)"', pixels)
            metres = METRES.get(unit[1] if unit else "µm")
            sizes.append(float(size[1]) * metres if size and metres else None)
        found.add(square_size(*sizes))
    return found.pop() if len(found) == 1 else None


def _imagej_pixel_size(tif: tifffile.TiffFile) -> float | None:
    """Return metres per pixel of ImageJ, which writes pixels per unit as resolution."""
    unit = str((tif.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
    tags, metres = tif.pages[0].aspage().tags, METRES.get(unit)
    sizes: list[float | None] = []
    for name in ("XResolution", "YResolution"):
        numerator, denominator = tags[name].value
        sizes.append(metres * denominator / numerator if metres else None)
    return square_size(*sizes)


def full_pages(tif: tifffile.TiffFile, path: Path) -> tuple[int, ...]:
    """Return which pages are of full resolution.

    The tags of every page tell, which takes a tenth of a millisecond each: the answer is kept
    while the file stays as it is, so that a queue of thousands of pages opens any one at once.
    """
    # A stack of a thousand pages takes seconds to walk, and every image of a project asks.
    key = file_state(path)
    known = _KNOWN_PAGES.get(key)
    if known is None:
        reduced = _reduced_pages(tif, path)
        _check_whole(tif, path, len(reduced))
        full = tuple(index for index, is_reduced in enumerate(reduced) if not is_reduced)
        known = full or tuple(range(len(reduced)))
        if len(reduced) == 1:
            known *= _frames(tif, key[-1])
        # Simply all of them: few files are in use at a time.
        if len(_KNOWN_PAGES) >= _MOST_KNOWN:
            _KNOWN_PAGES.clear()
        _KNOWN_PAGES[key] = known
    return known


def forget_pages() -> None:
    """Forget which pages files have, for files that change faster than clocks tick."""
    _KNOWN_PAGES.clear()
    forget_files()


def _reduced_pages(tif: tifffile.TiffFile, path: Path) -> list[bool]:
    """Return of every page whether it is a smaller copy of another one."""
    reduced, sizeless = [], 0
    for page in tif.pages:
        whole = page.aspage()
        reduced.append(bool(whole.is_reduced))
        # A chain that leads astray may go on for minutes through what are no pages.
        sizeless += not (whole.imagewidth and whole.imagelength)
        if sizeless > _MOST_SIZELESS:
            raise InputError(f"{path}: is a damaged TIFF file: its pages have no size")
    return reduced


def _frames(tif: tifffile.TiffFile, file_size: int) -> int:
    """Return how many pictures follow the tags of the only page, as ImageJ writes large stacks."""
    page = tif.pages[0].aspage()
    # Compressed pictures cannot lie one behind the other without tags that say where.
    if not (tif.is_imagej or tif.is_shaped) or page.compression != 1 or not page.is_contiguous:
        return 1
    with suppress(*_TAG_ERRORS):
        there = (file_size - page.dataoffsets[0]) // max(page.nbytes, 1)
        return int(max(1, min(tif.series[0].size // max(page.size, 1), there)))
    return 1


def _check_whole(tif: tifffile.TiffFile, path: Path, pages: int) -> None:
    """Raise `InputError` where the chain of pages leads to none: tifffile only logs that."""
    if not pages:
        raise InputError(f"{path}: is a damaged TIFF file: it holds no page")
    end = tif.pages.next_page_offset
    if end is None:
        return
    # The last page ends with an offset of 0; anything else leads to where nothing was found.
    tif.filehandle.seek(end)
    if any(tif.filehandle.read(tif.tiff.offsetsize)):
        raise InputError(
            f"{path}: is a damaged TIFF file: what comes after page {pages} cannot be read; "
            "copy it again from where it was made"
        )


def _pixels(page: tifffile.TiffPage, frame: int) -> NDArray[Any]:
    array = stored_samples(page, frame)
    colormap = page_colormap(page)
    if colormap is not None:
        return through_colormap(array, colormap)
    if array.ndim == 3 and array.shape[2] in (1, 2):
        array = array[..., 0]
    return array


def stored_samples(page: tifffile.TiffPage, frame: int = 0) -> NDArray[Any]:
    """Return what a page stores, (M, N) or (M, N, samples), white as the highest value.

    Parameters
    ----------
    page : TiffPage
        Of an open file.
    frame : int
        Which of the pictures that lie one behind the other with the tags of the first.

    Raises
    ------
    ValueError
        When it is no image, or of colours that are not understood.
    """
    # tifffile fills such pieces with zeros, which would pass for a dark picture.
    if 0 in page.databytecounts:
        raise ValueError("pieces of the picture are missing")
    check_page(page)
    array = np.asarray(page.asarray()) if frame == 0 else _frame(page, frame)
    axes = page.axes
    if axes == "SYX":
        array, axes = np.moveaxis(array, 0, -1), "YXS"
    if axes not in ("YX", "YXS"):
        raise ValueError(f"a page with axes {axes} is a volume, not an image; save single slices")
    photometric = tifffile.PHOTOMETRIC(page.photometric)
    if photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind in "bu":
        array = np.invert(array)
    elif photometric in (tifffile.PHOTOMETRIC.SEPARATED, tifffile.PHOTOMETRIC.CIELAB):
        raise ValueError(f"{photometric.name} colours are not understood; save as grey or RGB")
    elif photometric == tifffile.PHOTOMETRIC.YCBCR and page.compression not in _JPEG:
        array = _rgb_of_ycbcr(array)
    return oriented(array, _orientation(page))


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get(_ORIENTATION)
    return tag.value if tag is not None and tag.value in range(2, 9) else 1


def _frame(page: tifffile.TiffPage, frame: int) -> NDArray[Any]:
    file = page.parent.filehandle
    file.seek(page.dataoffsets[0] + frame * page.nbytes)
    data = file.read(page.nbytes)
    stored = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    pixels: NDArray[Any] = np.frombuffer(data, stored).reshape(page.shape).astype(page.dtype)
    return pixels


def _rgb_of_ycbcr(array: NDArray[Any]) -> NDArray[Any]:
    """Return RGB of ITU-R BT.601 luminance and colour differences of full range, uint8."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError("YCbCr colours of this kind are not understood; save as grey or RGB")
    light, blue, red = np.moveaxis(array.astype(np.float32), -1, 0)
    blue, red = blue - 128, red - 128
    rgb: NDArray[np.float32] = np.stack(
        [light + 1.402 * red, light - 0.344136 * blue - 0.714136 * red, light + 1.772 * blue], -1
    )
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def oriented(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return pixels as viewers show them by an orientation of EXIF or TIFF, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def page_colormap(page: tifffile.TiffPage) -> NDArray[Any] | None:
    """Return the colour table (3, entries) of a page; None where its values are colours."""
    is_palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
    return np.asarray(page.colormap) if is_palette and page.colormap is not None else None


def through_colormap(indices: NDArray[Any], colormap: NDArray[Any]) -> NDArray[Any]:
    """Map indices to uint8 grey where the table is grey, otherwise to RGB (M, N, 3)."""
    # The standard says 16-bit entries; some programs write 8-bit ones.
    table = colormap if colormap.max() < 256 else colormap >> 8
    table = table.astype(np.uint8)
    if (table == table[0]).all():
        return np.asarray(table[0][indices])
    return np.asarray(table.T[indices])


def write_image(path: Path, pixels: NDArray[Any]) -> None:
    """Write pixels (M, N) or (M, N, 3) as a TIFF file, without loss.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    with atomic_write(path) as copy:
        tifffile.imwrite(copy, pixels, photometric=kind, metadata=None)
