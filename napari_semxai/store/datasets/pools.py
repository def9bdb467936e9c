"""Pools of mask candidates on disk, so that a sweep asks the network once per image."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.types import CandidatePool, InputError

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED = (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error)


def write_pool(path: Path, pool: CandidatePool, key: str) -> None:
    """Write a pool with the key of what it was made from, atomically."""
    arrays: dict[str, Any] = {
        field.name: np.asarray(getattr(pool, field.name))
        for field in fields(CandidatePool)
        if getattr(pool, field.name) is not None
    }
    with atomic_write(path) as file:
        np.savez_compressed(file, key=np.array(key), **arrays)


def read_pool(path: Path, key: str = "") -> CandidatePool | None:
    """Read a pool.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        When given, a pool that is missing, damaged or has another key is None.

    Raises
    ------
    InputError
        Without a key, when the file cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if key and str(stored["key"]) != key:
                return None
            arrays = {name: stored[name] for name in stored.files if name != "key"}
            rows, columns = (int(size) for size in arrays.pop("shape"))
            return CandidatePool(shape=(rows, columns), **arrays)
    except _DAMAGED as error:
        if key:
            return None
        raise InputError(f"{path}: cannot be read as mask candidates ({error})") from error
