"""Which picture an image is compared with, and the comparison."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.algorithms.algorithm1.reference import compare
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.disk.names import IMAGE_SUFFIXES, check_name
from napari_semxai.store.images.read import auto_border, read_image
from napari_semxai.types import InputError
from napari_semxai.types.settings import AUTO_REFERENCE, NO_REFERENCE, SELF_REFERENCE

if TYPE_CHECKING:
    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.types import AlgorithmSettings, SemImage


def find_reference(image: Path | None, wanted: str) -> Path | None:
    """Return the file that an image is to be compared with.

    Parameters
    ----------
    image : Path or None
        The image's file; None where it has none.
    wanted : str
        As in `AlgorithmSettings.reference`.

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
    if wanted == AUTO_REFERENCE:
        return None if image is None else _named(image.parent, f"{image.stem}_reference")
    place = Path(wanted)
    check_name(place)
    if not place.is_dir():
        if not place.is_file():
            raise InputError(f"{wanted}: there is no such reference")
        return place
    stem = "" if image is None else image.stem
    # In a folder of references the names are those of the images.
    found = _named(place, f"{stem}_reference") or _named(place, stem)
    if found is None:
        raise InputError(f"{wanted}: holds no reference for {stem or 'an image without a file'}")
    return found


def _named(folder: Path, stem: str) -> Path | None:
    """Return the picture of that name, whatever its ending."""
    for path in sorted(folder.glob(f"{escape(stem)}.*")):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return path
    return None


def reference_digests(image: Path, settings: AlgorithmSettings) -> list[str]:
    """Return the digest of the file that an image is compared with, if there is one.

    Another picture under the same name makes another mask.
    """
    path = find_reference(image, settings.reference) if settings.compares else None
    return [] if path is None else [file_sha256(path)]


def compare_image(image: SemImage, settings: AlgorithmSettings) -> tuple[Difference | None, str]:
    """Compare an image as the settings say.

    Returns
    -------
    Difference or None
        None where nothing is to be compared.
    str
        The name of the reference; "self" for the image's own repetitions; "" without any.

    Raises
    ------
    InputError
        When a named reference is missing or cannot be read.
    """
    if not settings.compares:
        return None, ""
    border = settings.border(auto_border(image))
    path = find_reference(image.path, settings.reference)
    if path is None:
        return compare(image.gray, border), SELF_REFERENCE
    reference = read_image(path)
    found = compare(image.gray, border, reference.gray, auto_border(reference))
    return found, path.name
