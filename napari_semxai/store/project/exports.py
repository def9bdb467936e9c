"""Exports of a project: mask files, forms of other programs, measurements."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.masks.components import find_defects
from napari_semxai.algorithms.masks.measurements import measure, outlines
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.disk.tables import all_reasons, write_table
from napari_semxai.store.images.coco import NO_CLASS, category_ids, coco_document
from napari_semxai.store.images.companions import VOID, ignored_path, write_ignored, write_numbers
from napari_semxai.store.images.mask_parts import objects_of
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import microscope_columns, page_count
from napari_semxai.store.images.tiff import write_image
from napari_semxai.store.project.images import (
    check_replaceable,
    check_replaceable_table,
    free_place,
)
from napari_semxai.store.project.klarf_export import KlarfOffer, export_klarf, offer_klarf
from napari_semxai.store.project.records import imported_state
from napari_semxai.store.project.verify import ExportNote
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.store.project.project import Project
    from napari_semxai.types import ChosenMask, ProjectImage

MASKS_TABLE, CLASSES_TABLE = "masks.csv", "classes.csv"
CARINTHIA_COLUMNS = ("image_path", "mask_path", "filename", "label")
_LABELME, _IGNORE = "5.2.1", "__ignore__"
IGNORED_NAME = "ignored"
_EXTRA_COLUMNS = ("class_source", "lot", "wafer", "defect", "pixel_size_m")


def export_masks(
    project: Project, chosen: Iterable[ChosenMask], target: Path, suffix: str = ".png"
) -> int:
    """Write every mask as ``<id><suffix>``, 0 and 255, and what is known of them as a table.

    Returns
    -------
    int
        How many.

    Raises
    ------
    InputError
        When a file cannot be written, is an original of the project, or is another picture or
        table.
    """
    rows: list[dict[str, Any]] = []
    table = free_place(project.originals, target / MASKS_TABLE)
    check_replaceable_table(table, ("id", "file", "class"))
    for one in chosen:
        path = free_place(project.originals, target / f"{one.image.stem}{suffix}")
        _write_mask(path, one)
        rows.append(_about(project, one, file=path.name) | {"comment": one.comment})
    if rows:
        write_table(table, list(rows[0]), [list(row.values()) for row in rows])
    return len(rows)


def export_coco(project: Project, chosen: Iterable[ChosenMask], target: Path, form: str) -> int:
    """Write a COCO data set with "rle" or "polygons"; return how many images it has."""
    document = coco_document(chosen, project.images, project.info, form)
    write_json(free_place(project.originals, target), document)
    return len(document["images"])


def export_carinthia(
    project: Project,
    chosen: Iterable[ChosenMask],
    target: Path,
    failed: dict[str, str] | None = None,
) -> int:
    """Write the layout of Carinthia-S below ``data``; return how many images it has.

    Images are copied byte for byte; a page of a multi-page TIFF becomes a TIFF of its own. What
    is known beyond the four columns of the set stands in columns behind them. `failed` gets the
    message of each image that is missing or was replaced; without it the first one raises.
    """
    rows: list[tuple[str, ...]] = []
    data, plain = target / "data", True
    for one, image in _copied(project, chosen, data / "images", failed):
        mask = free_place(project.originals, data / "masks" / f"{one.image.stem}.png")
        _write_mask(mask, one)
        paths = (image.relative_to(data).as_posix(), mask.relative_to(data).as_posix())
        known = _known(one)
        rows.append((*paths, one.image.stem, one.label, *known, str(one.state), one.comment))
        # The published set's four columns; more of them only where there is more to say.
        plain &= not any((*known, one.comment)) and one.state == imported_state(one.mask, None)
    columns = [*CARINTHIA_COLUMNS, *_EXTRA_COLUMNS, "state", "comment"]
    if plain:
        columns, rows = columns[:4], [row[:4] for row in rows]
    write_table(
        free_place(project.originals, data / "carinthia-s.csv"), columns, rows, delimiter=";"
    )
    return len(rows)


def export_yolo(
    project: Project,
    chosen: Iterable[ChosenMask],
    target: Path,
    failed: dict[str, str] | None = None,
) -> int:
    """Write a segmentation set of Ultralytics YOLO; return how many images it has.

    ``labels/<id>.txt`` has a line for each polygon, number of the class and corners (x, y) as
    parts of width and height; ``data.yaml`` names the classes. Images are copied.
    """
    numbers = {label: number for number, label in enumerate(_labels(project))}
    count = 0
    for one, image in _copied(project, chosen, target / "images", failed):
        lines = []
        for label, _, mask in objects_of(one):
            number = numbers.setdefault(label, len(numbers))
            for corners in outlines(mask):
                places = corners[:, ::-1] / mask.shape[::-1]
                lines.append(" ".join([str(number), *(f"{each:.7g}" for each in places.ravel())]))
        # A file without a line is a picture without a defect.
        _write_lines(free_place(project.originals, target / "labels" / f"{image.stem}.txt"), lines)
        count += 1
    if count:
        named = (f"  {at}: {json.dumps(_name(project, label))}" for label, at in numbers.items())
        head = ("path: .", "train: images", "val: images", "names:")
        _write_lines(free_place(project.originals, target / "data.yaml"), [*head, *named])
    return count


def export_labelme(
    project: Project,
    chosen: Iterable[ChosenMask],
    target: Path,
    failed: dict[str, str] | None = None,
) -> int:
    """Write a file of labelme beside a copy of each image; return how many.

    Polygons of one object have one ``group_id``; what is ignored has labelme's own label for that.
    """
    count = 0
    for one, image in _copied(project, chosen, target, failed):
        objects = [(_name(project, label), mask) for label, _, mask in objects_of(one)]
        objects += [] if one.ignored is None else [(_IGNORE, one.ignored)]
        shapes = [
            {
                "label": label,
                "points": corners[:, ::-1].astype(float).tolist(),
                "group_id": group,
                "description": one.comment,
                "shape_type": "polygon",
                "flags": {},
            }
            for group, (label, mask) in enumerate(objects, start=1)
            for corners in outlines(mask)
        ]
        document: dict[str, Any] = {"version": _LABELME, "shapes": shapes}
        sides = {"imageHeight": one.mask.shape[0], "imageWidth": one.mask.shape[1]}
        told = {"flags": {str(one.state): True}, "imageData": None}
        document |= {"imagePath": image.name, **told, **sides}
        write_json(free_place(project.originals, image.with_suffix(".json")), document)
        count += 1
    return count


def export_numbers(project: Project, chosen: Iterable[ChosenMask], target: Path) -> int:
    """Write ``<id>.png`` with the number of a class at each pixel, and what the numbers mean.

    0 is background, `VOID` is ignored. A class that is a number keeps it; see ``classes.csv``.

    Raises
    ------
    InputError
        When a number is `VOID` or above, or a file cannot be written.
    """
    numbers, count = category_ids(_labels(project)), 0
    for one in chosen:
        values = np.zeros(one.mask.shape, dtype=np.uint8)
        for label, _, mask in objects_of(one):
            numbers = category_ids(dict.fromkeys([*numbers, label]))
            if numbers[label] >= VOID:
                raise InputError(
                    f"{one.image.name}: class {label} would be {numbers[label]}; a PNG of 8 bits "
                    f"holds up to {VOID - 1}, and {VOID} is ignored: export another form"
                )
            values[mask] = numbers[label]
        if one.ignored is not None:
            values[one.ignored] = VOID
        path = free_place(project.originals, target / f"{one.image.stem}.png")
        check_replaceable(path)
        write_numbers(path, values)
        count += 1
    if count:
        rows = [(at, label, _name(project, label)) for label, at in numbers.items()]
        rows.append((VOID, "", IGNORED_NAME))
        columns = ("value", "class", "class_name")
        table = free_place(project.originals, target / CLASSES_TABLE)
        check_replaceable_table(table, columns)
        write_table(table, columns, rows)
    return count


def export_measurements(project: Project, chosen: Iterable[ChosenMask], target: Path) -> int:
    """Write one row of measurements for each mask; return how many."""
    rows: list[dict[str, Any]] = []
    for one in chosen:
        row = _about(project, one, file=one.image.path.name, page=one.image.page)
        said = {"comment": one.comment} | microscope_columns(one.image.path, one.image.page)
        rows.append(row | measure(one.mask, one.image.pixel_size) | said)
    _write_rows(project, target, rows, "no mask to measure")
    return len(rows)


def export_defects(project: Project, chosen: Iterable[ChosenMask], target: Path) -> int:
    """Write one row of measurements for each defect of each mask; return how many masks."""
    rows: list[dict[str, Any]] = []
    masks = 0
    for one in chosen:
        masks += 1
        about = _about(project, one, file=one.image.path.name, page=one.image.page)
        said = {"comment": one.comment} | microscope_columns(one.image.path, one.image.page)
        for defect in find_defects(one.mask):
            measured = measure(defect.part_of(one.mask), one.image.pixel_size)
            del measured["components"]
            rows.append(about | {"number": defect.number} | measured | said)
    _write_rows(project, target, rows, "no mask with a defect to measure")
    return masks


def _about(project: Project, one: ChosenMask, **place: Any) -> dict[str, Any]:
    """Return what is known of a mask by column, but the comment."""
    name = project.info.class_names.get(one.label, "")
    row = {"id": one.image.id, **place, "class": one.label, "class_name": name}
    row |= dict(zip(_EXTRA_COLUMNS, _known(one), strict=True))
    row |= {"state": one.state, "annotators": " ".join(one.annotators)}
    ignored = 0 if one.ignored is None else int(np.count_nonzero(one.ignored))
    return row | {"name": one.image.name, "ignored_px": ignored}


def _write_rows(project: Project, target: Path, rows: list[dict[str, Any]], without: str) -> None:
    if not rows:
        raise InputError(f"{project.folder}: {without}")
    values = [list(row.values()) for row in rows]
    write_table(free_place(project.originals, target), list(rows[0]), values)


def _known(one: ChosenMask) -> tuple[str, str, str, str, str]:
    image = one.image
    size = "" if image.pixel_size is None else repr(image.pixel_size)
    return one.label_source, image.lot, image.wafer, image.defect, size


def _labels(project: Project) -> list[str]:
    """Return the classes of a project in an order that does not depend on what is exported."""
    labels = (image.label for image in project.images)
    return [label for label in dict.fromkeys([*project.info.class_names, *labels]) if label]


def _name(project: Project, label: str) -> str:
    return project.info.class_names.get(label, label) or NO_CLASS


def _write_mask(path: Path, one: ChosenMask) -> None:
    for file in (path, ignored_path(path)):
        check_replaceable(file)
    write_mask(path, one.mask)
    write_ignored(path, one.ignored)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _copied(
    project: Project,
    chosen: Iterable[ChosenMask],
    folder: Path,
    failed: dict[str, str] | None,
) -> Iterator[tuple[ChosenMask, Path]]:
    """Copy the image of each mask, and yield where; one that cannot be read goes to `failed`."""
    for one in chosen:
        try:
            pixels = np.asarray(project.read_image(one.image.id).pixels)
        except InputError as error:
            if failed is None:
                raise
            failed[one.image.name] = str(error)
            continue
        yield one, _copy_image(project, one.image, pixels, folder)


def _copy_image(project: Project, image: ProjectImage, pixels: NDArray[Any], folder: Path) -> Path:
    if page_count(image.path) == 1:
        path = free_place(project.originals, folder / f"{image.stem}{image.path.suffix.lower()}")
        # Byte for byte: tags of the microscope stay, and the digest is that of the original.
        with image.path.open("rb") as origin, atomic_write(path) as copy:
            shutil.copyfileobj(origin, copy)
        return path
    path = free_place(project.originals, folder / f"{image.stem}.tif")
    write_image(path, pixels)
    return path


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A form in which the masks of a project can be written.

    Attributes
    ----------
    write : callable
        Writes the masks and returns how many.
    title, file_filter : str
        For display, and of a file dialog for forms that are one file; "" for a folder.
    copies, tells : bool
        Whether the images go along, and whether `write` takes `failed` for what it leaves out.
    offer : callable or None
        Returns what a person can choose; such forms take `choices` and `edits`.
    """

    title: str
    write: Callable[..., int]
    file_filter: str = ""
    copies: bool = False
    tells: bool = False
    offer: Callable[..., KlarfOffer | None] | None = None


