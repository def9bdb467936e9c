"""Digests that say which pixels and which weights an answer came from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FileStamp: TypeAlias = tuple[int, int, int]


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
