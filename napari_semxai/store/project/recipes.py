"""Recipes and states as files hold them, and the digests that a history is chained by."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_semxai.store.disk.digests import text_digest
from napari_semxai.types import MaskEdit, MaskRecipe, ReviewState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.types import ReviewEvent


def recipe_values(recipe: MaskRecipe) -> dict[str, Any]:
    """Return a recipe as JSON holds it."""
    values = asdict(recipe)
    if recipe.turned == 1:
        # Earlier versions read the files of all images that lie as they are stored.
        del values["turned"]
    for edit in values["edits"]:
        # One line a run would make the file long for people and machines.
        edit["runs"] = " ".join(map(str, edit["runs"]))
    return values


def read_recipe(values: dict[str, Any]) -> MaskRecipe:
    """Return a recipe from what `recipe_values` made of it."""
    edits = tuple(
        MaskEdit(
            edit["name"],
            tuple(edit["box"]),
            tuple(map(int, edit["runs"].split())),
            edit["details"],
        )
        for edit in values["edits"]
    )
    return MaskRecipe(**{**values, "edits": edits})


def stored_state(state: ReviewState) -> str:
    """Return a state as files hold it: earlier programs must not take a rule for a person."""
    return str(ReviewState.CANDIDATE if state is ReviewState.BY_RULE else state)


def recipe_digest(recipe: MaskRecipe | None) -> str:
    """Return the digest of what made a mask; "" where nothing is known of it."""
    return "" if recipe is None else text_digest(json.dumps(recipe_values(recipe), sort_keys=True))


def history_digest(image_id: str, history: Sequence[ReviewEvent]) -> str:
    """Return the digest of the last event, which holds that of the one before, and so on.

    Before the first event it is that of the image's id, so that no history fits another image.
    """
    if not history:
        return text_digest(image_id)
    # As files hold it, or what is read again would have another digest.
    last = asdict(history[-1]) | {"state": stored_state(history[-1].state)}
    return text_digest(json.dumps(last, sort_keys=True))
