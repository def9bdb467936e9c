"""The list of an annotator's reviews: a chained line for every record that was written.

It lies beside the records and tells of one that was removed or set back. Each record holds the
digest of the list's last line before it, and each export those of all lists, so that lines
removed at the end are found as long as one of these is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import (
    append_line,
    broken_lines,
    chained_line,
    chained_lines,
    entry_of,
    last_line,
    text_digest,
)
from napari_semxai.store.project.files import (
    RECORD_SUFFIX,
    RECORDS_FOLDER,
    history_digest,
    reaching,
    stored_state,
)
from napari_semxai.store.project.records import read_stored, store_record
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_semxai.types import BoolMask, ReviewRecord

LIST_FILE = "reviews.jsonl"


@dataclass(frozen=True, slots=True)
class ReviewList:
    """What the list of an annotator says.

    Attributes
    ----------
    entries : mapping
        Image id to what was written of it, the oldest first.
    digests : frozenset of str
        Of all lines.
    broken : tuple of str
        Lines that were changed, added or removed.
    """

    entries: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    digests: frozenset[str] = frozenset()
    broken: tuple[str, ...] = ()

    def missing(self, image_id: str, record: ReviewRecord | None) -> Iterator[str]:
        """Say which review of an image is not in its record, or that there is none."""
        history = () if record is None else record.history
        heads = {history_digest(image_id, history[:end]) for end in range(1, len(history) + 1)}
        lost = [
            one for one in self.entries.get(image_id, ()) if one["history_sha256"] not in heads
        ]
        if lost:
            what = "its record is gone" if record is None else "its history has no such line"
            state, time = (lost[-1].get(name) for name in ("state", "time"))
            yield f"review: “{state}” of {time} is missing: {what}"


def list_digest(folder: Path) -> str:
    """Return the digest of the last line of an annotator's list; "" where there is none."""
    last = last_line(folder / LIST_FILE)
    return text_digest(last) if last else ""


def _begun_list(folder: Path) -> str:
    """Return the digest of the last line of a list that the next record follows.

    Where there is none yet all records that are there already are listed.
    """
    path = folder / LIST_FILE
    with suppress(OSError, InputError):
        if folder.exists() and not path.exists():
            lines = [""]
            for known in _records(folder):
                lines.append(chained_line(_entry(known), lines[-1]))
            with atomic_write(path) as file:
                file.write("".join(f"{line}\n" for line in lines[1:]).encode())
        return list_digest(folder)
    return ""


def store_listed(folder: Path, record: ReviewRecord, mask: BoolMask | None) -> None:
    """Write a record with its mask, and put it at the end of its annotator's list.

    In this order: a crash in between must not list what is not there. A list that cannot be
    written is no reason to lose a review: what is written next of the image is listed then.
    """
    store_record(folder, record, mask, _begun_list(folder))
    with suppress(OSError):
        append_line(folder / LIST_FILE, _entry(record))


def read_list(folder: Path) -> ReviewList:
    """Read the list of an annotator's `folder`; an empty one where there is none.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    with reaching(folder):
        lines = chained_lines(folder / LIST_FILE)
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in filter(None, map(entry_of, lines)):
        entries[str(entry.get("image"))].append(entry)
    digests = frozenset(map(text_digest, lines))
    return ReviewList(entries, digests, tuple(broken_lines(lines, "")))


def _entry(record: ReviewRecord) -> dict[str, str]:
    return {
        "image": record.image,
        "time": record.time,
        "state": stored_state(record.state),
        "history_sha256": history_digest(record.image, record.history),
    }


def _records(folder: Path) -> Iterator[ReviewRecord]:
    for path in sorted((folder / RECORDS_FOLDER).glob(f"*{RECORD_SUFFIX}")):
        # One that is damaged is told where it is read.
        with suppress(InputError):
            yield read_stored(path)[0]
