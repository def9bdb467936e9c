"""Text and tables as any program writes them, and the one place that writes tables.

All that are written are quoted alike, and leave out alike what is not known.
"""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.types import InputError
from napari_semxai.types.quantities import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
RFC_4180 = "\r\n"
"""End of a line in reports and surveys, which other programs read; a project's own use "\\n"."""
_LOSSLESS = {"utf-8": "surrogateescape", "utf-16": "surrogatepass", "utf-32": "surrogatepass"}
_MOST_SAID = 3
# Steps from one number to the next that some products and sums of rounded ones are off.
_NOISE = 8
_DELIMITERS = ";,\t"
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?[;,\t]*\r?\n', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes
    ----------
    path : Path
        Of its file.
    header : tuple of str
        Names of the columns as they are written.
    rows : tuple of (int, list of str)
        Each with the line that it begins on, counted from 1; lines without any text are left out.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]

    @property
    def names(self) -> list[str]:
        """Names of the columns in small letters, with underscores for spaces and brackets."""
        return [re.sub(r"[\s_()\[\]]+", "_", one.casefold()).strip("_") for one in self.header]


def decode_text(data: bytes) -> str:
    """Decode text of unknown encoding; see `text_encoding`."""
    mark, encoding = text_encoding(data)
    return data[len(mark) :].decode(encoding, "replace")


def text_encoding(data: bytes) -> tuple[bytes, str]:
    """Return the mark and the encoding of text: by its mark, UTF-8, UTF-16, else as Windows does.

    Text without a mark has b"".
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return mark, encoding
    if data[:2].count(b"\0") == 1:
        return b"", "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    for encoding in ("utf-8", "cp1252"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return b"", encoding
    return b"", "latin-1"


def read_text(path: Path) -> str:
    """Read a text file of any encoding; see `decode_text`.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    try:
        return decode_text(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_table(path: str | Path) -> Table:
    """Read a table that any program wrote, Excel among them.

    Comma, semicolon or tab is told by the line of names, or by a line ``sep=`` above it.

    Raises
    ------
    InputError
        When it cannot be read or is empty.
    """
    path = Path(path)
    # Old programs end a file with Ctrl-Z.
    text = read_text(path).rstrip("\x1a\0")
    # No text has it, and every workbook or archive has it.
    if "\0" in text:
        raise InputError(f"{path}: is no text; save a workbook as CSV, and unpack an archive")
    said = _SEPARATOR_LINE.match(text)
    line = 1 if said else 0
    text = text[said.end() :] if said else text
    names = next((one for one in text.splitlines() if one.strip()), "")
    # By the names alone: cells may hold any of them.
    delimiter = said[1] if said else max(_DELIMITERS, key=names.count)
    rows: list[tuple[int, list[str]]] = []
    # Not line by line: a comment may have lines of its own.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = reader.line_num
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                rows.append((line + start + 1, cells))
            start = reader.line_num
    except (csv.Error, TypeError) as error:
        raise InputError(
            f"{path} line {line + start + 1}: is no row of a table ({error})"
        ) from None
    if not rows:
        raise InputError(f"{path}: is empty")
    return Table(path, tuple(map(str.strip, rows[0][1])), tuple(rows[1:]))


def all_reasons(reasons: Iterable[str]) -> str:
    """Return why nothing is left, for an error of one line: the first reasons, and how many more.

    Examples
    --------
    >>> all_reasons(["a", "b", "c", "d"])
    'a; b; c; and 1 more'
    """
    said = list(dict.fromkeys(reasons))
    more = [f"and {len(said) - _MOST_SAID} more"] if len(said) > _MOST_SAID else []
    return "; ".join(said[:_MOST_SAID] + more)


def cells_by_name(row: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return the cells of a row by the names of their columns.

    Raises
    ------
    InputError
        When it has more cells than there are columns: most often a decimal comma between commas.
    """
    if any(row[len(names) :]):
        raise InputError(f"{len(row)} values for {len(names)} columns; a decimal comma in quotes?")
    return dict(zip(names, row, strict=False))


def size_of(text: str, column: str, unit: float = 1.0) -> float | None:
    """Return the metres of a cell that holds the edge of a pixel; None where it is empty.

    Parameters
    ----------
    text, column : str
        The cell, and the name of its column.
    unit : float
        How many of the column's units are a metre.

    Raises
    ------
    InputError
        When it is no number above 0.
    """
    if not text.strip():
        return None
    try:
        size = parse_number(text) / unit
    except InputError as error:
        raise InputError(f"{column}: {error}") from None
    if not size > 0:
        raise InputError(f"{column}: “{text}” is not more than 0")
    return size


def write_table(
    path: str | Path,
    columns: Sequence[str],
    rows: Iterable[Iterable[Any]],
    *,
    delimiter: str = ",",
    line_end: str = "\n",
) -> None:
    """Write a CSV file with a line of names, atomically; None and NaN are empty fields.

    What sets a number apart from one with 12 digits is written only where it is more than the
    noise of calculating with binary numbers: 52.5 for 52.50000000000001, but all of 1/3.
    """
    shown = ([_without_noise(value) for value in row] for row in rows)
    text = table_text([columns, *shown], delimiter=delimiter, line_end=line_end)
    with atomic_write(path) as file:
        file.write(table_bytes(text))


def table_bytes(text: str) -> bytes:
    """Return the text of a table as files hold it."""
    return text.encode("utf-8", "backslashreplace")


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    """Write records with the union of their fields as columns, as a report."""
    columns = list(dict.fromkeys(name for record in records for name in record))
    rows = ([record.get(name) for name in columns] for record in records)
    write_table(path, columns, rows, line_end=RFC_4180)
    return path


def table_text(
    rows: Iterable[Iterable[Any]], *, delimiter: str = ",", line_end: str = "\n"
) -> str:
    """Return rows as text, quoted where needed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _without_noise(value: Any) -> Any:
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    short = float(f"{value:.12g}")
    return short if abs(short - value) <= _NOISE * math.ulp(value) else value


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # A table with it would be taken for no text.
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return "" if isinstance(value, float) and math.isnan(value) else value


def lossless_text(path: Path, data: bytes) -> tuple[str, Callable[[str], bytes]]:
    """Return the text of a file's bytes, and what makes bytes of such a text again.

    Raises
    ------
    InputError
        When that would make other bytes of it; names `path`.
    """
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