_COCO, _CSV = "COCO JSON (*.json)", "CSV (*.csv)"
EXPORT_FORMATS: dict[str, ExportFormat] = {
    "png": ExportFormat("PNG masks", partial(export_masks, suffix=".png")),
    "tif": ExportFormat("TIFF masks", partial(export_masks, suffix=".tif")),
    "coco-rle": ExportFormat("COCO JSON, RLE", partial(export_coco, form="rle"), _COCO),
    "coco-polygons": ExportFormat("COCO, polygons", partial(export_coco, form="polygons"), _COCO),
    "carinthia-s": ExportFormat("Carinthia-S layout", export_carinthia, copies=True, tells=True),
    "yolo": ExportFormat("YOLO segmentation", export_yolo, copies=True, tells=True),
    "labelme": ExportFormat("labelme JSON", export_labelme, copies=True, tells=True),
    "class-png": ExportFormat("PNG of class numbers", export_numbers),
    "measurements": ExportFormat("measurements", export_measurements, _CSV),
    "defects": ExportFormat("measurements of every defect", export_defects, _CSV),
    "klarf": ExportFormat("KLARF copy", export_klarf, "KLARF (*)", tells=True, offer=offer_klarf),
}
"""All formats by the name that the command takes; a new one is an entry here."""


def export(
    project: Project,
    chosen: Iterable[ChosenMask],
    target: Path,
    form: str,
    failed: dict[str, str] | None = None,
    **choices: Any,
) -> int:
    """Write masks in one of `EXPORT_FORMATS`.

    Parameters
    ----------
    project, chosen, target
        What of which project goes where.
    form : str
        Key of `EXPORT_FORMATS`.
    failed : dict, optional
        Of `chosen_masks`; gets the images that cannot be read, too.
    **choices
        What the format alone takes.

    Returns
    -------
    int
        How many.

    Raises
    ------
    InputError
        When there is none, the format is unknown, or `target` cannot be written.
    """
    if form not in EXPORT_FORMATS:
        raise InputError(f"{form}: no such format; choose one of {', '.join(EXPORT_FORMATS)}")
    entry, note = EXPORT_FORMATS[form], ExportNote(project, chosen)
    count = entry.write(project, note, target, *([failed] if entry.tells else []), **choices)
    if not count:
        none = f"{project.folder}: no mask is accepted, corrected or without defect"
        raise InputError(all_reasons((failed or {}).values()) or none)
    return note.write(target, form, count)
