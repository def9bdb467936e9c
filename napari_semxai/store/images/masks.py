"""Masks on disk: 0 and 255, one byte a pixel, the size of the image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_semxai.algorithms.masks.foreground import foreground
from napari_semxai.algorithms.masks.foreground_rules import AUTO, BRIGHT, ForegroundRule
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.images.stored_masks import WRITTEN_BY, stored_mask
from napari_semxai.types import BoolMask, InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MASK_SUFFIXES = (".png", ".tif", ".tiff")
_ENDINGS = ("_mask", "-mask")


@dataclass(frozen=True, slots=True, eq=False)
class MaskReading:
    """A mask and how it was read.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        Foreground.
    rule : str
        By what foreground was told, for people.
    """

    mask: BoolMask
    rule: str


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


def read_own_mask(path: str | Path, shape: tuple[int, int] | None = None) -> BoolMask:
    """Read a mask that is known to be white on black, as `write_mask` writes it."""
    return mask_reading(path, shape, BRIGHT).mask


def mask_reading(
    path: str | Path, shape: tuple[int, int] | None = None, rule: ForegroundRule = AUTO
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

    Raises
    ------
    InputError
        When the file cannot be read, has another size than `shape`, or could be read in two
        ways.
    """
    stored = stored_mask(Path(path))
    try:
        mask, said = foreground(stored, rule)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if shape is not None and mask.shape != tuple(shape):
        found, wanted = ("x".join(map(str, reversed(size))) for size in (mask.shape, shape))
        raise InputError(f"{path}: the mask is {found} pixels, the image {wanted}")
    return MaskReading(mask, said)


class MaskReader:
    """Reads the masks of a source, and counts what was brought in.

    Parameters
    ----------
    rule : ForegroundRule
        What a person says is foreground; by default what each source tells.
    """

    def __init__(self, rule: ForegroundRule = AUTO) -> None:
        self._rule = rule
        self._rules: Counter[str] = Counter()
        self._empty = self._full = 0

    def read(self, path: Path, shape: tuple[int, int], told: ForegroundRule = AUTO) -> MaskReading:
        """Read a mask of an image, by the rule that its source tells where nobody gave one."""
        return mask_reading(path, shape, told if self._rule == AUTO else self._rule)

    def count(self, reading: MaskReading) -> None:
        """Count a mask that was brought in."""
        self._rules[reading.rule] += 1
        self._empty += not reading.mask.any()
        self._full += bool(reading.mask.all())

    @property
    def brought(self) -> int:
        """How many masks were brought in."""
        return self._rules.total()

    @property
    def values(self) -> dict[str, Any]:
        """What was counted, for programs."""
        return {
            "masks": self.brought,
            "empty": self._empty,
            "full": self._full,
            "foreground": dict(self._rules),
        }

    def __str__(self) -> str:
        rules = ", ".join(f"{rule} ({count})" for rule, count in self._rules.most_common())
        return (
            f"{self.brought} masks, {self._empty} empty, {self._full} full; "
            f"foreground: {rules or 'none'}"
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
            own = PngInfo()
            own.add_text("Software", WRITTEN_BY)
            Image.fromarray(pixels).save(file, format="PNG", compress_level=3, pnginfo=own)
        else:
            tifffile.imwrite(file, pixels, compression="zlib", metadata=None, software=WRITTEN_BY)
