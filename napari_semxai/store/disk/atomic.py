"""Whole files or none: a write that is interrupted leaves the previous file as it was."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TEMPORARY_SUFFIX = ".tmp"


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; put it in its place when the block ends well.

    Folders are made as needed. When the block raises, or the process dies, whatever was at
    `path` before is untouched.

    Parameters
    ----------
    path : str or Path
        The file to write; a symbolic link is followed.

    Yields
    ------
    binary file
        Open for writing and reading.

    Raises
    ------
    InputError
        When the folder or file cannot be written, or `path` is a folder or a device.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        if target.exists() and not target.is_file():
            # Root could put a file in the place of /dev/null.
            raise InputError(f"{path}: is not an ordinary file; choose another name")
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb+") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_json(path: str | Path, values: Mapping[str, Any]) -> None:
    """Write `values` as indented JSON, atomically; NaN raises ValueError."""
    with atomic_write(path) as file:
        file.write(json_bytes(values))


def json_bytes(values: Mapping[str, Any]) -> bytes:
    """Return `values` as indented JSON; NaN raises ValueError."""
    text = json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False)
    # Bytes of a name that are no text become escapes, which JSON reads back as they were.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system has such a call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
