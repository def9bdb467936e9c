"""What is ignored of an image, beside the file of its mask: ``<mask>_ignored.png``, in white."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.images.masks import read_white_mask, write_mask

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask

ENDING = "_ignored"
VOID = 255
"""What ignored pixels are among numbers of classes, as in Pascal VOC and Cityscapes."""


def ignored_path(mask: Path) -> Path:
    """Return where what is ignored lies beside the file of a mask."""
    return mask.with_name(f"{mask.stem}{ENDING}.png")


def is_ignored_file(path: Path) -> bool:
    """Return whether a file tells what is ignored of the mask beside it, and is no mask."""
    stem = path.stem.removesuffix(ENDING)
    beside = (path.with_name(f"{stem}{suffix}") for suffix in (".png", ".tif", ".tiff"))
    return stem != path.stem and any(mask.is_file() for mask in beside)


def write_ignored(mask: Path, ignored: BoolMask | None) -> None:
    """Write what is ignored (M, N) beside the file of a mask; None removes what was there.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    path = ignored_path(mask)
    if ignored is not None:
        write_mask(path, ignored)
    elif path.is_file():
        path.unlink()


def read_ignored(mask: Path, shape: tuple[int, int]) -> BoolMask | None:
    """Return what is ignored (M, N) beside the file of a mask; None where nothing tells it.

    Raises
    ------
    InputError
        When the file cannot be read, or has another size.
    """
    path = ignored_path(mask)
    return read_white_mask(path, shape) if path.is_file() else None


def write_numbers(path: Path, values: NDArray[np.uint8]) -> None:
    """Write numbers (M, N) of classes, and `VOID`, as a PNG of 8 bits, atomically.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    with atomic_write(path) as file:
        Image.fromarray(values).save(file, format="PNG", compress_level=3)
