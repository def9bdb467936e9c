"""Changes that could not be written to a project, kept elsewhere until they can be."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.disk.folders import recovery_folder
from napari_semxai.store.disk.recovery_copies import (
    discard_recovery,
    list_recoveries,
    load_recovery,
    save_recovery,
)
from napari_semxai.store.project.files import annotator_key
from napari_semxai.store.project.records import (
    read_recipe,
    recipe_values,
    record_of,
    record_values,
)
from napari_semxai.types import InputError, ReviewChange, ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_semxai.store.disk.recovery_copies import Recovery
    from napari_semxai.types import BoolMask, ProjectImage

_CHANGE = "change"


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
        self._project, self._folder = project, folder
        # By identity: a change that is tried again, by a timer or by hand, is one file.
        self._kept: dict[ReviewChange, Path] = {}

    def keep(self, image: ProjectImage, annotator: str, change: ReviewChange) -> str:
        """Put a change into a file, once; say where it is."""
        what = "review" if change.mask is None else "mask"
        try:
            if change not in self._kept:
                self._kept[change] = save_change(
                    self._place, self._project, image, annotator, change
                )
        except InputError:
            return f"the {what} is in memory only, save it elsewhere"
        return f"the {what} is kept in {self._kept[change]}"

    def written(self, change: ReviewChange) -> None:
        """Remove the file of a change that lies in the project at last."""
        if (path := self._kept.pop(change, None)) is not None:
            discard(path)

    def changes(self, annotator: str) -> dict[str, list[Recovery]]:
        """Return what was kept of an annotator, by image, oldest first."""
        return kept_changes(self._place, self._project, annotator)

    @property
    def _place(self) -> Path:
        return self._folder or recovery_folder()


def discard(path: Path) -> None:
    """Remove the file of a change that was written; one that stays is older than its record."""
    with suppress(OSError):
        discard_recovery(path)


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
    }
    info = {"name": image.id, "path": str(image.path), "page": image.page}
    info |= {"project": project, "annotator": annotator, _CHANGE: values}
    # A recovery copy always has a mask; `has_mask` tells an absent one from an empty one.
    mask = np.zeros((0, 0), dtype=bool) if change.mask is None else change.mask
    key = f"{project} {image.id} {annotator_key(annotator)}"
    # A part of its own: an earlier change that still waits must not be replaced by a later one.
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
        # Earlier copies do not say.
        back = values.pop("back", None)
        return ReviewChange(
            state=None if state is None else ReviewState(state),
            mask=mask != 0 if values.pop("has_mask") else None,
            recipe=None if recipe is None else read_recipe(recipe),
            back=None if back is None else record_of(back),
            **values,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{copy.path}: the recovery copy is damaged ({error!r})") from error


def unsaved_masks(
    folder: Path, images: Mapping[str, str], stored: Callable[[str], BoolMask]
) -> list[str]:
    """Return the images whose copies are not what is stored; drop the copies that are.

    Parameters
    ----------
    folder : Path
        Of the recovery copies.
    images : mapping
        Key of a mask to the image that it is of.
    stored : callable
        The mask (M, N) that is written of an image; raises `InputError` where nobody knows.
    """
    found: dict[str, None] = {}
    for copy in list_recoveries(folder):
        if copy.key not in images or is_change(copy):
            continue
        image = images[copy.key]
        try:
            same = np.array_equal(load_recovery(copy.path)[0] != 0, stored(image))
        except InputError:
            # The copy may be all there is.
            same = False
        if same:
            discard_recovery(copy.path)
        else:
            found[image] = None
    return list(found)
