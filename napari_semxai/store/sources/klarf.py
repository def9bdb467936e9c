"""KLARF, the defect list of inspection tools: read by column names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from napari_semxai.store.disk.tables import all_reasons, decode_text, read_text, size_of
from napari_semxai.store.sources.klarf_grammar import (
    IMAGE_COUNT,
    IMAGE_LIST,
    DefectRow,
    NestedParser,
    Token,
    class_names,
    flat_rows,
    is_number,
    statements_of,
    tokens_of,
)
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_semxai.store.sources.klarf_grammar import Block

_MICRO, _NANO = 1e-6, 1e-9
_START = 4096
AREA = "areapertest"
WAFER_FIELDS = (
    "samplesize",
    "diepitch",
    "samplecenterlocation",
    "orientationmarklocation",
    "sampletestplan",
    AREA,
)
"""What the flat grammar says of a wafer, in small letters; kept beside each defect."""
_REFERENCE = re.compile(r"\bref(erence)?\b", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?=\.?\d)\d*(?:(\.)(\d*))?(?:([eE])[+-]?(\d+))?")
_PIXEL_SIZE_COLUMNS = ("PIXELSIZE", "PIXELSIZEX")


@dataclass(frozen=True, slots=True)
class KlarfDefect:
    """One defect.

    Attributes
    ----------
    lot, wafer, defect : str
        Identifiers.
    label, label_source : str
        Class number, and the column that it came from.
    images : tuple of (str, int)
        File as the KLARF names it, and image number in it, counted from 1.
    references : tuple of (str, int)
        The same of pictures to compare these with.
    pixel_size : float or None
        Metres, where a column tells.
    line : int
        Of the file, counted from 1.
    cells : mapping
        Column in capitals to the word in it, without the image list.
    wafer_fields : mapping
        What the file says of the whole wafer: keyword in small letters to its values.
    """

    lot: str
    wafer: str
    defect: str
    label: str
    label_source: str
    images: tuple[tuple[str, int], ...]
    references: tuple[tuple[str, int], ...]
    pixel_size: float | None
    line: int
    cells: Mapping[str, Token]
    wafer_fields: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Klarf:
    """What a KLARF file says of its defects.

    Attributes
    ----------
    version : str
        For example "1.2".
    defects : tuple of KlarfDefect
        In the order of the file.
    class_names : mapping
        Class number to the site's name for it.
    unit : float
        Metres of the lengths in it.
    problems : tuple of str
        What could not be read, and where it stands.
    """

    version: str
    defects: tuple[KlarfDefect, ...]
    class_names: Mapping[str, str]
    unit: float
    problems: tuple[str, ...] = ()


def is_klarf(path: Path) -> bool:
    """Whether a file begins as a KLARF does, whatever it is called."""
    try:
        with path.open("rb") as file:
            start = tokens_of(decode_text(file.read(_START)))[:2]
    except OSError:
        return False
    words = [token.text.casefold() for token in start]
    return words[:1] == ["fileversion"] or words == ["record", "filerecord"]


def read_klarf(path: Path) -> Klarf:
    """Read a KLARF file of version 1.1, 1.2 or 1.8; see `parse_klarf`."""
    # Some tools fill their fields up with it.
    return parse_klarf(path, read_text(path).replace("\0", " "))


def parse_klarf(path: Path, text: str) -> Klarf:
    """Read the text of a KLARF file.

    The grammar decides, not the version that the file names.

    Raises
    ------
    InputError
        When it cannot be read, or a line does not fit the grammar.
    """
    tokens = tokens_of(text)
    try:
        if tokens and tokens[0].text.casefold() == "record":
            parser = NestedParser(tokens)
            klarf = _nested(parser.parse())
            problems = [*klarf.problems, *[parser.cut] * bool(parser.cut)]
            klarf = replace(klarf, problems=tuple(problems))
        else:
            klarf = _Flat().read(tokens)
        # Of a file that is damaged in part, what is whole is wanted; of nothing, the reasons.
        if klarf.problems and not klarf.defects:
            raise ValueError(all_reasons(klarf.problems))
    except ValueError as error:
        raise InputError(f"{path}: is no complete KLARF file ({error})") from error
    return klarf


class _Flat:
    """Statements of the flat grammar, one after the other."""

    def __init__(self) -> None:
        self._version = self._lot = self._wafer = ""
        self._columns: list[str] = []
        self._class_names: dict[str, str] = {}
        # The same value for all rows until a wafer says something else.
        self._fields: dict[str, Sequence[str]] = {}
        self._areas: list[str] = []
        self._defects: list[KlarfDefect] = []
        # Which of them say neither how many images they have nor which.
        self._uncounted: set[int] = set()
        # Every image file that is named, with the number of defects before it.
        self._files: list[tuple[str, int]] = []
        self._problems: list[str] = []

    def read(self, tokens: Sequence[Token]) -> Klarf:
        keyword = ""
        for statement in statements_of(tokens):
            if not is_number(statement[0].text):
                keyword = statement[0].text.casefold()
                self._statement(keyword, statement[1:])
            elif keyword == "defectlist":
                self._rows(statement)
            # What transfer programs append is no part of the list.
            if keyword == "endoffile":
                break
        if not self._version:
            raise ValueError("there is no FileVersion")
        if keyword != "endoffile":
            self._problems.append(f"{tokens[-1].place}: the file is cut off; EndOfFile is missing")
        defects = tuple(self._with_files())
        return Klarf(self._version, defects, self._class_names, _MICRO, tuple(self._problems))

    def _statement(self, keyword: str, values: list[Token]) -> None:
        texts = [token.text for token in values]
        if keyword == AREA:
            # One of each test of the wafer.
            self._areas = [*self._areas, *texts]
            self._fields = {**self._fields, keyword: self._areas}
        elif keyword in WAFER_FIELDS:
            self._fields = {**self._fields, keyword: texts}
        elif keyword == "fileversion":
            self._version = ".".join(texts)
        elif keyword == "lotid":
            self._lot = " ".join(texts)
        elif keyword == "waferid":
            self._wafer, self._areas = " ".join(texts), []
        elif keyword == "tifffilename":
            self._files.append((" ".join(texts), len(self._defects)))
        elif keyword == "classlookup":
            names, wrong = class_names(values[1:])
            self._class_names |= names
            self._problems += [f"{place} in ClassLookup; names need quotes" for place in wrong]
        elif keyword == "defectrecordspec":
            # Some programs leave out how many there are.
            columns = texts[1:] if texts and is_number(texts[0]) else texts
            self._columns = [text.upper() for text in columns]
        elif keyword == "defectlist" and values:
            self._rows(values)

    def _rows(self, values: list[Token]) -> None:
        if not self._columns:
            raise ValueError(f"{values[0].place}: DefectList without DefectRecordSpec")
        # What follows the keyword, or ";", begins a row wherever it stands.
        begin = replace(values[0], first=True)
        rows, cut = flat_rows([begin, *values[1:]], self._columns)
        self._problems += [cut] * bool(cut)
        for row in rows:
            try:
                defect = _defect(row, self._lot, self._wafer, _MICRO, self._fields)
            except ValueError as error:
                self._problems.append(f"line {row.line}: {error}")
                continue
            if _images_of(row) is None:
                self._uncounted.add(len(self._defects))
            self._defects.append(defect)

    def _with_files(self) -> Iterator[KlarfDefect]:
        """Give every image number its file.

        One file holds the images of all defects; several files belong to one defect each, named
        before its row or, where the first comes after the first row, behind it.
        """
        behind = bool(self._files) and self._files[0][1] > 0
        for index, defect in enumerate(self._defects):
            name = self._file_of(index, behind)
            numbers = [number for _, number in defect.images]
            if index in self._uncounted and len(self._files) > 1:
                numbers = [1]
            images = tuple((name, number) for number in numbers) if name else ()
            yield replace(defect, images=images)

    def _file_of(self, index: int, behind: bool) -> str:
        if len(self._files) == 1:
            return self._files[0][0]
        if behind:
            return next((name for name, before in self._files if before > index), "")
        return next((name for name, before in reversed(self._files) if before <= index), "")


def _nested(root: Block) -> Klarf:
    file = next((block for block in root.blocks if block.kind == "filerecord"), None)
    if file is None:
        raise ValueError("there is no FileRecord")
    defects: list[KlarfDefect] = []
    names: dict[str, str] = {}
    problems: list[str] = []
    for lot in _blocks(file, "lotrecord"):
        for owner in (file, lot, *lot.blocks):
            for row in owner.lists.get("classlookuplist", ()):
                if {"CLASSNUMBER", "CLASSNAME"} <= row.values.keys():
                    names[row.values["CLASSNUMBER"]] = row.values["CLASSNAME"]
        for wafer in _blocks(lot, "waferrecord"):
            tests = [test.fields.get(AREA, []) for test in _blocks(wafer, "testrecord")]
            fields = {**lot.fields, AREA: [*chain(*tests)], **wafer.fields}
            for row in wafer.lists.get("defectlist", ()):
                try:
                    defects.append(_defect(row, lot.name, wafer.name, _NANO, fields))
                except ValueError as error:
                    problems.append(f"line {row.line}: {error}")
    return Klarf(file.name, tuple(defects), names, _NANO, tuple(problems))


def _blocks(parent: Block, kind: str) -> list[Block]:
    return [block for block in parent.blocks if block.kind == kind]


def _defect(
    row: DefectRow, lot: str, wafer: str, unit: float, fields: Mapping[str, Sequence[str]]
) -> KlarfDefect:
    values = row.values
    if "DEFECTID" not in values:
        raise ValueError("the defect list has no column DEFECTID")
    label, source = _class_of(values)
    images, references = _images_of(row) or ((), ())
    return KlarfDefect(
        lot=lot,
        wafer=wafer,
        defect=values["DEFECTID"],
        label=label,
        label_source=source,
        images=images,
        references=references,
        pixel_size=_pixel_size(values, unit),
        line=row.line,
        cells=row.cells,
        wafer_fields=fields,
    )


def _images_of(
    row: DefectRow,
) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]] | None:
    """Return a row's images and references: none where it counts 0; None where it says nothing."""
    count = row.cells[IMAGE_COUNT].text if IMAGE_COUNT in row.cells else ""
    if is_number(count) and float(count) == 0:
        return (), ()
    if row.images is None:
        return None
    found: tuple[list[tuple[str, int]], list[tuple[str, int]]] = [], []
    for name, number, kind in row.images:
        if not number.lstrip("-").isdecimal():
            raise ValueError(f"{IMAGE_LIST}: “{number}” is no image number")
        found[_REFERENCE.search(kind) is not None].append((name, int(number)))
    images, references = map(tuple, found)
    # Alone they are what there is to look at.
    return (images, references) if images else (references, ())


