"""Lists whose lines are chained: each holds the digest of the line before, and its own.

So a line that another program changes, adds or removes is found, but for lines removed at the end:
what was written elsewhere while they were there has to hold their digest.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from napari_semxai.store.disk.digests import text_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LONGEST = 1 << 16


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
    file.seek(max(0, size - _LONGEST))
    *known, rest = file.read().split(b"\n")
    if entry_of(rest.decode("utf-8", "backslashreplace")) is not None:
        # An editor took the end of the line away.
        known, rest = [rest], b""
    return size - len(rest), known[-1].decode("utf-8", "backslashreplace") if known else ""


def _byte_before(file: BinaryIO, end: int) -> bytes:
    file.seek(max(0, end - 1))
    return file.read(1)
