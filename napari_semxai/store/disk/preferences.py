"""What a person finds again in the next window: keys, choices, last folders, recent files.

Each kind has a small file of its own, so that one that is damaged takes no other along.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS, _CHOICES, _FOLDERS, _RECENT = "keys", "choices", "folders", "recent"
_MOST_RECENT = 10


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
