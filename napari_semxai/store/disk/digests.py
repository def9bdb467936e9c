"""Digests that say which pixels and which weights an answer came from, and what others changed.

Digests of a folder's own files ("seals") lie in a file of their own. It is written before and
after each of these files: a crash in between leaves the digests of both, the old one and the new
one. A file that was changed outside the program gets no new digest, so that what is written later
does not hide it.

Lists are chained: each line holds the digest of the line before, and its own. So a line that
another program changes, adds or removes is found, but for lines removed at the end: what was
written elsewhere while they were there has to hold their digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FileStamp: TypeAlias = tuple[int, int, int]
SEALS_FILE = "seals.json"
_LONGEST_LINE = 1 << 16


def array_digest(array: NDArray[Any]) -> str:
    """Return the sha256 of an array's type, shape and values, as 64 hex digits."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def text_digest(*parts: str) -> str:
    """Return the sha256 of some texts in their order, as 64 hex digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    """Return the sha256 of a file's bytes, as 64 hex digits.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def file_stamp(path: Path) -> FileStamp | None:
    """Return what changes when a file is replaced; None where it cannot be seen."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def write_sealed(project: Path, name: str, data: bytes) -> None:
    """Write one of a project's own files, and its digest.

    Parameters
    ----------
    project : Path
        The project's folder, which nobody else may be changing.
    name : str
        Of the file in it.
    data : bytes
        What it is to hold.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    seals, before = _seals(project), _digest(project / name)
    known = seals.get(name, [before])
    after = hashlib.sha256(data).hexdigest()
    if before in known:
        write_json(project / SEALS_FILE, {**seals, name: [before, after]})
    with atomic_write(project / name) as file:
        file.write(data)
    if before in known:
        write_json(project / SEALS_FILE, {**seals, name: [after]})


def broken_seals(project: Path) -> list[str]:
    """Return the project's own files that are not as the program wrote them."""
    return [
        name for name, known in _seals(project).items() if _digest(project / name) not in known
    ]


def _digest(path: Path) -> str:
    return file_sha256(path) if path.is_file() else ""


def _seals(project: Path) -> Mapping[str, Any]:
    """Return the digests of each file; none of a project from before there were any."""
    path = project / SEALS_FILE
    try:
        found = json.loads(path.read_bytes()) if path.is_file() else {}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError:
        found = None
    # Damaged: nothing that it was about is known to be as it was.
    return found if isinstance(found, dict) else {SEALS_FILE: []}


def chained_line(entry: Mapping[str, Any], before: str) -> str:
    """Return the line of an entry that follows the line `before`."""
    held = {**entry, "previous": text_digest(before)}
    return json.dumps(held | {"sha256": text_digest(json.dumps(held))})


def chained_lines(path: Path) -> list[str]:
    """Return the lines of a list; bytes that another program has put in are told as a change."""
    text = path.read_text("utf-8", "backslashreplace") if path.exists() else ""
    lines = text.splitlines()
    # What a crash has left of a line is none.
    cut = bool(lines) and not text.endswith("\n") and entry_of(lines[-1]) is None
    return lines[:-1] if cut else lines


def entry_of(line: str) -> dict[str, Any] | None:
    """Return the entry of a line; None where it is not as it was written."""
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        entry: dict[str, Any] = json.loads(line)
        if entry.pop("sha256") == text_digest(json.dumps(entry)):
            return entry
    return None


def broken_lines(lines: Sequence[str], start: str) -> list[str]:
    """Say which lines were changed, added or removed; the first one follows `start`."""
    found, before = [], start
    for number, line in enumerate(lines, start=1):
        entry = entry_of(line)
        if entry is None:
            found.append(f"line {number} was changed")
        elif entry.get("previous") != text_digest(before):
            found.append(f"line {number} does not follow from the line before it")
        before = line
    return found


def last_line(path: Path) -> str:
    """Return the last line of a list; "" where there is none."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return _end(file)[1]
    return ""


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Put an entry at the end of a list, and flush it to disk.

    What a crash has left of a line goes first.
    """
    with path.open("ab+") as file:
        end, before = _end(file)
        file.truncate(end)
        cut = b"\n" if before and _byte_before(file, end) != b"\n" else b""
        file.write(cut + f"{chained_line(entry, before)}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def _end(file: BinaryIO) -> tuple[int, str]:
    """Return where the last whole line of a list ends, and the line."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LONGEST_LINE))
    *known, rest = file.read().split(b"\n")
    if entry_of(rest.decode("utf-8", "backslashreplace")) is not None:
        # An editor took the end of the line away.
        known, rest = [rest], b""
    return size - len(rest), known[-1].decode("utf-8", "backslashreplace") if known else ""


def _byte_before(file: BinaryIO, end: int) -> bytes:
    file.seek(max(0, end - 1))
    return file.read(1)
