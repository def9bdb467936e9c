"""The two grammars of KLARF files: flat statements (1.1, 1.2) and nested records (1.8)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row: TypeAlias = dict[str, str]
ImageEntry: TypeAlias = tuple[str, str, str]
_TOKEN = re.compile(r'"[^"]*"|[{};,]|[^\s{};,"]+')
_COMMENTS = ("#", "//")
IMAGE_COUNT, IMAGE_LIST = "IMAGECOUNT", "IMAGELIST"


@dataclass(frozen=True, slots=True)
class Token:
    """One word, quoted text without its quotes, or one of ``{ } ; ,``.

    Attributes
    ----------
    text : str
        The word.
    line, column : int
        Counted from 1.
    quoted, first : bool
        Whether it stood in quotes, and whether it is the first of its line.
    start : int
        Place of `text` in the file's text, counted from 0.
    """

    text: str
    line: int
    column: int
    quoted: bool
    first: bool
    start: int

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"line {self.line}, column {self.column}"

    def is_mark(self, mark: str) -> bool:
        """Whether this is punctuation rather than the same sign in quotes."""
        return self.text == mark and not self.quoted


@dataclass(frozen=True, slots=True)
class DefectRow:
    """One line of a defect list: column name in capitals to its word, and its images.

    Attributes
    ----------
    cells : dict
        Without the image list.
    images : tuple of (str, str, str), or None
        File name ("" where the file says it elsewhere), image number, and what kind of image the
        nested grammar calls it; None where the list has no column for it.
    line : int
        Counted from 1.
    """

    cells: dict[str, Token]
    images: tuple[ImageEntry, ...] | None
    line: int

    @property
    def values(self) -> Row:
        """The text of each cell."""
        return {name: token.text for name, token in self.cells.items()}


@dataclass(slots=True)
class Block:
    """A record of the nested grammar."""

    kind: str
    name: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    lists: dict[str, list[DefectRow]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)


def tokens_of(text: str) -> list[Token]:
    """Split a file into words and punctuation; lines of comment are left out."""
    found = []
    begin = 0
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        first = True
        matches = () if line.lstrip().startswith(_COMMENTS) else _TOKEN.finditer(line)
        for match in matches:
            word, column = match[0], match.start() + 1
            quoted = word.startswith('"')
            start = begin + match.start() + quoted
            word = word[1:-1] if quoted else word
            found.append(Token(word, number, column, quoted, first, start))
            first = False
        begin += len(line)
    return found


def statements_of(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the statements of the flat grammar, each ended by ``;``."""
    statement: list[Token] = []
    for token in tokens:
        if token.is_mark(";"):
            if statement:
                yield statement
            statement = []
        else:
            statement.append(token)
    if statement:
        yield statement


class CutOffError(ValueError):
    """The file ends before what it began."""


def flat_rows(tokens: Sequence[Token], columns: Sequence[str]) -> tuple[list[DefectRow], str]:
    """Split a defect list of the flat grammar into its rows.

    The image list holds pairs of image number and type; most programs write their count first,
    some only in IMAGECOUNT. It may go on over the next lines; every row begins a line.

    Returns
    -------
    list of DefectRow, str
        The whole rows, and what is wrong where the last one is cut off, else "".

    Raises
    ------
    ValueError
        When the words do not make whole rows either way.
    """
    readings = [_read_rows(tokens, columns, counted) for counted in (True, False)]
    for rows, error in readings:
        if error is None:
            return rows, ""
    # The way that went further says best what is wrong.
    rows, error = max(readings, key=lambda reading: len(reading[0]))
    if isinstance(error, CutOffError) and rows:
        return rows, str(error)
    raise ValueError(
        f"{error}; the rows of the defect list do not fit the {len(columns)} columns of "
        "DefectRecordSpec"
    )


def _read_rows(
    tokens: Sequence[Token], columns: Sequence[str], counted: bool
) -> tuple[list[DefectRow], ValueError | None]:
    rows: list[DefectRow] = []
    try:
        # Not list(): what comes before an error is wanted, too.
        rows.extend(_rows(tokens, columns, counted))
    except ValueError as error:
        return rows, error
    return rows, None


def _rows(tokens: Sequence[Token], columns: Sequence[str], counted: bool) -> Iterator[DefectRow]:
    place = 0
    while place < len(tokens):
        begin, start = place, tokens[place]
        if not start.first:
            raise ValueError(f"{start.place}: “{start.text}” begins a row within a line")
        cells: dict[str, Token] = {}
        images: tuple[ImageEntry, ...] | None = None
        for column in columns:
            if column == IMAGE_LIST:
                said = cells[IMAGE_COUNT].text if IMAGE_COUNT in cells else "0"
                images, place = _image_numbers(tokens, place, said, counted)
            else:
                word = _at(tokens, place, column)
                # A decimal comma would become a value of its own, and shift the rest of the row.
                if not word.quoted and word.text in "{},":
                    raise ValueError(f"{word.place}: “{word.text}” where {column} belongs")
                cells[column] = word
                place += 1
        # Else the same word would begin rows for ever.
        if place == begin:
            raise ValueError(f"{start.place}: the columns leave no word to a row")
        yield DefectRow(cells, images, start.line)


def _at(tokens: Sequence[Token], place: int, column: str) -> Token:
    if place < len(tokens):
        return tokens[place]
    last = tokens[-1]
    raise CutOffError(f"{last.place}: the row is cut off before its {column}")


