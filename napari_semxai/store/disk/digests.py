"""Digests that say which pixels and which weights an answer came from, and what others changed.

Digests of a folder's own files ("seals") lie in a file of their own. It is written before and
after each of these files: a crash in between leaves the digests of both, the old one and the new
one. A file that was changed outside the program gets no new digest, so that what is written later
does not hide it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FileStamp: TypeAlias = tuple[int, int, int]
SEALS_FILE = "seals.json"


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
