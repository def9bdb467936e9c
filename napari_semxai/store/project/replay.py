"""The stored edits of a mask, repeated; the steps of a network are repeated by the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.masks.patches import apply_patch, apply_patches
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.types import BoolMask, InputError, MaskRecipe

if TYPE_CHECKING:
    from napari_semxai.store.project.project import Project


@dataclass(frozen=True, slots=True, eq=False)
class EditReplay:
    """A mask made again from its recipe.

    Attributes
    ----------
    recipe : MaskRecipe
        How it was made.
    steps : tuple of ndarray of bool, shape (M, N)
        The mask before the first edit, and after each one.
    """

    recipe: MaskRecipe
    steps: tuple[BoolMask, ...]


def replay_edits(project: Project, image_id: str, annotator: str) -> EditReplay:
    """Repeat the stored edits of a mask, and check that they lead to it.

    Edits are flips, so the mask before the first one follows from the saved mask; its digest in
    the recipe proves that it is that mask, and with it that every edit is as it was.

    Raises
    ------
    InputError
        When there is no recipe, the image is another one, or the edits do not lead to the mask.
    """
    image = project.image(image_id)
    record, mask = project.record(image_id, annotator), project.mask(image_id, annotator)
    if record is None or mask is None or record.recipe is None:
        raise InputError(f"{image_id}: {annotator} has no mask with a recipe")
    recipe = record.recipe
    if recipe.image_sha256 != image.sha256:
        raise InputError(f"{image_id}: the recipe is of another image")
    try:
        base = apply_patches(mask, recipe.edits)
        steps = [base]
        for edit in recipe.edits:
            steps.append(apply_patch(steps[-1], edit))
    except ValueError as error:
        raise InputError(f"{image_id}: {error}") from error
    same = array_digest(base) == recipe.base_sha256
    if not same or (recipe.base == "empty" and base.any()):
        raise InputError(f"{image_id}: the stored edits do not lead to the mask of {annotator}")
    return EditReplay(recipe, tuple(steps))


def difference(found: BoolMask, stored: BoolMask) -> float:
    """Return the share of pixels in which two masks (M, N) differ."""
    return float(np.count_nonzero(found != stored) / stored.size)
