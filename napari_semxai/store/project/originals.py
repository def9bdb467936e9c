"""Files that nothing may write over: images, tables and masks that a project was made of."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.images.coco import count_images
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.files import (
    EXPORTS_FILE,
    IMAGES_FILE,
    REVIEWS_FOLDER,
    reaching,
)
from napari_semxai.store.sources.image_tables import find_table, table_images
from napari_semxai.types import PROJECT_FILE, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_semxai.types import ProjectImage, ProjectInfo


SINGLE_MEASUREMENT = ("name", "row0", "column0")


def original_files(info: ProjectInfo, images: Iterable[ProjectImage]) -> frozenset[str]:
    """Return the real paths of a project's images, tables and the masks that these name."""
    images = tuple(images)
    found = {image.path for image in images}
    found |= {image.reference for image in images if image.reference is not None}
    for table in _tables(Path(info.source), images):
        found.add(table)
        try:
            found |= {one.mask for one in table_images(table).images if one.mask is not None}
        except (InputError, OSError, ValueError, csv.Error):
            # A KLARF file, or a table that has changed since.
            continue
    # Real paths: a link to an original is the original.
    return frozenset(map(os.path.realpath, found))


def free_place(originals: frozenset[str], path: Path) -> Path:
    """Return `path` unless that would write over an original or a project's own file.

    Parameters
    ----------
    originals : frozenset of str
        Real paths, as of `original_files`.
    path : Path
        Where something is written.

    Raises
    ------
    InputError
        When it would.
    """
    if os.path.realpath(path) in originals:
        raise InputError(f"{path}: the project was made of this file; choose another place")
    check_not_project_file(path)
    return path


def check_replaceable(path: Path) -> None:
    """Raise `InputError` where a mask would replace a project's own file or another picture.

    Parameters
    ----------
    path : Path
        Where a person wants a mask; most often there is no file yet.
    """
    check_not_project_file(path)
    if not path.is_file():
        return
    try:
        # A picture of two values is a mask of some program; anything else took somebody work.
        binary = np.unique(read_image(path).pixels).size <= 2
    except InputError:
        binary = False
    if not binary:
        raise InputError(f"{path}: holds no plain mask but a picture; choose another name")


def check_replaceable_table(path: Path, columns: Sequence[str] = SINGLE_MEASUREMENT) -> None:
    """Raise `InputError` where a table would replace one that does not begin with its columns.

    Parameters
    ----------
    path : Path
        Where a person wants a table.
    columns : sequence of str
        First columns of what this program writes there; by default the measurements of a mask.
    """
    check_not_project_file(path)
    start = ",".join((*columns, "")).encode()
    with reaching(path):
        if path.is_file() and not path.read_bytes().startswith(start):
            raise InputError(f"{path}: holds another table; choose another name")


def check_replaceable_coco(path: Path) -> None:
    """Raise `InputError` where one mask would replace anything but a COCO set of one image.

    Parameters
    ----------
    path : Path
        Where a person wants a mask.
    """
    check_not_project_file(path)
    if not path.is_file():
        return
    try:
        single = count_images(path) <= 1
    except InputError:
        single = False
    if not single:
        raise InputError(f"{path}: holds more than the COCO data of a mask; choose another name")


def check_not_project_file(path: Path) -> None:
    """Raise `InputError` for the files that a project itself writes."""
    # Found from the path alone: no project need be open to be in the way.
    path = Path(os.path.realpath(path))
    for folder in path.parents:
        project_files = {folder / name for name in (PROJECT_FILE, IMAGES_FILE, EXPORTS_FILE)}
        if (path in project_files or folder / REVIEWS_FOLDER in path.parents) and (
            folder / PROJECT_FILE
        ).is_file():
            raise InputError(f"{path}: belongs to the project {folder}; choose another name")


def _tables(source: Path, images: Iterable[ProjectImage]) -> Iterator[Path]:
    """Tables of the source, and those that stand by images which were added later."""
    if source.is_file():
        yield source
    named = {(image.path.parent, image.label_source.partition(":")[0]) for image in images}
    places = {folder for folder, _ in named} | {folder.parent for folder, _ in named} | {source}
    for place in places:
        if place.is_dir() and (table := find_table(place)) is not None:
            yield table
    for folder, name in named:
        for place in (folder, folder.parent):
            if name and (place / name).is_file():
                yield place / name
