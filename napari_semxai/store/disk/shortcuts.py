"""Keys that a person chose, in a small file of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_shortcuts(path: Path) -> dict[str, str]:
    """Return the chosen keys by the name of their action; none without a file.

    Raises
    ------
    InputError
        When the file is damaged or cannot be read.
    """
    try:
        values = json.loads(path.read_bytes())
        return {str(name): str(key) for name, key in values["keys"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: the chosen keys cannot be read ({error!r}); delete the file to begin anew"
        ) from error


def write_shortcuts(path: Path, keys: Mapping[str, str]) -> None:
    """Write the chosen keys, atomically."""
    write_json(path, {"keys": dict(keys)})
