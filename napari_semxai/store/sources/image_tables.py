"""Tables of images (CSV): the published Carinthia sets, and anybody's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_semxai.algorithms.masks.foreground import AUTO, BRIGHT
from napari_semxai.store.disk.names import FileFinder
from napari_semxai.store.disk.tables import all_reasons, cells_by_name, read_table, size_of
from napari_semxai.store.sources.source import ImageSource, SourceImage
from napari_semxai.types import InputError
from napari_semxai.types.quantities import parse_number

if TYPE_CHECKING:
    from pathlib import Path

_CARINTHIA = "carinthia"
_CARINTHIA_CLASSES = {str(number): f"Class {number}" for number in range(1, 7)}
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
    "size_m": ("pixel_size_m",),
    "size_nm": ("pixel_size_nm",),
    "state": ("state",),
    "comment": ("comment",),
}


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
    0), ``lot``, ``wafer``, ``defect``, ``pixel_size_m`` or ``pixel_size_nm``, and of the mask
    ``state`` and ``comment``. Paths start at the table's folder or the one above it. An image is
    taken from the first row that names it; later ones are among `ImageSource.failed`.

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
    files = FileFinder(table.parent, table.parent.parent)
    label_source = f"{table.name}:{names[columns['label']]}" if "label" in columns else ""
    images: list[SourceImage] = []
    failed: dict[str, str] = {}
    seen: dict[tuple[str, int], int] = {}
    for line, row in stored.rows:
        try:
            cells = cells_by_name(row, names)
            values = {key: cells.get(names[at], "") for key, at in columns.items()}
            image = _source_image(values, files, label_source)
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
        tuple(images),
        class_names=_CARINTHIA_CLASSES if carinthia else {},
        failed=failed,
        annotator=table.stem,
        # The published set, and what this program exports.
        mask_rule=BRIGHT if carinthia or "state" in columns else AUTO,
    )


def _source_image(values: dict[str, str], files: FileFinder, label_source: str) -> SourceImage:
    values |= {key: value.strip() for key, value in values.items() if key != "comment"}
    path = _find(files, values.get("path", ""), values.get("name", ""))
    mask = files.find(values["mask"]) if values.get("mask") else None
    if mask == path:
        raise InputError(f"{values['mask']}: no such mask; the image itself has this name")
    page = _page(values.get("page", ""))
    size = size_of(values.get("size_m", ""), "pixel_size_m")
    if size is None:
        size = size_of(values.get("size_nm", ""), "pixel_size_nm", 1e9)
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
        state=values.get("state", ""),
        comment=values.get("comment", ""),
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
