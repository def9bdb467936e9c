"""What a project can be made from: a folder, a table, a KLARF file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_semxai.store.image_tables import find_table, table_images
from napari_semxai.store.images import image_files, page_count, page_name
from napari_semxai.store.klarf import is_klarf
from napari_semxai.store.klarf_images import klarf_images
from napari_semxai.store.masks import MASK_SUFFIXES, image_stem
from napari_semxai.store.project_files import PROJECT_FILE
from napari_semxai.store.project_sources import ImageSource, SourceImage
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path

_PAGE = re.compile(r"_p\d{4,}$")
_TABLE_SUFFIXES = (".csv", ".tsv")


def find_images(source: Path) -> ImageSource:
    """List the images of a folder, a Carinthia download, a table or a KLARF file.

    Raises
    ------
    InputError
        When there is no such source, or no image in it.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if source.is_dir():
        table = find_table(source)
        return _folder_images(source) if table is None else table_images(table)
    if is_klarf(source):
        return klarf_images(source)
    if source.suffix.casefold() in _TABLE_SUFFIXES:
        return table_images(source)
    raise InputError(f"{source}: neither a folder of images, nor a CSV table, nor a KLARF file")


def _is_mask(path: Path, beside: set[Path]) -> bool:
    """Return whether a file is called as "Save mask" calls the mask of an image beside it."""
    image = path.with_name(image_stem(path.stem))
    if image.name == path.stem or path.suffix.casefold() not in MASK_SUFFIXES:
        return False
    return image in beside or image.with_name(_PAGE.sub("", image.name)) in beside


def _folder_images(folder: Path) -> ImageSource:
    """Every image below a folder but masks beside them; every page of a TIFF is one."""
    images: list[SourceImage] = []
    failed: dict[str, str] = {}
    # Masks of a project that lies among the images are no images.
    projects = {path.parent for path in folder.rglob(PROJECT_FILE)}
    files = image_files(folder)
    beside = {path.with_suffix("") for path in files}
    for path in files:
        if not projects.isdisjoint(path.parents) or _is_mask(path, beside):
            continue
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
