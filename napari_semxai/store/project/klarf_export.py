"""Reviews back into a copy of the KLARF file that the images came from.

The copy is the original's bytes with other words in a few cells of its defect list. Nothing is
written anew, so that line ends, encoding, spaces and all that this program does not understand
stay as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import skimage

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.tables import text_encoding
from napari_semxai.store.project.files import reaching
from napari_semxai.store.project.images import free_place
from napari_semxai.store.sources.klarf import is_klarf, parse_klarf
from napari_semxai.store.sources.klarf_grammar import is_number
from napari_semxai.types import InputError, ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_semxai.store.project.project import Project
    from napari_semxai.store.sources.klarf import Klarf, KlarfDefect
    from napari_semxai.types import BoolMask, ChosenMask

CLASS_COLUMNS = ("MANSEMCLASS", "CLASSNUMBER")
"""Where a class goes: into the first of these that the file has."""
# Size of the mask by column, and the power of the file's unit that it is in.
_SIZE_COLUMNS = {"XSIZE": 1, "YSIZE": 1, "DSIZE": 1, "DEFECTAREA": 2}
_NUMBER = re.compile(r"[+-]?(?=\.?\d)\d*(?:(\.)(\d*))?(?:([eE])[+-]?(\d+))?")
_LOSSLESS = {"utf-8": "surrogateescape", "utf-16": "surrogatepass", "utf-32": "surrogatepass"}


@dataclass(frozen=True, slots=True)
class KlarfChoices:
    """What is written into a copy of a KLARF file.

    Attributes
    ----------
    source : Path or None
        The KLARF file; None for the one that the project was made from.
    column : str
        Where classes go; "" for the first of `CLASS_COLUMNS` that the file has.
    numbers : mapping
        Class, or its name, or "no defect", to the number that stands for it; goes before the
        file's class lookup.
    sizes : bool
        Whether sizes and areas are written, too.
    unknown : bool
        Whether numbers are written that the file's class lookup lacks.
    """

    source: Path | None = None
    column: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    sizes: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class KlarfEdit:
    """One cell that is another in the copy.

    Attributes
    ----------
    line : int
        Counted from 1.
    defect : str
        Its id.
    column, old, new : str
        Which cell, and its text before and after.
    start : int
        Place of the cell in the file's text.
    """

    line: int
    defect: str
    column: str
    old: str
    new: str
    start: int

    def __str__(self) -> str:
        """Say it in one line."""
        return f"line {self.line}, defect {self.defect}: {self.column} {self.old} → {self.new}"


def export_klarf(
    project: Project,
    chosen: Iterable[ChosenMask],
    target: Path,
    failed: dict[str, str] | None = None,
    choices: KlarfChoices | None = None,
    edits: list[KlarfEdit] | None = None,
) -> int:
    """Write a copy of a KLARF file in which reviewed defects have their class, and maybe size.

    A class is written where a reviewer gave one. Defects are found by lot, wafer and id.

    Parameters
    ----------
    project, chosen, target
        Whose reviews go where.
    failed : dict, optional
        Gets the reason of what is left as it was; without it the first one raises.
    choices : KlarfChoices, optional
        What is written.
    edits : list, optional
        Gets every cell that changes, in the order of the file.

    Returns
    -------
    int
        Masks whose defect is in the file.

    Raises
    ------
    InputError
        When there is no KLARF file, it has no column for a class, or `target` is an original or
        another kind of file.
    """
    choices = choices or KlarfChoices()
    source = choices.source or Path(project.info.source)
    if not is_klarf(source):
        what = "is no KLARF file" if source.exists() else "is not there"
        raise InputError(f"{source}: {what}; name the file to copy (--klarf FILE)")
    _check_target(project, source, target)
    with reaching(source):
        data = source.read_bytes()
    text, encode = _lossless(source, data)
    found = _Reviews(project, source, parse_klarf(source, text), choices)
    for one in chosen:
        found.add(one)
    made = sorted(found.edits(), key=lambda edit: edit.start)
    if failed is None and found.failed:
        raise InputError(next(iter(found.failed.values())))
    if found.count:
        with atomic_write(target) as file:
            file.write(encode(_spliced(text, made)))
    if failed is not None:
        failed.update(found.failed)
    if edits is not None:
        edits.extend(made)
    return found.count


def _check_target(project: Project, source: Path, target: Path) -> None:
    free_place(project.originals, target)
    if not target.exists():
        return
    # A hard link has another real path, and replacing it would be harmless, but looks wrong.
    if os.path.samefile(source, target):
        raise InputError(f"{target}: is the original; choose another name for the copy")
    if target.is_file() and not is_klarf(target):
        raise InputError(f"{target}: is there and no KLARF file; choose another name")


def _lossless(path: Path, data: bytes) -> tuple[str, Callable[[str], bytes]]:
    """Return the text of a file, and what makes bytes of such a text again."""
    mark, encoding = text_encoding(data)
    errors = next((way for name, way in _LOSSLESS.items() if encoding.startswith(name)), "strict")

    def encode(text: str) -> bytes:
        return mark + text.encode(encoding, errors) + rest

    width = {"utf-16": 2, "utf-32": 4}.get(encoding[:6], 1)
    end = len(data) - (len(data) - len(mark)) % width
    rest = data[end:]
    try:
        text = data[len(mark) : end].decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is damaged {encoding} text ({error.reason})") from error
    if encode(text) != data:
        raise InputError(f"{path}: is damaged {encoding} text, which no copy could keep as it is")
    return text, encode


def _spliced(text: str, edits: Iterable[KlarfEdit]) -> str:
    parts, place = [], 0
    for edit in edits:
        parts += [text[place : edit.start], edit.new]
        place = edit.start + len(edit.old)
    return "".join([*parts, text[place:]])


@dataclass(frozen=True, slots=True)
class _View:
    """What one image says of its defect."""

    image: str
    label: str
    state: str
    sizes: Mapping[str, float] | None


class _Reviews:
    """Gathers reviews by defect, and tells which cells they change."""

    def __init__(
        self, project: Project, source: Path, klarf: Klarf, choices: KlarfChoices
    ) -> None:
        self._names, self._source = project.info.class_names, source
        self._klarf, self._choices = klarf, choices
        self._defects: dict[tuple[str, ...], list[KlarfDefect]] = {}
        for defect in klarf.defects:
            key = (defect.lot, defect.wafer, defect.defect)
            self._defects.setdefault(key, []).append(defect)
        self._column = self._class_column()
        self._views: dict[tuple[str, ...], list[_View]] = {}
        self._models: dict[str, list[str]] = {}
        self.failed: dict[str, str] = {}
        self.count = 0

    def add(self, one: ChosenMask) -> None:
        """Take a review; what nobody looked at says nothing."""
        if one.state == ReviewState.CANDIDATE:
            return
        image = one.image
        key = (image.lot, image.wafer, image.defect)
        rows = len(self._defects.get(key, ()))
        if rows != 1:
            there = "has several rows of" if rows else "has no"
            self._leave(image.name, f"{there} defect {image.defect} of {image.lot} {image.wafer}")
            return
        self.count += 1
        # Any other class is the file's own.
        label = one.label if one.label_source in one.annotators else ""
        # A mask that was rejected or is unsure has no size.
        measured = one.state not in (ReviewState.REJECTED, ReviewState.UNSURE) and one.mask.any()
        sizes = None
        if self._choices.sizes and measured:
            if image.pixel_size is None:
                self._leave(image.name, "no size is written: the pixel size is not known")
            else:
                sizes = _sizes(one.mask, image.pixel_size / self._klarf.unit)
        view = _View(image.name, label, one.state, sizes)
        self._views.setdefault(key, []).append(view)

    def edits(self) -> Iterator[KlarfEdit]:
        """Yield the cells that change."""
        for key, views in self._views.items():
            defect = self._defects[key][0]
            number = self._number_of(views)
            if number is not None:
                yield from self._edit(views[0], defect, self._column, float(number))
            # Of several images of a defect the first that has a size.
            sizes = next((view.sizes for view in views if view.sizes is not None), {})
            for column, value in sizes.items():
                if column in defect.cells:
                    yield from self._edit(views[0], defect, column, value)

    def _class_column(self) -> str:
        there = {column for defect in self._klarf.defects for column in defect.cells}
        wanted = self._choices.column.upper()
        found = next((name for name in (wanted, *CLASS_COLUMNS) if name in there), "")
        if not found or wanted not in ("", found):
            columns = ", ".join(sorted(there))
            raise InputError(
                f"{self._source}: has no column {wanted or ' or '.join(CLASS_COLUMNS)} for a "
                f"class; there are {columns}"
            )
        return found

    def _number_of(self, views: list[_View]) -> str | None:
        """Return the number of a defect's class; None where it stays as it is."""
        labels = dict.fromkeys(view.label for view in views if view.label)
        if len(labels) > 1:
            self._leave(views[0].image, f"its images have the classes {' and '.join(labels)}")
            return None
        if not labels:
            empty = all(view.state == ReviewState.NO_DEFECT for view in views)
            return self._choices.numbers.get(ReviewState.NO_DEFECT) if empty else None
        label = next(iter(labels))
        number = self._wanted_number(label)
        known = any(_same(number, other) for other in self._klarf.class_names)
        if is_number(number) and (known or self._choices.unknown):
            return number
        called = f"{label} ({self._names[label]})" if label in self._names else label
        self._leave(
            views[0].image,
            f"class {called} is not in the file's class lookup, so it is not written; give its "
            "number (--class-map), or write numbers that the lookup lacks (--unknown-classes)",
        )
        return None

    def _wanted_number(self, label: str) -> str:
        """Return what a person says, else the lookup's number or name, else the label itself."""
        names = (label, self._names.get(label, label))
        said = self._choices.numbers
        for name in names:
            if name in said:
                return said[name]
        lookup = self._klarf.class_names
        if any(_same(label, number) for number in lookup):
            return label
        called = {name.strip().casefold() for name in names}
        found = [number for number, name in lookup.items() if name.strip().casefold() in called]
        return found[0] if len(found) == 1 else label

    def _edit(
        self, view: _View, defect: KlarfDefect, column: str, value: float
    ) -> Iterator[KlarfEdit]:
        cell = defect.cells[column]
        new = _like(value, [cell.text, *self._others(column)])
        if new is None or (value > 0 and float(new) == 0):
            why = "is no number" if new is None else f"has no digits for {value:.3g}"
            self._leave(view.image, f"line {cell.line}: {column} “{cell.text}” {why}")
        elif not _same(new, cell.text):
            yield KlarfEdit(cell.line, defect.defect, column, cell.text, new, cell.start)

    def _others(self, column: str) -> list[str]:
        """Return the first cell of a column that is no whole number, where there is one."""
        if column not in self._models:
            cells = (one.cells[column].text for one in self._klarf.defects if column in one.cells)
            self._models[column] = [text for text in cells if _is_fraction(text)][:1]
        return self._models[column]

    def _leave(self, image: str, why: str) -> None:
        said = f"{self._source}: {image}: {why}"
        before = self.failed.get(image)
        self.failed[image] = f"{before}; {why}" if before else said


