"""What the program keeps on this machine: where, how big, and clearing what can be made again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_semxai.store.disk.folders import (
    concepts_folder,
    models_folder,
    project_index_folder,
    projects_folder,
    recovery_folder,
)
from napari_semxai.types import InputError


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """One of the program's own folders.

    Attributes
    ----------
    name : str
        For people.
    folder : Path
        Where it is, or will be.
    size : int
        Bytes of the files in it.
    cache : bool
        Whether it can be cleared without a loss.
    """

    name: str
    folder: Path
    size: int
    cache: bool


def stored_files() -> tuple[StoredFiles, ...]:
    """Return the program's own folders, the caches first."""
    known = (
        ("indexes of projects", project_index_folder(), True),
        ("concepts", concepts_folder(), True),
        ("networks", models_folder(), False),
        ("recovery copies", recovery_folder(), False),
        ("projects", projects_folder(), False),
    )
    return tuple(
        StoredFiles(name, folder, sum(map(_size, _files(folder))), cache)
        for name, folder, cache in known
    )


def clear_caches() -> None:
    """Delete the files of all caches; what is made anew costs only time.

    Raises
    ------
    InputError
        When one cannot be deleted.
    """
    for stored in stored_files():
        for path in _files(stored.folder) if stored.cache else ():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be deleted ({error.strerror or error}); is its project open?"
                ) from error


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
