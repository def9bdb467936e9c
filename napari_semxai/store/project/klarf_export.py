"""Reviews back into a copy of the KLARF file that the images came from.

The copy is the original's bytes with other words in a few cells of its defect list. Nothing is
written anew, so that line ends, encoding, spaces and all that this program does not understand
stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import skimage

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.tables import lossless_text
from napari_semxai.store.project.files import reaching
from napari_semxai.store.project.images import free_place
from napari_semxai.store.project.masks import given_classes
from napari_semxai.store.sources.klarf import (
    class_number,
    is_fraction,
    is_klarf,
    is_known,
    number_like,
    parse_klarf,
    read_klarf,
    same_number,
)
from napari_semxai.store.sources.klarf_grammar import is_number
from napari_semxai.types import InputError, ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_semxai.store.project.project import Project
    from napari_semxai.store.sources.klarf import Klarf, KlarfDefect
    from napari_semxai.types import BoolMask, ChosenMask

    Tell = Callable[[int, int], None]

CLASS_COLUMNS = ("MANSEMCLASS", "CLASSNUMBER")
"""Where a class goes: into the first of these that the file has."""
SIZE_COLUMNS = {"XSIZE": 1, "YSIZE": 1, "DSIZE": 1, "DEFECTAREA": 2}
"""Sizes of the mask by column, and the power of the file's unit that each is in."""


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
        Class, or its name, or "no defect", to the number that stands for it, "" for none; goes
        before the file's class lookup.
    sizes : collection of str
        Those of `SIZE_COLUMNS` that are written, too.
    unknown : bool
        Whether numbers are written that the file's class lookup lacks.
    """

    source: Path | None = None
    column: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    sizes: Collection[str] = ()
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class KlarfEdit:
    """One cell that is another in the copy.

    Attributes
    ----------
    line, start : int
        Counted from 1, and the cell's place in the file's text.
    defect : str
        Its id.
    column, old, new : str
        Which cell, and its text before and after.
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


@dataclass(frozen=True, slots=True)
class KlarfOffer:
    """What a KLARF file lets one choose.

    Attributes
    ----------
    source : Path
        The file.
    columns, sizes : tuple of str
        Where classes can go, the default first; those of `SIZE_COLUMNS` that it has.
    lookup : mapping
        Number to the file's name of a class.
    classes : tuple of (str, str, int, str)
        Label and name of each class of the project, how many reviews gave it, and the number that
        stands for it; "no defect" comes last.
    """

    source: Path
    columns: tuple[str, ...]
    sizes: tuple[str, ...]
    lookup: Mapping[str, str]
    classes: tuple[tuple[str, str, int, str], ...]


def offer_klarf(
    project: Project,
    annotator: str | None = None,
    source: Path | None = None,
    progress: Tell | None = None,
) -> KlarfOffer | None:
    """Return what can be chosen for a copy of a KLARF file; None where the project has none.

    Parameters
    ----------
    project, annotator : Project; str, optional
        Classes are all that have a name, or that a review gave, of the annotator or of anybody.
    source : Path, optional
        As in `KlarfChoices`.
    progress : callable, optional
        Called with the number of images done and all of them.

    Raises
    ------
    InputError
        When a file cannot be read, or `source` is none.
    """
    path = source or Path(project.info.source)
    if source is None and not is_klarf(path):
        return None
    klarf, names = read_klarf(path), project.info.class_names
    counts = given_classes(project, annotator, progress)
    there = {column for defect in klarf.defects for column in defect.cells}
    labels = [*names, *sorted(counts.keys() - names.keys() - {ReviewState.NO_DEFECT})]
    labels.sort(key=lambda one: not counts[one])
    classes = [
        (one, names.get(one, ""), counts[one], _wanted_number(one, names, klarf.class_names, {}))
        for one in labels
    ]
    return KlarfOffer(
        path,
        (
            *(name for name in CLASS_COLUMNS if name in there),
            *sorted(name for name in there - {*CLASS_COLUMNS} if "CLASS" in name),
        ),
        tuple(name for name in SIZE_COLUMNS if name in there),
        klarf.class_names,
        (*classes, (ReviewState.NO_DEFECT, "", counts[ReviewState.NO_DEFECT], "")),
    )


def _wanted_number(
    label: str, names: Mapping[str, str], lookup: Mapping[str, str], said: Mapping[str, str]
) -> str:
    """Return what a person says, else the file's class lookup."""
    name = names.get(label, label)
    told = [said[one] for one in (label, name) if one in said]
    return told[0] if told else class_number(label, name, lookup)


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
    choices, edits : KlarfChoices; list, optional
        What is written, and what gets every cell that changes, in the order of the file.

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
    text, encode = lossless_text(source, data)
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
                if column in defect.cells and column in self._choices.sizes:
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
        said, lookup = self._choices.numbers, self._klarf.class_names
        number = _wanted_number(label, self._names, lookup, said)
        if is_number(number) and (self._choices.unknown or is_known(number, lookup)):
            return number
        # Somebody wants it to stay as it is.
        if not number:
            return None
        called = f"{label} ({self._names[label]})" if label in self._names else label
        self._leave(
            views[0].image,
            f"class {called} is not in the file's class lookup, so it is not written; choose its "
            "number (--class-map), or have numbers written that the lookup lacks "
            "(--unknown-classes)",
        )
        return None

    def _edit(
        self, view: _View, defect: KlarfDefect, column: str, value: float
    ) -> Iterator[KlarfEdit]:
        cell = defect.cells[column]
        new = number_like(value, [cell.text, *self._others(column)])
        if new is None or (value > 0 and float(new) == 0):
            why = "is no number" if new is None else f"has no digits for {value:.3g}"
            self._leave(view.image, f"line {cell.line}: {column} “{cell.text}” {why}")
        elif not same_number(new, cell.text):
            yield KlarfEdit(cell.line, defect.defect, column, cell.text, new, cell.start)

    def _others(self, column: str) -> list[str]:
        """Return the first cell of a column that is no whole number, where there is one."""
        if column not in self._models:
            cells = (one.cells[column].text for one in self._klarf.defects if column in one.cells)
            self._models[column] = [text for text in cells if is_fraction(text)][:1]
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
    return {name: float(value) * pixel ** SIZE_COLUMNS[name] for name, value in pixels.items()}
