"""What a sweep over alpha and beta found, on disk."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.algorithm1.sweep import SweepResult
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED = (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile)


def write_sweep(path: Path, result: SweepResult) -> Path:
    """Write a result, atomically."""
    arrays: dict[str, Any] = {
        field.name: np.asarray(getattr(result, field.name)) for field in fields(SweepResult)
    }
    with atomic_write(path) as file:
        np.savez_compressed(file, **arrays)
    return path


def read_sweep(path: Path) -> SweepResult:
    """Read a result.

    Raises
    ------
    InputError
        When the file is missing, damaged or something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays: dict[str, Any] = {
                field.name: stored[field.name] for field in fields(SweepResult)
            }
    except _DAMAGED as error:
        raise InputError(f"{path}: cannot be read as a sweep ({error})") from error
    arrays["best"] = tuple(arrays["best"].tolist())
    arrays["interval"] = tuple(arrays["interval"].tolist())
    return SweepResult(**arrays)
