"""What a project can be made from: every image, with all that its source says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_semxai.store.images import image_files, page_count, page_name
from napari_semxai.types import InputError


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One image of a source; what is not known is "" or None.

    Attributes
    ----------
    path, page
        Where the image is.
    name : str
        What its id is made of; "/" between folders.
    label, label_source, lot, wafer, defect, pixel_size
        See `ProjectImage`.
    mask : Path or None
        A mask that comes with the image.
    """

    path: Path
    page: int
    name: str
    label: str = ""
    label_source: str = ""
    lot: str = ""
    wafer: str = ""
    defect: str = ""
    pixel_size: float | None = None
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class ImageSource:
    """All images of a source.

    Attributes
    ----------
    images : tuple of SourceImage
        In the order of the queue.
    class_names : mapping
        Class label to name.
    failed : mapping
        What could not be listed, and why.
    """

    images: tuple[SourceImage, ...]
    class_names: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def find_images(source: Path) -> ImageSource:
    """List the images of a folder.

    Raises
    ------
    InputError
        When there is no such source, or no image in it.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    return _folder_images(source)


def _folder_images(folder: Path) -> ImageSource:
    """Every image below a folder; every page of a multi-page TIFF is one."""
    images: list[SourceImage] = []
    failed: dict[str, str] = {}
    for path in image_files(folder):
        name = path.relative_to(folder)
        try:
            pages = page_count(path)
        except InputError as error:
            failed[name.as_posix()] = str(error)
            continue
        for page in range(pages):
            stem = name.with_name(page_name(name, page)) if pages > 1 else name.with_suffix("")
            images.append(SourceImage(path, page, stem.as_posix()))
    if not images:
        raise InputError(f"{folder}: no readable TIFF, JPEG, PNG or BMP image in this folder")
    return ImageSource(tuple(images), failed=failed)
