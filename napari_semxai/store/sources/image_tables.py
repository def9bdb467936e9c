"""Tables of images (CSV): the published Carinthia sets, and anybody's own."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from napari_semxai.algorithms.masks.foreground_rules import AUTO, BRIGHT
from napari_semxai.store.images.read import IMAGE_SUFFIXES
from napari_semxai.store.sources.source import ImageSource, SourceImage
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DELIMITERS = ";,\t"
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
    ``state`` and ``comment``. Paths start at the table's folder or the one above it.

    Raises
    ------
    InputError
        When it cannot be read or has no column of images.
    """
    header, rows = read_table(table)
    columns = {
        key: header.index(name)
        for key, names in _NAMES.items()
        for name in names
        if name in header
    }
    if "path" not in columns and "name" not in columns:
        raise InputError(
            f"{table}: no column image_path or file_name; there are {', '.join(header)}"
        )
    files = _Files(table.parent)
    label_source = f"{table.name}:{header[columns['label']]}" if "label" in columns else ""
    images: list[SourceImage] = []
    failed: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        values = {key: row[at] for key, at in columns.items() if at < len(row)}
        values |= {key: value.strip() for key, value in values.items() if key != "comment"}
        try:
            images.append(_source_image(values, files, label_source))
        except (InputError, ValueError) as error:
            failed[f"{table.name} line {line}"] = f"{table} line {line}: {error}"
    if not images:
        raise InputError(next(iter(failed.values()), f"{table}: has no rows"))
    carinthia = table.stem.casefold().startswith(_CARINTHIA)
    return ImageSource(
        tuple(images),
        class_names=_CARINTHIA_CLASSES if carinthia else {},
        failed=failed,
        annotator=table.stem,
        # The published set, and what this program exports.
        mask_rule=BRIGHT if carinthia or "state" in columns else AUTO,
    )


def read_table(table: Path) -> tuple[list[str], list[list[str]]]:
    """Return the column names of a table, in small letters, and its rows.

    Raises
    ------
    InputError
        When it cannot be read or is empty.
    """
    try:
        stored = table.read_bytes()
        text = stored.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = stored.decode("latin-1")
    except OSError as error:
        raise InputError(f"{table}: cannot be read ({error.strerror or error})") from error
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    # Not line by line: a comment may have lines of its own.
    lines = io.StringIO(text, newline="")
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise InputError(f"{table}: is no table ({error})") from error
    if not rows:
        raise InputError(f"{table}: is empty")
    return [name.strip().casefold() for name in rows[0]], rows[1:]


def _source_image(values: dict[str, str], files: _Files, label_source: str) -> SourceImage:
    path = files.find(values.get("path", ""), values.get("name", ""))
    mask = files.find(values["mask"], "") if values.get("mask") else None
    page = int(values.get("page") or 0)
    size = float(values["size_m"]) if values.get("size_m") else None
    if size is None and values.get("size_nm"):
        size = float(values["size_nm"]) * 1e-9
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


class _Files:
    """Finds what a table names, however exactly it does."""

    def __init__(self, folder: Path) -> None:
        self._roots = (folder, folder.parent)
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, path: str, name: str) -> Path:
        """Return the file of a path and a name, either of which may be "" or lack its ending."""
        # Backslashes of tables made on Windows; the parts of "/data" there begin with one, too.
        given = Path(path)
        if not given.is_absolute():
            given = Path(*PureWindowsPath(path).parts)
        wanted = [given, *([given / name, given.parent / name, Path("images", name)] * bool(name))]
        for root in self._roots:
            for relative in wanted:
                if relative.name and (found := self._at(root / relative)) is not None:
                    return found
        raise InputError(f"{path or name}: no such file from {self._roots[0]}")

    def _at(self, path: Path) -> Path | None:
        listed = self._list(path.parent)
        return listed.get(path.name.casefold())

    def _list(self, folder: Path) -> dict[str, Path]:
        """Names and names without ending, in small letters; the ending is not always given."""
        if folder not in self._listed:
            found: Sequence[Path] = sorted(folder.iterdir()) if folder.is_dir() else []
            files = [path for path in found if path.suffix.casefold() in IMAGE_SUFFIXES]
            self._listed[folder] = {path.stem.casefold(): path for path in files} | {
                path.name.casefold(): path for path in files
            }
        return self._listed[folder]
