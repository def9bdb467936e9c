"""Where the program keeps its own files, how big they are, and clearing what can be made again."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import PlatformDirs

from napari_semxai.types import InputError

_DIRS = PlatformDirs("napari-semxai", appauthor=False)


def models_folder() -> Path:
    """Folder that downloads and imports of network weights go to."""
    override = os.environ.get("SEMXAI_MODEL_DIR")
    return Path(override).expanduser() if override else _DIRS.user_data_path / "models"


def model_folders() -> tuple[Path, ...]:
    """Folders searched for weights: SEMXAI_MODEL_DIR where set, then the user's own."""
    return tuple(dict.fromkeys([models_folder(), _DIRS.user_data_path / "models"]))


def recovery_folder() -> Path:
    """Folder of the recovery copies of unsaved masks."""
    return _DIRS.user_state_path / "recovery"


def shortcuts_file() -> Path:
    """File of the keys that a person chose."""
    return _DIRS.user_config_path / "shortcuts.json"


def choices_file() -> Path:
    """File of what a person chose once and finds again."""
    return _DIRS.user_config_path / "choices.json"


def last_folders_file() -> Path:
    """File of the folders that file dialogs were last used in."""
    return _DIRS.user_config_path / "last_folders.json"


def recent_file() -> Path:
    """File of the images and projects that were opened last."""
    return _DIRS.user_config_path / "recent.json"


def projects_folder() -> Path:
    """Folder of the projects that were made of plain folders of images."""
    return _DIRS.user_data_path / "projects"


def project_index_folder() -> Path:
    """Folder of the indexes of projects; each is rebuilt from the project's files when missing."""
    return _DIRS.user_cache_path / "projects"


def concepts_folder() -> Path:
    """Folder of the concepts of CRAFT, which can be computed again."""
    return _DIRS.user_cache_path / "concepts"


def features_folder() -> Path:
    """Folder of what classifiers read their answers from, by image; can be computed again."""
    return _DIRS.user_cache_path / "features"


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
        ("features of images", features_folder(), True),
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


@dataclass(frozen=True, slots=True)
class Folders:
    """Where one window keeps what outlives it; by default the user's own folders.

    Attributes
    ----------
    recovery, projects : Path
        Folders of `recovery_folder` and `projects_folder`.
    choices, shortcuts : Path
        Files of `choices_file` and `shortcuts_file`.
    """

    recovery: Path = field(default_factory=lambda: recovery_folder())
    projects: Path = field(default_factory=lambda: projects_folder())
    choices: Path = field(default_factory=lambda: choices_file())
    shortcuts: Path = field(default_factory=lambda: shortcuts_file())
