"""The two grammars of KLARF files: flat statements (1.1, 1.2) and nested records (1.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row: TypeAlias = dict[str, str]
ImageEntry: TypeAlias = tuple[str, str]
_TOKEN = re.compile(r'"[^"]*"|[{};,]|[^\s{};,"]+')
IMAGE_COUNT, IMAGE_LIST = "IMAGECOUNT", "IMAGELIST"


@dataclass(frozen=True, slots=True)
class Token:
    """One word, quoted text without its quotes, or one of ``{ } ; ,``."""

    text: str
    line: int
    quoted: bool
    first: bool

    def is_mark(self, mark: str) -> bool:
        """Whether this is punctuation rather than the same sign in quotes."""
        return self.text == mark and not self.quoted


@dataclass(frozen=True, slots=True)
class DefectRow:
    """One line of a defect list: column name in capitals to text, and its images.

    Attributes
    ----------
    values : dict
        Without the image list.
    images : tuple of (str, str), or None
        File name ("" where the file says it elsewhere) and image number; None where the list has
        no column for it.
    line : int
        Counted from 1.
    """

    values: Row
    images: tuple[ImageEntry, ...] | None
    line: int


@dataclass(slots=True)
class Block:
    """A record of the nested grammar."""

    kind: str
    name: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    lists: dict[str, list[DefectRow]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)


def tokens_of(text: str) -> list[Token]:
    """Split a file into words and punctuation."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        first = True
        for match in _TOKEN.finditer(line):
            word = match[0]
            quoted = word.startswith('"')
            found.append(Token(word[1:-1] if quoted else word, number, quoted, first))
            first = False
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


def flat_rows(tokens: Sequence[Token], columns: Sequence[str]) -> list[DefectRow]:
    """Split a defect list of the flat grammar into its rows.

    The image list holds pairs of image number and type; most programs write their count first,
    some only in IMAGECOUNT. It may go on over the next lines; every row begins a line.

    Raises
    ------
    ValueError
        When the words do not make whole rows either way.
    """
    for counted in (True, False):
        try:
            return list(_rows(tokens, columns, counted))
        except (IndexError, ValueError):
            continue
    line = tokens[0].line if tokens else 0
    raise ValueError(
        f"line {line}: the rows of the defect list do not fit the {len(columns)} columns of "
        "DefectRecordSpec"
    )


def _rows(tokens: Sequence[Token], columns: Sequence[str], counted: bool) -> Iterator[DefectRow]:
    place = 0
    while place < len(tokens):
        start = tokens[place]
        if not start.first:
            raise ValueError("a row begins within a line")
        values: Row = {}
        images: tuple[ImageEntry, ...] | None = None
        for column in columns:
            if column == IMAGE_LIST:
                images, place = _image_numbers(tokens, place, values, counted)
            else:
                values[column] = tokens[place].text
                place += 1
        yield DefectRow(values, images, start.line)


def _image_numbers(
    tokens: Sequence[Token], place: int, values: Row, counted: bool
) -> tuple[tuple[ImageEntry, ...], int]:
    if counted:
        count, place = int(tokens[place].text), place + 1
    else:
        count = int(values[IMAGE_COUNT])
    end = place + 2 * count
    if count < 0 or end > len(tokens):
        raise ValueError("the image list is cut off")
    return tuple(("", tokens[at].text) for at in range(place, end, 2)), end


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

    def parse(self) -> Block:
        """Return the whole file as one block; ValueError names the line that is wrong."""
        try:
            root = Block("file", "")
            while self._place < len(self._tokens):
                if self._peek().casefold() == "endoffile":
                    break
                self._member(root)
        except IndexError:
            raise ValueError("the file is cut off") from None
        return root

    def _member(self, parent: Block) -> None:
        kind = self._next().text.casefold()
        name = self._next().text
        if kind == "record":
            block = Block(name.casefold(), "")
            if not self._take("{"):
                block.name = self._next().text
                self._expect("{")
            while not self._take("}"):
                self._member(block)
            parent.blocks.append(block)
        elif kind == "field":
            self._next()
            parent.fields[name.casefold()] = self._braced()
        elif kind == "list":
            parent.lists[name.casefold()] = self._list()
        else:
            raise ValueError(f"line {self._line()}: {kind!r} is not Record, Field or List")

    def _list(self) -> list[DefectRow]:
        self._expect("{")
        columns: list[tuple[str, str]] = []
        rows: list[DefectRow] = []
        while not self._take("}"):
            part = self._next().text.casefold()
            self._next()
            if part == "columns":
                words = self._braced()
                pairs = zip(words[::2], words[1::2], strict=True)
                columns = [(kind.casefold(), name.upper()) for kind, name in pairs]
            elif part == "data":
                self._expect("{")
                while not self._take("}"):
                    rows.append(self._row(columns))
            else:
                raise ValueError(f"line {self._line()}: {part!r} is not Columns or Data")
        return rows

    def _row(self, columns: Sequence[tuple[str, str]]) -> DefectRow:
        line = self._line()
        values: Row = {}
        images: tuple[ImageEntry, ...] | None = None
        for kind, name in columns:
            if kind == "imagelist":
                images = self._images()
            else:
                token = self._next()
                if not token.quoted and token.text in "{};,":
                    raise ValueError(f"line {line}: the row has fewer values than columns")
                values[name] = token.text
        self._expect(";")
        return DefectRow(values, images, line)

    def _images(self) -> tuple[ImageEntry, ...]:
        """Either ``N``, or ``Images n { "file" "type" number "kind", … }``."""
        if self._next().text.casefold() != "images":
            return ()
        self._next()
        self._expect("{")
        entries: list[list[str]] = [[]]
        while not self._take("}"):
            if self._take(","):
                entries.append([])
            else:
                entries[-1].append(self._next().text)
        return tuple((entry[0], entry[2] if len(entry) > 2 else "1") for entry in entries if entry)

    def _braced(self) -> list[str]:
        self._expect("{")
        words = []
        while not self._take("}"):
            if not self._take(","):
                words.append(self._next().text)
        return words

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise ValueError(f"line {self._line()}: {self._peek()!r} instead of {mark!r}")

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