def _image_numbers(
    tokens: Sequence[Token], place: int, said: str, counted: bool
) -> tuple[tuple[ImageEntry, ...], int]:
    # A row without images may leave the list away, even where others count theirs.
    if said == "0" and (place >= len(tokens) or tokens[place].first):
        return (), place
    if counted:
        count, place = _count(_at(tokens, place, IMAGE_LIST)), place + 1
    elif not said.isdecimal():
        raise ValueError(f"{tokens[place - 1].place}: {IMAGE_COUNT} “{said}” is no whole number")
    else:
        count = int(said)
    end = place + 2 * count
    if end > len(tokens):
        raise CutOffError(f"{tokens[-1].place}: the row is cut off before its {IMAGE_LIST} ends")
    # What the second number says differs from site to site.
    return tuple(("", tokens[at].text, "") for at in range(place, end, 2)), end


def _count(token: Token) -> int:
    if not token.text.isdecimal():
        raise ValueError(f"{token.place}: “{token.text}” is no number of images")
    return int(token.text)


def class_names(tokens: Sequence[Token]) -> tuple[Row, list[str]]:
    """Return the names of a class lookup by class number, and what is wrong with it.

    Parameters
    ----------
    tokens : sequence of Token
        Its words after the count: a number and a name in turn. A number without a name is a hole.
    """
    names: Row = {}
    wrong: list[str] = []
    place = 0
    while place < len(tokens):
        number = tokens[place]
        place += 1
        if number.quoted or not is_number(number.text):
            if not wrong or number.first:
                wrong.append(f"{number.place}: “{number.text}” instead of a class number")
        elif place < len(tokens) and not tokens[place].first:
            names[number.text] = tokens[place].text
            place += 1
    return names, wrong


def is_number(text: str) -> bool:
    """Whether a word is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


class NestedParser:
    """Reads the nested grammar into blocks.

    Parameters
    ----------
    tokens : sequence of Token
        The whole file.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self.cut = ""
        """Where the file is cut off, and how; "" where it is whole."""

    def parse(self) -> Block:
        """Return the whole file as one block; ValueError names the line that is wrong."""
        root = Block("file", "")
        try:
            while self._place < len(self._tokens):
                if self._peek().casefold() == "endoffile":
                    break
                self._member(root)
        except IndexError:
            # What was whole until then is in the blocks already.
            self.cut = f"{self._where()}: the file is cut off"
        except RecursionError:
            raise ValueError(f"{self._where()}: records lie too deep in one another") from None
        return root

    def _member(self, parent: Block) -> None:
        kind = self._next().text.casefold()
        name = self._next().text
        if kind == "record":
            block = Block(name.casefold(), "")
            if not self._take("{"):
                block.name = self._next().text
                self._expect("{")
            parent.blocks.append(block)
            while not self._take("}"):
                self._member(block)
        elif kind == "field":
            self._next()
            parent.fields[name.casefold()] = self._braced()
        elif kind == "list":
            rows: list[DefectRow] = []
            parent.lists[name.casefold()] = rows
            self._list(rows)
        else:
            raise ValueError(f"{self._where()}: {kind!r} is not Record, Field or List")

    def _list(self, rows: list[DefectRow]) -> None:
        self._expect("{")
        columns: list[tuple[str, str]] = []
        while not self._take("}"):
            part = self._next().text.casefold()
            self._next()
            if part == "columns":
                words = self._braced()
                if len(words) % 2:
                    raise ValueError(f"{self._where()}: a column has a type but no name")
                pairs = zip(words[::2], words[1::2], strict=True)
                columns = [(kind.casefold(), name.upper()) for kind, name in pairs]
            elif part == "data":
                self._expect("{")
                while not self._take("}"):
                    rows.append(self._row(columns))
            else:
                raise ValueError(f"{self._where()}: {part!r} is not Columns or Data")

    def _row(self, columns: Sequence[tuple[str, str]]) -> DefectRow:
        line = self._line()
        cells: dict[str, Token] = {}
        images: tuple[ImageEntry, ...] | None = None
        for kind, name in columns:
            if kind == "imagelist":
                images = self._images()
            else:
                token = self._next()
                if not token.quoted and token.text in "{};,":
                    raise ValueError(f"{token.place}: the row has fewer values, without {name}")
                cells[name] = token
        self._expect(";")
        return DefectRow(cells, images, line)

    def _images(self) -> tuple[ImageEntry, ...]:
        """Either ``N``, or ``Images n { "file" "type" number "kind", … }``."""
        if self._next().text.casefold() not in ("images", "image"):
            return ()
        self._next()
        self._expect("{")
        entries: list[list[str]] = [[]]
        while not self._take("}"):
            if self._take(","):
                entries.append([])
            else:
                entries[-1].append(self._next().text)
        # Some tools leave out what comes last.
        whole = ([*entry, *("", "1", "")[len(entry) - 1 :]] for entry in entries if entry)
        return tuple((entry[0], entry[2], entry[3]) for entry in whole)

    def _braced(self) -> list[str]:
        self._expect("{")
        words = []
        while not self._take("}"):
            if not self._take(","):
                words.append(self._next().text)
        return words

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise ValueError(f"{self._where()}: {self._peek()!r} instead of {mark!r}")

    def _take(self, mark: str) -> bool:
        found = self._tokens[self._place].is_mark(mark)
        self._place += found
        return found

    def _next(self) -> Token:
        self._place += 1
        return self._tokens[self._place - 1]

    def _peek(self) -> str:
        return self._tokens[self._place].text

    def _line(self) -> int:
        return self._tokens[min(self._place, len(self._tokens) - 1)].line

    def _where(self) -> str:
        return self._tokens[min(self._place, len(self._tokens) - 1)].place
