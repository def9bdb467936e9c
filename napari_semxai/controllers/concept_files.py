"""Concepts as files that a person keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.store.atomic import atomic_write
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


def copy_bank(source: Path, path: Path) -> str:
    """Copy a bank and its description, and return what to say of it.

    Raises
    ------
    InputError
        When the bank is no longer there, or `path` cannot be written.
    """
    path = path.with_suffix(source.suffix)
    for ending in (source.suffix, ".json"):
        try:
            data = source.with_suffix(ending).read_bytes()
        except OSError as error:
            raise InputError(f"{source}: {error}; fit the concepts again") from error
        with atomic_write(path.with_suffix(ending)) as file:
            file.write(data)
    return f"Concepts saved: {path}"
