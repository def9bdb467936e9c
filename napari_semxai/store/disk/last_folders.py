"""The folder that each kind of file dialog was last used in, in a small file of their own."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError


def last_folder(file: Path, kind: str) -> Path | None:
    """Return the folder that a kind of dialog was last used in, where it is still there.

    Parameters
    ----------
    file : Path
        Holds the folders; one that is missing or damaged knows none.
    kind : str
        Of dialog.
    """
    name = _read(file).get(kind)
    folder = None if name is None else Path(name)
    return folder if folder is not None and folder.is_dir() else None


def remember_folder(file: Path, kind: str, folder: Path) -> None:
    """Note where a kind of dialog was used; nothing happens where that cannot be written."""
    known = _read(file)
    if known.get(kind) != str(folder):
        with suppress(InputError):
            write_json(file, {"folders": {**known, kind: str(folder)}})


def _read(file: Path) -> dict[str, str]:
    try:
        values = json.loads(file.read_bytes())["folders"]
        return {str(kind): str(folder) for kind, folder in values.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
