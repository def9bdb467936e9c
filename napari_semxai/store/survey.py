"""Survey answers as CSV: one row for each participant and explanation."""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.store.atomic import atomic_write
from napari_semxai.types import InputError
from napari_semxai.types.survey import ANSWERS, ITEMS, SCALE_VERSION, AnswerSet

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

_N = len(ITEMS)
_ANSWERS = tuple(f"item_{number}" for number in range(1, _N + 1))
_COMMENTS = tuple(f"comment_{number}" for number in range(1, _N + 1))
_HEAD = ("participant", "method", "explanation", "scale", "consent", "changed_at")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

DEFAULT_CONSENT = (
    "Taking part is voluntary and can be ended at any time. Your answers and comments are stored "
    "on this machine under a pseudonym, without your name, to judge how useful the explanations "
    "are. Please write nothing in the comments that identifies you."
)


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
        When the file cannot be read, a column is missing, an answer is not 1 to 5, or two rows
        are of the same participant, method, explanation and scale.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    first = text.partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text, newline=""),
        delimiter=";" if first.count(";") > first.count(",") else ",",
    )
    missing = [name for name in _ANSWERS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: no survey, the column {missing[0]} is missing")
    found: dict[tuple[str, ...], AnswerSet] = {}
    for number, row in enumerate(reader, start=2):
        entry = _set_of(row, number, path)
        if entry.key in found:
            # Either of the two would be lost when the next answer is written.
            raise InputError(
                f"{path}: row {number}: {entry.participant} has answered for this method, "
                "explanation and scale in a row above"
            )
        found[entry.key] = entry
    return list(found.values())


def write_survey(path: str | Path, sets: Iterable[AnswerSet]) -> None:
    """Write answer sets as CSV, atomically.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow((*_HEAD, *_ANSWERS, *_COMMENTS))
    for entry in sets:
        answers = ("" if answer is None else answer for answer in entry.answers)
        writer.writerow((*(getattr(entry, name) for name in _HEAD), *answers, *entry.comments))
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def save_answers(path: str | Path, entries: Iterable[AnswerSet]) -> list[AnswerSet]:
    """Put answer sets into a survey file, made when missing; return all sets of the file.

    The file is read first, so that what somebody else has added since stays.
    """
    sets = read_survey(path) if Path(path).is_file() else []
    kept = {known.key: known for known in sets} | {entry.key: entry for entry in entries}
    write_survey(path, kept.values())
    return list(kept.values())


def remove_answers(path: str | Path, gone: Callable[[AnswerSet], bool]) -> int:
    """Take answer sets out of a survey file and write the rest; return how many went.

    The file is read first, so that what somebody else has added since stays.
    """
    sets = read_survey(path) if Path(path).is_file() else []
    kept = [known for known in sets if not gone(known)]
    if len(kept) < len(sets):
        write_survey(path, kept)
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
    own = consent_path(path)
    for target in (own, own.with_name(f"{own.stem}_{consent_digest(text)}.txt")):
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


def _set_of(row: dict[str, str | None], number: int, path: str | Path) -> AnswerSet:
    head = {name: (row.get(name) or "").strip() for name in _HEAD}
    head["participant"] = head["participant"] or f"row {number}"
    head["scale"] = head["scale"] or SCALE_VERSION
    return AnswerSet(
        **head,
        answers=tuple(_answer(row[name], f"{path}: row {number}, {name}") for name in _ANSWERS),
        comments=tuple(row.get(name) or "" for name in _COMMENTS),
    )


def _answer(text: str | None, place: str) -> int | None:
    text = (text or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value not in ANSWERS:
        raise InputError(f"{place}: an answer is a whole number from 1 to 5 or empty, not {text}")
    return int(value)
