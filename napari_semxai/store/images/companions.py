"""Pictures beside an image or its mask: what it is compared with, and what of it is ignored.

The reference of an image is ``<image>_reference`` of any ending, or named otherwise; what is
ignored lies beside the file of its mask, ``<mask>_ignored.png``, in white.
"""

from __future__ import annotations

from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from napari_semxai.algorithms.algorithm1.reference import compare
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.disk.names import IMAGE_SUFFIXES, check_name
from napari_semxai.store.images.masks import read_white_mask, write_mask
from napari_semxai.store.images.read import auto_border, page_count, read_image
from napari_semxai.types import InputError
from napari_semxai.types.image import CompareRequest
from napari_semxai.types.settings import AUTO_REFERENCE, NO_REFERENCE, SELF_REFERENCE

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.types import AlgorithmSettings, BoolMask, Border, SemImage

_REFERENCE = "_reference"
_IGNORED = "_ignored"
VOID = 255
"""What ignored pixels are among numbers of classes, as in Pascal VOC and Cityscapes."""


def find_reference(image: Path | None, wanted: str, known: Path | None = None) -> Path | None:
    """Return the file that an image is to be compared with.

    Parameters
    ----------
    image : Path or None
        The image's file; None where it has none.
    wanted : str
        As in `AlgorithmSettings.reference`.
    known : Path, optional
        What the image's project names, for "auto".

    Returns
    -------
    Path or None
        None where there is none, and where the image is compared with itself.

    Raises
    ------
    InputError
        When a file or folder was named and holds no reference for this image.
    """
    if wanted in (NO_REFERENCE, SELF_REFERENCE):
        return None
    if wanted == AUTO_REFERENCE and known is None:
        return None if image is None else _named(image, image.parent, f"{image.stem}{_REFERENCE}*")
    place = Path(wanted) if known is None or wanted != AUTO_REFERENCE else known
    check_name(place)
    if not place.is_dir():
        if not place.is_file():
            raise InputError(f"{place}: there is no such reference")
        # The reference among the images themselves: nothing would differ from itself.
        return None if _same(place, image) else place
    if image is None:
        raise InputError(f"{place}: holds no reference for an image without a file")
    # In a folder of references the names are those of the images.
    found = _named(image, place, f"{image.stem}{_REFERENCE}*") or _named(image, place, image.stem)
    if found is None:
        raise InputError(f"{place}: holds no reference for {image.stem}")
    return found


def _same(path: Path, image: Path | None) -> bool:
    return image is not None and image.exists() and path.samefile(image)


def _named(image: Path, folder: Path, stem: str) -> Path | None:
    """Return the picture of that name, "*" for any end of it, whatever its ending."""
    known = escape(stem.removesuffix("*"))
    # The plain name before numbered ones.
    for path in sorted(
        folder.glob(f"{known}*.*" if stem.endswith("*") else f"{known}.*"),
        key=lambda path: (len(path.stem), path),
    ):
        if path.suffix.lower() in IMAGE_SUFFIXES and not _same(path, image):
            return path
    return None


def is_reference(path: Path, stems: Collection[Path]) -> bool:
    """Return whether a file is the reference of an image beside it.

    Parameters
    ----------
    path : Path
        The file.
    stems : collection of Path
        The image files of its folder, without endings.
    """
    image, ending, _ = path.stem.rpartition(_REFERENCE)
    return bool(image and ending) and path.with_name(image) in stems


def comparison_of(
    image: SemImage, settings: AlgorithmSettings, border: Border
) -> CompareRequest | None:
    """Return what the settings want an image to be compared with; None for nothing."""
    if not settings.compares:
        return None
    return CompareRequest(settings.reference, border, image.path, image.page, image.reference)


def reference_digests(
    image: Path | None, settings: AlgorithmSettings, known: Path | None = None
) -> list[str]:
    """Return the digest of the file that an image is compared with, if there is one.

    Another picture under the same name makes another mask.
    """
    path = find_reference(image, settings.reference, known) if settings.compares else None
    return [] if path is None else [file_sha256(path)]


def compare_image(image: SemImage, settings: AlgorithmSettings) -> Difference | None:
    """Compare an image as the settings say; None where nothing is to be compared.

    Raises
    ------
    InputError
        When a named reference is missing or cannot be read.
    """
    if not settings.compares:
        return None
    request = comparison_of(image, settings, settings.border(auto_border(image)))
    return None if request is None else compared(image.gray, request)


def compared(gray: NDArray[np.uint8], request: CompareRequest) -> Difference:
    """Compare an image (M, N) with its reference; the name of itself is "self".

    Raises
    ------
    InputError
        When a named reference is missing or cannot be read.
    """
    path = find_reference(request.path, request.wanted, request.known)
    if path is None:
        return replace(compare(gray, request.border), name=SELF_REFERENCE)
    # Pages of a file are compared with the same pages of another; one picture with all of them.
    page = request.page if request.page < page_count(path) else 0
    reference = read_image(path, page)
    found = compare(gray, request.border, reference.gray, auto_border(reference))
    return replace(found, name=path.name, sha256=file_sha256(path))


def compared_values(difference: Difference | None) -> dict[str, Any] | None:
    """Return what an image was compared with as records have it; None for nothing."""
    if difference is None:
        return None
    return {
        "reference": difference.name,
        "sha256": difference.sha256,
        "correlation": difference.correlation,
        "parts": int(difference.parts.max(initial=0)),
        "reason": difference.reason,
    }


def ignored_path(mask: Path) -> Path:
    """Return where what is ignored lies beside the file of a mask."""
    return mask.with_name(f"{mask.stem}{_IGNORED}.png")


def is_ignored_file(path: Path) -> bool:
    """Return whether a file tells what is ignored of the mask beside it, and is no mask."""
    stem = path.stem.removesuffix(_IGNORED)
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
