"""The images of a project: their table, and the files that nothing may write over.

These are the images, tables and masks that the project was made of.
"""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.disk.digests import SEALS_FILE, write_sealed
from napari_semxai.store.disk.names import (
    NameFinder,
    absolute_path,
    name_key,
    portable_path,
)
from napari_semxai.store.disk.tables import read_table, size_of, table_bytes, table_text
from napari_semxai.store.images.coco import count_images
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.files import (
    EXPORTS_FILE,
    IMAGES_FILE,
    REVIEWS_FOLDER,
    changing,
    check_there,
    reaching,
    unique_ids,
)
from napari_semxai.store.sources.image_tables import find_table, table_images
from napari_semxai.types import PROJECT_FILE, InputError, ProjectImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_semxai.types import ProjectInfo

_COLUMNS = (
    "id",
    "path",
    "page",
    "rows",
    "columns",
    "sha256",
    "class",
    "class_source",
    "lot",
    "wafer",
    "defect",
    "pixel_size_m",
    "name",
    "turned_from_orientation",
    "reference",
)
_OWN_FILES = (PROJECT_FILE, IMAGES_FILE, EXPORTS_FILE, SEALS_FILE)
SINGLE_MEASUREMENT = ("name", "row0", "column0")


def write_images(project: Path, images: Sequence[ProjectImage]) -> None:
    """Write the table of images; paths are relative where a common folder exists."""
    rows = []
    for image in images:
        path = portable_path(project, image.path)
        row = (image.id, path, image.page, *image.shape, image.sha256)
        known = (image.label, image.label_source, image.lot, image.wafer, image.defect)
        reference = image.reference and portable_path(project, image.reference)
        rows.append((*row, *known, image.pixel_size, image.name, image.turned, reference))
    # Few projects have turned images or references; the table of others stays as it always was.
    width = len(_COLUMNS)
    if all(image.reference is None for image in images):
        width -= 1 + all(image.turned == 1 for image in images)
    text = table_text([_COLUMNS[:width], *(row[:width] for row in rows)])
    write_sealed(project, IMAGES_FILE, table_bytes(text))


def read_images(project: Path) -> tuple[ProjectImage, ...]:
    """Read the table of images.

    Raises
    ------
    InputError
        When it is missing or damaged.
    """
    path = project / IMAGES_FILE
    with reaching(path):
        path.stat()
    table = read_table(path)
    names, found = table.names, []
    for line, row in table.rows:
        # Excel leaves empty cells at the end of a row away.
        padded = [*row, *[""] * (len(names) - len(row))]
        try:
            found.append(_image(project, dict(zip(names, padded, strict=True))))
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path} line {line}: is damaged ({error}); bring back a copy of it"
            ) from error
    return with_names(found)


def with_names(images: Sequence[ProjectImage]) -> tuple[ProjectImage, ...]:
    """Give images the names and file stems that they lack; no two have the same.

    The table of an older project has no names: there the path is the name, where the id was made
    of it.
    """
    names = [image.name or _old_name(image) for image in images]
    often = Counter(map(name_key, names))
    names = [
        name if often[name_key(name)] == 1 else image.id
        for name, image in zip(names, images, strict=True)
    ]
    plain = [image.id for image in images]
    lost = [at for at, name in enumerate(names) if not name.isascii()]
    for at, stem in zip(
        lost, unique_ids((names[at] for at in lost), plain, ascii_only=False), strict=True
    ):
        plain[at] = stem
    return tuple(
        replace(image, name=name, stem=stem)
        for image, name, stem in zip(images, names, plain, strict=True)
    )


class ImageFinder:
    """Finds the image that a name means: its id, its stem, or its path as far as that is given.

    Parameters
    ----------
    images : sequence of ProjectImage
        Those of a project.
    """

    def __init__(self, images: Sequence[ProjectImage]) -> None:
        self._by_id = {image.id.casefold(): image for image in images}
        pages = Counter(image.path for image in images)
        self._found = NameFinder(
            (name, image)
            for image in images
            for name in (
                image.id,
                image.stem,
                image.name,
                # Of several pages none is the file.
                *([image.path.as_posix()] if pages[image.path] == 1 else []),
            )
        )

    def find(self, name: str, own_id: str = "") -> ProjectImage | None:
        """Return the image of an id, else the one that a name fits best; None without any.

        Raises
        ------
        InputError
            When it fits several equally.
        """
        return self._by_id.get(own_id.casefold()) or self._found.find(name)


def _old_name(image: ProjectImage) -> str:
    stem = image.path.stem
    made = unique_ids([stem])[0]
    return stem if image.id == made or image.id.startswith(f"{made}-") else image.id


def store_pixel_size(
    project: Path, known: Iterable[ProjectImage], image_id: str | None, metres: float
) -> tuple[ProjectImage, ...]:
    """Write a pixel size for one image, or for all that have none.

    Parameters
    ----------
    project : Path
        The project's folder.
    known : iterable of ProjectImage
        Its images as they were read.
    image_id, metres
        See `Project.set_pixel_size`.

    Returns
    -------
    tuple of ProjectImage
        `known` with the pixel sizes of the table; what others have added since is not among them.
    """
    if not (math.isfinite(metres) and metres > 0):
        raise InputError(f"{metres!r} m: a pixel size is a number above 0")
    check_there(project)
    with reaching(project), changing(project):
        stored = {image.id: image for image in read_images(project)}
        for image in stored.values():
            if image.id == image_id or (image_id is None and image.pixel_size is None):
                stored[image.id] = replace(image, pixel_size=float(metres))
        write_images(project, list(stored.values()))
    return tuple(
        replace(image, pixel_size=stored.get(image.id, image).pixel_size) for image in known
    )


def _image(project: Path, row: dict[str, str]) -> ProjectImage:
    return ProjectImage(
        id=row["id"],
        path=absolute_path(project, row["path"]),
        page=int(row["page"]),
        shape=(int(row["rows"]), int(row["columns"])),
        sha256=row["sha256"],
        label=row["class"],
        label_source=row["class_source"],
        lot=row["lot"],
        wafer=row["wafer"],
        defect=row["defect"],
        pixel_size=size_of(row["pixel_size_m"], "pixel_size_m"),
        name=row.get("name", ""),
        turned=int(row.get("turned_from_orientation") or 1),
        reference=absolute_path(project, row["reference"]) if row.get("reference") else None,
    )


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
        project_files = {folder / name for name in _OWN_FILES}
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
