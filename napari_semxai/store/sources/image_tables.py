"""What a source says of its images, and tables of them (CSV): Carinthia's, and anybody's own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.algorithms.masks.foreground import AUTO, BRIGHT, ForegroundRule
from napari_semxai.store.disk.names import FileFinder
from napari_semxai.store.disk.tables import all_reasons, cells_by_name, read_table, size_of
from napari_semxai.types import InputError, ReviewState
from napari_semxai.types.quantities import parse_number

if TYPE_CHECKING:
    from napari_semxai.store.disk.tables import Table

_CARINTHIA = "carinthia"
_CARINTHIA_CLASSES = {str(number): f"Class {number}" for number in range(1, 7)}
# Units a metre; small letters make one micro sign of both.
_SIZES = {
    f"pixel_size_{unit}": float(f"1e{power}")
    for unit, power in (
        ("m", 0),
        ("mm", 3),
        ("um", 6),
        ("\N{GREEK SMALL LETTER MU}m", 6),
        ("nm", 9),
        ("pm", 12),
    )
}
_LARGEST_PIXEL = 1e-3
# What a column may be called, in small letters.
_NAMES = {
    "path": ("image_path", "path", "image", "file"),
    "name": ("file_name", "filename", "name"),
    "mask": ("mask_path", "mask"),
    "label": ("label", "class"),
    "label_source": ("class_source",),
    "page": ("page",),
    "lot": ("lot", "lotid"),
    "wafer": ("wafer", "waferid"),
    "defect": ("defect", "defectid"),
    "state": ("state",),
    "comment": ("comment",),
    "reference": ("reference_path", "reference_image", "reference"),
}


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
    state, comment : str
        What an export wrote of that mask.
    reference : Path or None
        The picture to compare it with.
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
    state: str = ""
    comment: str = ""
    reference: Path | None = None


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
    annotator : str
        Whose masks come with the images.
    mask_rule : ForegroundRule
        What in those masks is foreground.
    """

    images: tuple[SourceImage, ...]
    class_names: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    annotator: str = ""
    mask_rule: ForegroundRule = AUTO


def find_table(folder: Path) -> Path | None:
    """Return the table of a Carinthia download in `folder` or its ``data`` folder.

    Where both sets lie, it is the one with masks.
    """
    for place in (folder, folder / "data"):
        tables = sorted(place.glob("*.csv")) if place.is_dir() else []
        named = [table for table in tables if table.stem.casefold().startswith(_CARINTHIA)]
        if named:
            return max(named, key=lambda table: "-s" in table.stem.casefold())
    return None


def table_images(table: Path) -> ImageSource:
    """List the images of a table.

    Columns are found by name, in any order and case: ``image_path`` and ``file_name`` (either or
    both, with or without ending), and where there are ``mask_path``, ``label``, ``page`` (from
    0), ``lot``, ``wafer``, ``defect``, ``pixel_size_nm`` (or m, mm, um, pm), and of the mask
    ``state`` and ``comment``, and ``reference_path`` of the picture to compare with.
    Paths start at the table's folder or the one above it. An image is taken from the first row
    that names it; later ones are among `ImageSource.failed`.

    Raises
    ------
    InputError
        When it cannot be read or has no column of images.
    """
    stored = read_table(table)
    names = stored.names
    columns = {
        key: names.index(name) for key, known in _NAMES.items() for name in known if name in names
    }
    if "path" not in columns and "name" not in columns:
        raise InputError(
            f"{table}: no column image_path or file_name; there are {', '.join(stored.header)}"
        )
    _check_columns(stored)
    size_columns = [name for name in _SIZES if name in names]
    files = FileFinder(table.parent, table.parent.parent)
    label_source = f"{table.name}:{names[columns['label']]}" if "label" in columns else ""
    images: list[SourceImage] = []
    failed: dict[str, str] = {}
    seen: dict[tuple[str, int], int] = {}
    for line, row in stored.rows:
        try:
            cells = cells_by_name(row, names)
            values = {key: cells.get(names[at], "") for key, at in columns.items()}
            sizes = {name: cells.get(name, "") for name in size_columns}
            image = _source_image(values, sizes, files, label_source)
            # One image is one review, and counts once.
            first = seen.setdefault((os.path.abspath(image.path), image.page), line)
            if first != line:
                raise InputError(f"{image.path}: is listed on line {first} already; left out here")
            images.append(image)
        except InputError as error:
            # What is quoted of a cell may have lines of its own.
            said = " ".join(str(error).split())
            failed[f"{table.name} line {line}"] = f"{table} line {line}: {said}"
    if not images:
        raise InputError(all_reasons(failed.values()) or f"{table}: has no rows")
    carinthia = table.stem.casefold().startswith(_CARINTHIA)
    return ImageSource(
        _with_whole_labels(images),
        class_names=_CARINTHIA_CLASSES if carinthia else {},
        failed=failed,
        annotator=table.stem,
        # The published set, and what this program exports.
        mask_rule=BRIGHT if carinthia or "state" in columns else AUTO,
    )


