"""Survey answers as CSV: one row for each participant and explanation."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.tables import RFC_4180, read_table, write_table
from napari_semxai.types import InputError
from napari_semxai.types.quantities import parse_number
from napari_semxai.types.survey import ANSWERS, ITEMS, SCALE_VERSION, AnswerSet

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

_N = len(ITEMS)
_ANSWERS = tuple(f"item_{number}" for number in range(1, _N + 1))
_COMMENTS = tuple(f"comment_{number}" for number in range(1, _N + 1))
_HEAD = ("participant", "method", "explanation", "scale", "consent", "changed_at")
_KNOWN = (*_HEAD, *_ANSWERS, *_COMMENTS)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

DEFAULT_CONSENT = (
    "Taking part is voluntary and can be ended at any time. Your answers and comments are stored "
    "on this machine under a pseudonym, without your name, to judge how useful the explanations "
    "are. Please write nothing in the comments that identifies you."
)


@dataclass(frozen=True, slots=True, eq=False)
class OtherColumns:
    """Columns of a survey file that are not the survey's, such as a participant's role.

    Attributes
    ----------
    names : tuple of str
        Their heads; without a name, or with the same one, they are columns of their own.
    cells : mapping
        By the key of an answer set, its cells in the order of `names`.
    """

    names: tuple[str, ...] = ()
    cells: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def of(self, entry: AnswerSet) -> tuple[str, ...]:
        """Return the cells of an answer set; empty ones where there are none."""
        return self.cells.get(entry.key, ("",) * len(self.names))

    def only(self, sets: Iterable[AnswerSet]) -> OtherColumns:
        """Return the cells of these answer sets, and no others."""
        return OtherColumns(self.names, {entry.key: self.of(entry) for entry in sets})


NO_COLUMNS = OtherColumns()
_PLAIN = {"": None} | {str(answer): answer for answer in ANSWERS}


def read_survey(path: str | Path) -> list[AnswerSet]:
    """Read answer sets from CSV with comma or semicolon.

    Needs the columns item_1 to item_8; a row without a participant is one of its own.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    InputError
        When the file cannot be read, a column is missing or there twice, an answer is not 1 to
        5, or two rows are of the same participant, method, explanation and scale.
    """
    return read_survey_file(path)[0]


def read_survey_file(path: str | Path) -> tuple[list[AnswerSet], OtherColumns]:
    """Read answer sets as `read_survey` does, and the columns beside them."""
    table = read_table(path)
    width = max(len(table.header), *(len(row) for _, row in table.rows), 0)
    written = zip(table.names, table.header, strict=True)
    names = [key if key in _KNOWN else name for key, name in written]
    names += [""] * (width - len(names))
    missing = [name for name in _ANSWERS if name not in names]
    if missing:
        raise InputError(f"{path}: no survey, the column {missing[0]} is missing")
    places = {name: names.index(name) for name in _KNOWN if name in names}
    twice = [name for name in places if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}: the column {twice[0]} is there twice")
    others = [place for place, name in enumerate(names) if name not in places]
    found: dict[tuple[str, ...], AnswerSet] = {}
    cells: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, (line, cells_of_row) in enumerate(table.rows, start=2):
        row = [*cells_of_row, *[""] * (width - len(cells_of_row))]
        values = {name: row[place] for name, place in places.items()}
        entry = _set_of(values, number, f"{path} line {line}")
        if entry.key in found:
            # Either of the two would be lost when the next answer is written.
            raise InputError(
                f"{path} line {line}: {entry.participant} has answered for this method, "
                "explanation and scale in a row above"
            )
        found[entry.key] = entry
        cells[entry.key] = tuple(row[place] for place in others)
    return list(found.values()), OtherColumns(tuple(names[place] for place in others), cells)


def write_survey(
    path: str | Path, sets: Iterable[AnswerSet], others: OtherColumns = NO_COLUMNS
) -> None:
    """Write answer sets as CSV, atomically, with columns of others behind them.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    rows = (
        [
            *(getattr(entry, name) for name in _HEAD),
            *entry.answers,
            *entry.comments,
            *others.of(entry),
        ]
        for entry in sets
    )
    write_table(path, (*_KNOWN, *others.names), rows, line_end=RFC_4180)


def save_answers(path: str | Path, entries: Iterable[AnswerSet]) -> list[AnswerSet]:
    """Put answer sets into a survey file, made when missing; return all sets of the file.

    The file is read first, so that what somebody else has added since stays, columns too.
    """
    sets, others = read_survey_file(path) if Path(path).is_file() else ([], NO_COLUMNS)
    # By key: an answer that is changed takes the place of the one before.
    kept = {known.key: known for known in sets} | {entry.key: entry for entry in entries}
    write_survey(path, kept.values(), others)
    return list(kept.values())


def remove_answers(path: str | Path, gone: Callable[[AnswerSet], bool]) -> int:
    """Take answer sets out of a survey file and write the rest; return how many went.

    The file is read first, so that what somebody else has added since stays.
    """
    sets, others = read_survey_file(path) if Path(path).is_file() else ([], NO_COLUMNS)
    kept = [known for known in sets if not gone(known)]
    if len(kept) < len(sets):
        write_survey(path, kept, others)
    return len(sets) - len(kept)


def consent_path(path: str | Path) -> Path:
    """Return where the consent text of a survey file lies: beside it."""
    path = Path(path)
    return path.with_name(f"{path.stem}_consent.txt")


def read_consent(path: str | Path) -> str:
    """Return the consent text of a survey file; the default one where there is none."""
    try:
        return consent_path(path).read_text("utf-8")
    except FileNotFoundError:
        return DEFAULT_CONSENT
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{consent_path(path)}: cannot be read ({error})") from error


def write_consent(path: str | Path, text: str) -> None:
    """Write the consent text of a survey file, and a copy that later wordings leave alone."""
    current = consent_path(path)
    # People agreed to a wording: it must stay readable after it is changed.
    for target in (current, current.with_name(f"{current.stem}_{consent_digest(text)}.txt")):
        with atomic_write(target) as file:
            file.write(text.encode())


def consent_digest(text: str) -> str:
    """Return the digest that says which wording somebody agreed to."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def new_pseudonym(taken: Container[str]) -> str:
    """Return a random participant id that is not taken and tells nothing."""
    while True:
        made = "P-" + "".join(secrets.choice(_LETTERS) for _ in range(5))
        if made not in taken:
            return made


def _set_of(row: dict[str, str], number: int, where: str) -> AnswerSet:
    head = {name: row.get(name, "").strip() for name in _HEAD}
    head["participant"] = head["participant"] or f"row {number}"
    head["scale"] = head["scale"] or SCALE_VERSION
    return AnswerSet(
        **head,
        answers=tuple(_answer(row[name], f"{where}, {name}") for name in _ANSWERS),
        comments=tuple(row.get(name, "") for name in _COMMENTS),
    )


def _answer(text: str, place: str) -> int | None:
    text = text.strip()
    # Nearly all of them, and parsing eight numbers a row would be most of the time.
    if text in _PLAIN:
        return _PLAIN[text]
    try:
        value = parse_number(text)
    except InputError:
        value = float("nan")
    if value not in ANSWERS:
        raise InputError(f"{place}: an answer is a whole number from 1 to 5 or empty, not {text}")
    return int(value)
