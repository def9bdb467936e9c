"""Masks on disk: 0 and 255, one byte a pixel, the size of the image."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from napari_semxai.algorithms.masks.foreground import (
    AUTO,
    BRIGHT,
    LEVEL,
    ForegroundRule,
    StoredMask,
    foreground,
)
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.images.mask_parts import parts_of
from napari_semxai.store.images.read import deep_png, open_picture, reading
from napari_semxai.store.images.tiff import (
    full_pages,
    is_tiff,
    oriented,
    page_colormap,
    stored_samples,
    through_colormap,
)
from napari_semxai.store.images.tiff_limits import open_tiff
from napari_semxai.types import BoolMask, InputError, MaskPart
from napari_semxai.types.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

MASK_SUFFIXES = (".png", ".tif", ".tiff")
_ENDINGS = ("_mask", "-mask")
_ENTRIES = 256
_TEXT_WITHIN = 4096
WRITTEN_BY = "napari-semxai"
"""What stands in the masks of this program, which are white on black."""


class UnclearMaskError(InputError):
    """A mask that could be read in two ways: a person says which by a `ForegroundRule`."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskReading:
    """A mask and how it was read.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        Foreground.
    rule : str
        The rule that told the foreground, for display.
    label, comment : str or None
        What a file with classes says of it.
    parts : tuple of MaskPart
        Its objects, where the file tells several apart.
    ignored : ndarray of bool, shape (M, N), or None
        Pixels that count for nothing, where something tells them.
    """

    mask: BoolMask
    rule: str
    label: str | None = None
    comment: str | None = None
    parts: tuple[MaskPart, ...] = ()
    ignored: BoolMask | None = None


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask file and how it is to be read.

    Attributes
    ----------
    path : Path
        Where it is.
    rule : ForegroundRule
        What in it is foreground.
    """

    path: Path
    rule: ForegroundRule = AUTO

    def read(self, shape: tuple[int, int] | None = None) -> BoolMask:
        """Read the mask; see `mask_reading`."""
        return mask_reading(self.path, shape, self.rule).mask

    @property
    def digest(self) -> str:
        """What the mask depends on."""
        return f"{file_sha256(self.path)} {self.rule}"


def read_mask(
    path: str | Path, shape: tuple[int, int] | None = None, rule: ForegroundRule = AUTO
) -> BoolMask:
    """Read a mask that any program wrote; see `mask_reading`."""
    return mask_reading(path, shape, rule).mask


def read_white_mask(path: str | Path, shape: tuple[int, int] | None = None) -> BoolMask:
    """Read a mask that is known to be white on black, as `write_mask` writes it."""
    return mask_reading(path, shape, BRIGHT).mask


def mask_reading(
    path: str | Path,
    shape: tuple[int, int] | None = None,
    rule: ForegroundRule = AUTO,
    *,
    parts: bool = False,
) -> MaskReading:
    """Read a mask that any program wrote, and say how.

    Parameters
    ----------
    path : str or Path
        PNG, TIFF, BMP or JPEG.
    shape : tuple of int, optional
        (M, N) of the image the mask belongs to.
    rule : ForegroundRule, optional
        What is foreground; by default as `algorithms.foreground.foreground` tells.
    parts : bool
        Whether objects with numbers or colours of their own are kept apart.

    Raises
    ------
    InputError
        When the file cannot be read, has another size than `shape`, or could be read in two
        ways.
    """
    stored = stored_mask(Path(path))
    if stored.values.size == 0:
        raise InputError(f"{path}: the mask has no pixels")
    try:
        mask, said = foreground(stored, rule)
    except ValueError as error:
        # Only where nobody gave a rule is there something to ask.
        kind = UnclearMaskError if rule in (AUTO, BRIGHT) else InputError
        raise kind(f"{path}: {error}") from error
    if shape is not None and mask.shape != tuple(shape):
        found, wanted = ("x".join(map(str, reversed(size))) for size in (mask.shape, shape))
        raise InputError(f"{path}: the mask is {found} pixels, the image {wanted}")
    apart = parts_of(stored, mask) if parts and said != LEVEL else ()
    return MaskReading(mask, said, parts=apart)


class MaskReader:
    """Reads the masks of a source, and counts what was brought in.

    Parameters
    ----------
    rule : ForegroundRule
        What a person says is foreground; by default what each source tells.
    unclear : ForegroundRule, optional
        What is foreground in masks that could be read in two ways; without it they are refused.
    progress : callable, optional
        Told how many masks were brought in or refused so far; may raise to stop.

    Attributes
    ----------
    refused : mapping of type to list of str
        Names of the masks that were not brought in, by the kind of their error.
    left_out : list of str
        Images that the source has without saying whether there is a defect in them.
    """

    def __init__(
        self,
        rule: ForegroundRule = AUTO,
        unclear: ForegroundRule | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._unclear, self._progress = unclear, progress
        self.refused: defaultdict[type[InputError], list[str]] = defaultdict(list)
        self._rule = rule
        self._rules: Counter[str] = Counter()
        self._shares: list[float] = []
        self.left_out: list[str] = []

    def read(self, path: Path, shape: tuple[int, int], told: ForegroundRule = AUTO) -> MaskReading:
        """Read a mask of an image, by the rule that its source tells where nobody gave one."""
        try:
            rule = told if self._rule == AUTO else self._rule
            return mask_reading(path, shape, rule, parts=True)
        except UnclearMaskError:
            if self._unclear is None:
                raise
            return mask_reading(path, shape, self._unclear, parts=True)

    def count(self, reading: MaskReading) -> None:
        """Count a mask that was brought in."""
        self._rules[reading.rule] += 1
        self._shares.append(float(reading.mask.mean()))
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self.brought + sum(map(len, self.refused.values())))

    def leave_out(self, name: str) -> None:
        """Count an image that a source has without saying whether there is a defect in it."""
        self.left_out.append(name)

    def refuse(self, name: str, error: InputError) -> None:
        """Remember a mask that was not brought in, by the kind of its error."""
        self.refused[type(error)].append(name)
        self._tell()

    @property
    def brought(self) -> int:
        """How many masks were brought in."""
        return self._rules.total()

    @property
    def values(self) -> dict[str, Any]:
        """What was counted, for programs."""
        return {
            "masks": self.brought,
            "empty": self._shares.count(0),
            "full": self._shares.count(1),
            "least_share": min(filter(None, self._shares), default=None),
            "greatest_share": max(filter(None, self._shares), default=None),
            "foreground": dict(self._rules),
            "left_out": self.left_out,
        }

    def __str__(self) -> str:
        rules = ", ".join(f"{rule} ({count})" for rule, count in self._rules.most_common())
        left = len(self.left_out)
        unsaid = f"; {counted(left, 'image')} without annotation left out" if left else ""
        values = self.values
        ends = (values["least_share"], values["greatest_share"])
        shares = [f"{100 * end:.3g} %" for end in ends if end is not None]
        cover = f"; they cover {' to '.join(dict.fromkeys(shares))} of the image" if shares else ""
        return (
            f"{counted(self.brought, 'mask')}, {values['empty']} empty, {values['full']} full"
            f"{cover}; foreground: {rules or 'none'}{unsaid}"
        )


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
            metadata = PngInfo()
            # So that reading it needs no guess.
            metadata.add_text("Software", WRITTEN_BY)
            Image.fromarray(pixels).save(file, format="PNG", compress_level=3, pnginfo=metadata)
        else:
            tifffile.imwrite(file, pixels, compression="zlib", metadata=None, software=WRITTEN_BY)


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
        if (deep := deep_png(path)) is not None:
            samples, turned = deep
            # The text stands before the pixels.
            written_here = f"Software\0{WRITTEN_BY}".encode() in _start_of(path)
            return replace(_with_alpha(oriented(samples, turned)), bright=written_here)
        with open_picture(path) as picture:
            frames: int = getattr(picture, "n_frames", 1)
            if frames > 1:
                raise _several(path, frames)
            # What we wrote is white on black, also where pixels alone could be read in two ways.
            written_here = picture.info.get("Software") == WRITTEN_BY
            # As the image is: see `read_image`.
            ImageOps.exif_transpose(picture, in_place=True)
            return replace(_from_picture(picture, picture.format), bright=written_here)


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_TEXT_WITHIN)


def _from_tiff(path: Path) -> StoredMask:
    with open_tiff(path) as tif:
        pages = full_pages(tif, path)
        if len(pages) > 1:
            raise _several(path, len(pages))
        page = tif.pages[pages[0]].aspage()  # a preview may come first
        samples, colormap = stored_samples(page), page_colormap(page)
        written_here = page.software == WRITTEN_BY
        lossy = page.compression in (tifffile.COMPRESSION.JPEG, tifffile.COMPRESSION.OJPEG)
    if colormap is not None:
        return StoredMask(through_colormap(samples, colormap), indices=samples)
    return replace(_with_alpha(samples, lossy=lossy), bright=written_here)


def _from_picture(picture: Image.Image, form: str | None) -> StoredMask:
    if picture.mode == "P":
        return _from_palette(picture)
    clear = picture.info.get("transparency")
    if picture.mode not in ("1", "L", "LA", "I", "I;16", "F", "RGB", "RGBA"):
        opaque = picture.mode in ("CMYK", "YCbCr", "HSV", "LAB", "RGBX")
        picture = picture.convert("RGB" if opaque else "RGBA")
    stored = _with_alpha(np.asarray(picture), lossy=form == "JPEG")
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
    if samples.dtype.kind not in "biuf":
        raise ValueError(f"its pixels are of type {samples.dtype}, neither numbers nor bools")
    channels = samples.shape[2] if samples.ndim == 3 else 0
    if channels > 4:
        raise ValueError(f"{channels} channels; save one of them")
    if channels in (2, 4):
        values = samples[..., 0] if channels == 2 else samples[..., :3]
        return StoredMask(values, samples[..., -1], lossy=lossy)
    return StoredMask(samples[..., 0] if channels == 1 else samples, lossy=lossy)


def _several(path: Path, count: int) -> InputError:
    return InputError(
        f"{path}: has {count} pages, and a mask has one; save the page that belongs to the image "
        "as a file of its own"
    )
