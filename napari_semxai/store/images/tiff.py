"""TIFF pages with what FEI/Thermo and Zeiss microscopes write beside the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ZEISS_REFERENCE_WIDTH = 1024
_LARGEST_PIXEL = 1e-3
_KNOWN_PAGES: dict[tuple[str, int, int], tuple[int, ...]] = {}
_MOST_KNOWN = 64


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
    """

    pixels: NDArray[Any]
    page_count: int
    pixel_size: float | None
    picture_rows: int | None


def is_tiff(path: Path) -> bool:
    """Whether the file starts as a TIFF or BigTIFF does."""
    with path.open("rb") as file:
        return file.read(4) in _SIGNATURES


def tiff_page_count(path: Path) -> int:
    """Return the number of full-resolution pages."""
    with tifffile.TiffFile(path) as tif:
        return len(_full_pages(tif, path))


def read_tiff_page(path: Path, page: int) -> TiffPage:
    """Read one page; `InputError` where the file has no such page."""
    with tifffile.TiffFile(path) as tif:
        pages = _full_pages(tif, path)
        if not 0 <= page < len(pages):
            raise InputError(f"{path}: has {len(pages)} pages, so there is no page {page}")
        pixels = _pixels(tif.pages[pages[page]].aspage())
        fei, zeiss = tif.fei_metadata, tif.sem_metadata
    size, rows = None, None
    if fei:
        size, rows = fei_pixel_size(fei), fei_picture_rows(fei, pixels.shape[0])
    elif zeiss:
        size = zeiss_pixel_size(zeiss, pixels.shape[1])
    return TiffPage(pixels, len(pages), size, rows)


def fei_pixel_size(metadata: Mapping[str, Any]) -> float | None:
    """Return metres per pixel from an FEI/Thermo header (``Scan.PixelWidth``)."""
    return _plausible_size(metadata.get("Scan", {}).get("PixelWidth"))


def fei_picture_rows(metadata: Mapping[str, Any], height: int) -> int | None:
    """Return the rows above the info bar, or None where the picture fills the image."""
    scan = metadata.get("Scan", {})
    pixel = _plausible_size(scan.get("PixelHeight"))
    field = _number(scan.get("VerFieldsize"))
    if pixel is None or field is None:
        return None
    rows = round(field / pixel)
    return rows if 0 < rows < height else None


def zeiss_pixel_size(metadata: Mapping[str, Any], width: int) -> float | None:
    """Return metres per pixel from a Zeiss header.

    The unnamed value 3 holds the pixel size of a display 1024 pixels wide; the image may be
    stored wider or narrower than that.
    """
    values = metadata.get("", ())
    reference = _plausible_size(values[3]) if len(values) > 3 else None
    # The header tells it for a width of 1024, whatever the image has.
    return reference * _ZEISS_REFERENCE_WIDTH / width if reference else None


def _full_pages(tif: tifffile.TiffFile, path: Path) -> tuple[int, ...]:
    """Return which pages are of full resolution.

    The tags of every page tell, which takes a tenth of a millisecond each: the answer is kept
    while the file stays as it is, so that a queue of thousands of pages opens any one at once.
    """
    stat = path.stat()
    # A stack of a thousand pages takes seconds to walk, and every image of a project asks.
    key = (str(path.absolute()), stat.st_mtime_ns, stat.st_size)
    known = _KNOWN_PAGES.get(key)
    if known is None:
        reduced = [page.aspage().is_reduced for page in tif.pages]
        _check_whole(tif, path, len(reduced))
        full = tuple(index for index, is_reduced in enumerate(reduced) if not is_reduced)
        known = full or tuple(range(len(reduced)))
        # Simply all of them: few files are in use at a time.
        if len(_KNOWN_PAGES) >= _MOST_KNOWN:
            _KNOWN_PAGES.clear()
        _KNOWN_PAGES[key] = known
    return known


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


def _pixels(page: tifffile.TiffPage) -> NDArray[Any]:
    array = stored_samples(page)
    colormap = page_colormap(page)
    if colormap is not None:
        return through_colormap(array, colormap)
    if array.ndim == 3 and array.shape[2] in (1, 2):
        array = array[..., 0]
    return array


def stored_samples(page: tifffile.TiffPage) -> NDArray[Any]:
    """Return what a page stores, (M, N) or (M, N, samples), white as the highest value.

    Raises
    ------
    ValueError
        When it is no image, or of colours that are not understood.
    """
    if 0 in page.databytecounts:
        raise ValueError("pieces of the picture are missing")
    array = np.asarray(page.asarray())
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
    return array


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


def _plausible_size(value: object) -> float | None:
    size = _number(value)
    # Above a millimetre it is another unit or a placeholder; no size is better than a wrong one.
    return size if size is not None and 0 < size < _LARGEST_PIXEL else None


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None
