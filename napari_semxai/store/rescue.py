"""Changes that could not be written to a project, kept elsewhere until they can be."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.autosave import list_recoveries, load_recovery, save_recovery
from napari_semxai.store.project_files import annotator_key
from napari_semxai.store.project_records import read_recipe, recipe_values
from napari_semxai.types import InputError, ReviewChange, ReviewState

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.store.autosave import Recovery
    from napari_semxai.types import ProjectImage

_CHANGE = "change"


def save_change(
    folder: Path, project: str, image: ProjectImage, annotator: str, change: ReviewChange
) -> Path:
    """Write a whole change, with or without a mask, as a recovery copy of its own.

    Parameters
    ----------
    folder : Path
        Of the recovery copies.
    project : str
        The project's own id.
    image, annotator, change
        As given to `Project.write_review`.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    values = {
        "state": change.state and str(change.state),
        "has_mask": change.mask is not None,
        "recipe": change.recipe and recipe_values(change.recipe),
        "label": change.label,
        "comment": change.comment,
        "confidence": change.confidence,
        "score": change.score,
    }
    info = {"name": image.id, "path": str(image.path), "page": image.page}
    info |= {"project": project, "annotator": annotator, _CHANGE: values}
    mask = np.zeros((0, 0), dtype=bool) if change.mask is None else change.mask
    key = f"{project} {image.id} {annotator_key(annotator)}"
    return save_recovery(folder, key, mask, info, part=secrets.token_hex(8))


def is_change(copy: Recovery) -> bool:
    """Return whether a recovery copy came from `save_change`."""
    return _CHANGE in copy.info


def kept_changes(folder: Path, project: str, annotator: str) -> dict[str, list[Recovery]]:
    """Return an annotator's changes by image, oldest first."""
    found: dict[str, list[Recovery]] = {}
    name = annotator_key(annotator)
    for copy in reversed(list_recoveries(folder)):
        known = is_change(copy) and copy.info["project"] == project
        if known and annotator_key(copy.info["annotator"]) == name:
            found.setdefault(copy.info["name"], []).append(copy)
    return found


def load_change(copy: Recovery) -> ReviewChange:
    """Read a change back.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    mask, _ = load_recovery(copy.path)
    try:
        values = dict(copy.info[_CHANGE])
        state, recipe = values.pop("state"), values.pop("recipe")
        return ReviewChange(
            state=None if state is None else ReviewState(state),
            mask=mask != 0 if values.pop("has_mask") else None,
            recipe=None if recipe is None else read_recipe(recipe),
            **values,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{copy.path}: the recovery copy is damaged ({error!r})") from error
