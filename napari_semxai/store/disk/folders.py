"""The program's own files: where they lie, how big they are, and what a person finds again.

What a person set (keys, choices, last folders, recent files) has a small file of each kind, so
that one that is damaged takes no other along.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import PlatformDirs

from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIRS = PlatformDirs("napari-semxai", appauthor=False)
_KEYS, _CHOICES, _FOLDERS, _RECENT = "keys", "choices", "folders", "recent"
_MOST_RECENT = 10


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


def read_shortcuts(path: Path) -> dict[str, str]:
    """Return the chosen keys by the name of their action; none without a file.

    Raises
    ------
    InputError
        When the file is damaged or cannot be read.
    """
    return _read(path, _KEYS, "the chosen keys cannot be read", "delete the file to begin anew")


def write_shortcuts(path: Path, keys: Mapping[str, str]) -> None:
    """Write the chosen keys, atomically."""
    write_json(path, {_KEYS: dict(keys)})


def read_choices(path: Path) -> dict[str, str]:
    """Return what was chosen, by name; nothing without a file.

    Raises
    ------
    InputError
        When the file is damaged or cannot be read.
    """
    what, then = "what was chosen before cannot be read", "the next choice begins a new file"
    return _read(path, _CHOICES, what, then)


def write_choice(path: Path, name: str, value: str) -> None:
    """Write one choice beside the others, atomically."""
    known: dict[str, str] = {}
    with suppress(InputError):
        known = read_choices(path)
    if known.get(name) != value:
        write_json(path, {_CHOICES: {**known, name: value}})


def last_folder(file: Path, kind: str) -> Path | None:
    """Return the folder that a kind of dialog was last used in, where it is still there.

    Parameters
    ----------
    file : Path
        Holds the folders; one that is missing or damaged knows none.
    kind : str
        Of dialog.
    """
    name = _last_folders(file).get(kind)
    folder = None if name is None else Path(name)
    return folder if folder is not None and folder.is_dir() else None


def remember_folder(file: Path, kind: str, folder: Path) -> None:
    """Note where a kind of dialog was used; nothing happens where that cannot be written."""
    known = _last_folders(file)
    if known.get(kind) != str(folder):
        with suppress(InputError):
            write_json(file, {_FOLDERS: {**known, kind: str(folder)}})


def read_recent(file: Path) -> dict[str, str]:
    """Return what was opened last, newest first: paths, and of a project its annotator.

    Parameters
    ----------
    file : Path
        Holds them; one that is missing or damaged knows none.
    """
    with suppress(InputError):
        return _read(file, _RECENT)
    return {}


def remember_recent(file: Path, path: Path, annotator: str = "") -> None:
    """Note what was opened: an image, or a project by an annotator."""
    known = read_recent(file)
    newest = {str(path): annotator}
    if next(iter(known.items()), None) != (str(path), annotator):
        rest = {name: value for name, value in known.items() if name not in newest}
        kept = list({**newest, **rest}.items())[:_MOST_RECENT]
        with suppress(InputError):
            write_json(file, {_RECENT: dict(kept)})


def _last_folders(file: Path) -> dict[str, str]:
    with suppress(InputError):
        return _read(file, _FOLDERS)
    return {}


def _read(path: Path, kind: str, what: str = "cannot be read", then: str = "") -> dict[str, str]:
    try:
        values = json.loads(path.read_bytes())[kind]
        return {str(name): str(value) for name, value in values.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: {what} ({error!r}); {then}") from error