def _sizes(mask: BoolMask, pixel: float) -> dict[str, float]:
    """Return size and area by column, in the file's unit; `pixel` is an edge in that unit."""
    region = skimage.measure.regionprops(mask.astype(np.uint8))[0]
    row0, column0, row1, column1 = region.bbox
    pixels = {
        "XSIZE": column1 - column0,
        "YSIZE": row1 - row0,
        # In files of tools it is a little more than the longer side, less than the diagonal.
        "DSIZE": region.feret_diameter_max,
        "DEFECTAREA": region.area,
    }
    return {name: float(value) * pixel ** _SIZE_COLUMNS[name] for name, value in pixels.items()}


def _is_fraction(text: str) -> bool:
    match = _NUMBER.fullmatch(text)
    return match is not None and bool(match[1] or match[3])


def _like(value: float, models: list[str]) -> str | None:
    """Return a number as the file writes such numbers; None where its cell holds none.

    Parameters
    ----------
    value : float
        What is written.
    models : list of str
        The cell as it is, then other cells of its column: a whole number may be a fraction
        without digits.
    """
    if not _NUMBER.fullmatch(models[0]):
        return None
    model = next((text for text in models if _is_fraction(text)), models[0])
    match = _NUMBER.fullmatch(model)
    decimals = len(match[2] or "") if match else 0
    if match and match[3]:
        mantissa, _, power = f"{value:.{decimals}{match[3]}}".partition(match[3])
        return f"{mantissa}{match[3]}{power[0]}{power[1:].lstrip('0').zfill(len(match[4]))}"
    if match and match[1]:
        written = f"{value:.{decimals}f}" + "." * (decimals == 0)
        # As some programs write it: ".5".
        return written.removeprefix("0") if model.lstrip("+-").startswith(".") else written
    # Some tools fill up with zeros.
    return str(round(value)).zfill(len(model) if model.startswith("0") else 1)


def _same(first: str, second: str) -> bool:
    if is_number(first) and is_number(second):
        return float(first) == float(second)
    return first == second