def _class_of(values: Mapping[str, str]) -> tuple[str, str]:
    """Return the class a review gave, where one did; 0 says that none did."""
    # Tools number their classifiers: the lowest that says something counts.
    automatic = sorted(
        name for name in values if name.startswith("AUTO") and name.endswith("SEMCLASS")
    )
    for name in ("MANSEMCLASS", *automatic):
        if values.get(name, "0") not in ("0", "-1", ""):
            return values[name], name
    return values.get("CLASSNUMBER", ""), "CLASSNUMBER" if "CLASSNUMBER" in values else ""


def _pixel_size(values: Mapping[str, str], unit: float) -> float | None:
    for name in _PIXEL_SIZE_COLUMNS:
        # Tools that do not know the size write 0.
        if name in values and not (is_number(values[name]) and float(values[name]) == 0):
            return size_of(values[name], name, round(1 / unit))
    return None


def is_fraction(text: str) -> bool:
    """Whether a word is a number with a point or a power."""
    match = _NUMBER.fullmatch(text)
    return match is not None and bool(match[1] or match[3])


def number_like(value: float, models: list[str]) -> str | None:
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
    model = next((text for text in models if is_fraction(text)), models[0])
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


def same_number(first: str, second: str) -> bool:
    """Whether two words are the same number, or the same word."""
    if is_number(first) and is_number(second):
        return float(first) == float(second)
    return first == second


def is_known(number: str, lookup: Mapping[str, str]) -> bool:
    """Whether a file's class lookup has a number."""
    return any(same_number(number, other) for other in lookup)


def class_number(label: str, name: str, lookup: Mapping[str, str]) -> str:
    """Return the number of a class in a file's lookup, by number or name, else its label."""
    if is_known(label, lookup):
        return label
    called = {text.strip().casefold() for text in (label, name)}
    found = [number for number, text in lookup.items() if text.strip().casefold() in called]
    return found[0] if len(found) == 1 else label
