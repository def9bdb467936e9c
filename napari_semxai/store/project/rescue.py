"""Changes that could not be written to a project, kept elsewhere until they can be."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.disk.folders import recovery_folder
from napari_semxai.store.disk.safety_net import (
    CHANGE,
    discard_recovery,
    list_recoveries,
    load_recovery,
    save_recovery,
)
from napari_semxai.store.project.files import annotator_key, read_recipe, recipe_values
from napari_semxai.store.project.records import (
    record_of,
    record_values,
)
from napari_semxai.types import (
    InputError,
    MaskPart,
    ReviewChange,
    ReviewState,
    mask_labels,
    parted,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.store.disk.safety_net import Recovery
    from napari_semxai.types import ProjectImage


class RescueFiles:
    """Where the changes of a project go that cannot be written to it.

    Parameters
    ----------
    project : str
        The project's own id.
    folder : Path, optional
        By default the folder of the recovery copies.
    """

    def __init__(self, project: str, folder: Path | None) -> None:
        self._project, self._folder = project, folder or recovery_folder()
        # By identity: a change that is tried again, by a timer or by hand, is one file.
        self._files: dict[ReviewChange, Path] = {}

    def keep(self, image: ProjectImage, annotator: str, change: ReviewChange) -> str:
        """Put a change that cannot be written into a file, once; say where it is."""
        what = "review" if change.mask is None else "mask"
        try:
            if change not in self._files:
                path = save_change(self._folder, self._project, image, annotator, change)
                self._files[change] = path
        except InputError:
            return f"the {what} is in memory only, save it elsewhere"
        return f"the {what} is kept in {self._files[change]}"

    def written(self, change: ReviewChange) -> None:
        """Remove the file of a change that lies in the project at last."""
        # One that cannot be removed is older than the record, and not written again.
        with suppress(OSError):
            if (path := self._files.pop(change, None)) is not None:
                discard_recovery(path)

    def changes(self, annotator: str) -> dict[str, list[Recovery]]:
        """Return what was kept of an annotator, by image, oldest first."""
        return kept_changes(self._folder, self._project, annotator)

    def load(self, copy: Recovery) -> ReviewChange:
        """Read a change back; its file goes when it is written."""
        change = load_change(copy)
        self._files[change] = copy.path
        return change


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
        "classifier_sha256": change.classifier_sha256,
        "classifier_synthetic": change.classifier_synthetic,
        "back": change.back and record_values(change.back, ""),
        "rule": change.rule,
        "has_ignored": change.ignored is not None,
        "parts": None if change.parts is None else [asdict(part) for part in change.parts],
    }
    info = {"name": image.id, "path": str(image.path), "page": image.page}
    info |= {"project": project, "annotator": annotator, CHANGE: values}
    # A recovery copy always has a mask; `has_mask` tells an absent one from an empty one.
    mask = np.zeros((0, 0), dtype=np.uint8)
    if change.mask is not None:
        mask = mask_labels(change.mask, change.ignored)
    key = f"{project} {image.id} {annotator_key(annotator)}"
    # A part of its own: an earlier change that still waits must not be replaced by a later one.
    return save_recovery(folder, key, mask, info, part=secrets.token_hex(8))


def kept_changes(folder: Path, project: str, annotator: str) -> dict[str, list[Recovery]]:
    """Return an annotator's changes by image, oldest first."""
    found: dict[str, list[Recovery]] = {}
    name = annotator_key(annotator)
    for copy in reversed(list_recoveries(folder)):
        known = copy.is_change and copy.info["project"] == project
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
        values = dict(copy.info[CHANGE])
        state, recipe = values.pop("state"), values.pop("recipe")
        # Earlier copies do not say.
        back, parts = values.pop("back", None), values.pop("parts", None)
        has_ignored = values.pop("has_ignored", False)
        return ReviewChange(
            state=None if state is None else ReviewState(state),
            mask=parted(mask)[0] if values.pop("has_mask") else None,
            ignored=parted(mask)[1] if has_ignored else None,
            recipe=None if recipe is None else read_recipe(recipe),
            back=None if back is None else record_of(back),
            parts=None if parts is None else tuple(MaskPart(**part) for part in parts),
            **values,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{copy.path}: the recovery copy is damaged ({error!r})") from error