def _with_whole_labels(images: list[SourceImage]) -> tuple[SourceImage, ...]:
    """Return images with whole numbers of classes: pandas writes 3.0 beside empty cells."""
    if not all(re.fullmatch(r"(\d+(\.0+)?)?", image.label) for image in images):
        return tuple(images)
    return tuple(replace(image, label=image.label.partition(".")[0]) for image in images)


def _check_columns(table: Table) -> None:
    """Refuse a column that could mean two things, instead of taking or leaving it."""
    known = {*_SIZES, *(name for names in _NAMES.values() for name in names)}
    for name in table.names:
        if name in known and table.names.count(name) > 1:
            raise InputError(f"{table.path}: has two columns {name}; rename one of them")
        if name.startswith(("pixel_size", "pixelsize")) and name not in known:
            raise InputError(
                f"{table.path}: column {name} does not say its unit; call it pixel_size_nm"
            )


def _source_image(
    values: dict[str, str], sizes: dict[str, str], files: FileFinder, label_source: str
) -> SourceImage:
    values |= {key: value.strip() for key, value in values.items() if key != "comment"}
    path = _find(files, values.get("path", ""), values.get("name", ""))
    mask = files.find(values["mask"]) if values.get("mask") else None
    if mask == path:
        raise InputError(f"{values['mask']}: no such mask; the image itself has this name")
    page = _page(values.get("page", ""))
    found = ((name, size_of(text, name, _SIZES[name])) for name, text in sizes.items())
    column, size = next(((name, one) for name, one in found if one is not None), ("", None))
    if size is not None and size > _LARGEST_PIXEL:
        raise InputError(f"{column}: “{sizes[column]}” is more than 1 mm; is it of another unit?")
    state = values.get("state", "")
    if mask is not None and state and state not in list(ReviewState):
        raise InputError(f"state: “{state}” is none of {', '.join(ReviewState)}")
    return SourceImage(
        path=path,
        page=page,
        name=f"{path.stem}_p{page + 1:04d}" if values.get("page") else path.stem,
        label=values.get("label", ""),
        label_source=values.get("label_source") or label_source if values.get("label") else "",
        lot=values.get("lot", ""),
        wafer=values.get("wafer", ""),
        defect=values.get("defect", ""),
        pixel_size=size,
        mask=mask,
        state=state,
        comment=values.get("comment", ""),
        reference=files.find(values["reference"]) if values.get("reference") else None,
    )


def _find(files: FileFinder, path: str, name: str) -> Path:
    """Return the file of a path and a name, either of which may be "" or lack its ending."""
    if not name:
        return files.find(path)
    folder = path[: max(path.rfind("/"), path.rfind("\\")) + 1]
    inside = f"{path}/{name}" if path else name
    return files.find(path, inside, f"{folder}{name}", f"images/{name}")


def _page(text: str) -> int:
    try:
        page = parse_number(text) if text else 0.0
    except InputError as error:
        raise InputError(f"page: {error}") from None
    if page < 0 or page != int(page):
        raise InputError(f"page: “{text}” is no whole number from 0 on")
    return int(page)
