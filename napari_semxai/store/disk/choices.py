"""What a person chose once and finds again in the next window, in a small file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


def read_choices(path: Path) -> dict[str, str]:
    """Return what was chosen, by name; nothing without a file.

    Raises
    ------
    InputError
        When the file is damaged or cannot be read.
    """
    try:
        values = json.loads(path.read_bytes())
        return {str(name): str(value) for name, value in values["choices"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: what was chosen before cannot be read ({error!r}); the next choice begins "
            "a new file"
        ) from error


def write_choice(path: Path, name: str, value: str) -> None:
    """Write one choice beside the others, atomically."""
    try:
        known = read_choices(path)
    except InputError:
        known = {}
    if known.get(name) != value:
        write_json(path, {"choices": {**known, name: value}})
