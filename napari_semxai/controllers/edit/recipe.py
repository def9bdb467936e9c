"""How the current mask was made, kept up with every edit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.masks.edits import apply_patches, mask_patch
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.companions import compared_values
from napari_semxai.store.images.mask_parts import region_counts
from napari_semxai.types import MaskRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_semxai.state.session import Automatic, Session
    from napari_semxai.types import BoolMask, MaskEdit, SemImage

PACKAGES = ("napari-semxai", "sam2", "torch", "numpy")


class RecipeRecorder:
    """Note what the mask began with and every edit since.

    Whole-mask edits and SAM clicks are edits of their own, with what they were asked for; brush
    strokes, undo and redo between them are one edit together.

    Parameters
    ----------
    session : Session
        Has the automatic mask.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._recipe: MaskRecipe | None = None
        self._start: tuple[BoolMask, SemImage] | None = None
        self._last: BoolMask | None = None
        self._edits: list[MaskEdit] = []
        self._automatic: Automatic | None = None
        self._score: float | None = None

    def start_image(
        self, image: SemImage, mask: BoolMask | None, recipe: MaskRecipe | None
    ) -> None:
        """Begin with an image, its stored mask (M, N) and how that was made."""
        self._last = np.zeros(image.gray.shape, dtype=bool) if mask is None else mask.copy()
        self._start = self._score = None
        # What is on show until now belongs to the image before.
        self._automatic = self._session.automatic
        if mask is None or recipe is None:
            recipe = MaskRecipe("mask" if self._last.any() else "empty", "", "")
            self._start = self._last, image
        self._recipe, self._edits = recipe, list(recipe.edits)

    def settle(self) -> None:
        """Begin with the automatic mask on show, unless a person has changed the mask before.

        Called before every change by a person, because sliders go on to make other ones.
        """
        session = self._session
        automatic, image = session.automatic, session.image
        if automatic is None or image is None or session.edited or automatic is self._automatic:
            return
        self._automatic, self._score = automatic, automatic.score
        self._last, self._edits = automatic.truth.mask, []
        self._start = automatic.truth.mask, image
        self._recipe = MaskRecipe("automatic", "", "", automatic_settings(session, automatic))

    @property
    def score(self) -> float | None:
        """How sure the automatic mask is that it began with, where that was made here."""
        self.settle()
        return self._score

    def is_edited(self, mask: BoolMask | None) -> bool:
        """Return whether `mask` (M, N) is other than the automatic one that it began with."""
        self.settle()
        recipe = self._recipe
        if recipe is None or mask is None or self._last is None:
            return False
        by_hand = bool(self._edits) or recipe.base == "mask"
        return by_hand or not np.array_equal(mask, self._last)

    @property
    def base(self) -> BoolMask | None:
        """The mask (M, N) that it began with, before every edit; None without an image."""
        self.settle()
        # An edit that is made twice is undone.
        return None if self._last is None else apply_patches(self._last, self._edits)

    def note(
        self, before: BoolMask, after: BoolMask, title: str, details: Mapping[str, Any]
    ) -> None:
        """Note an edit of the whole mask, from what was there to what will be."""
        self.settle()
        self._note(before, "stroke", {})
        self._note(after, title, dict(details))

    def recipe(self, mask: BoolMask) -> MaskRecipe | None:
        """Return how `mask` (M, N), as it is now, was made."""
        self.settle()
        if self._recipe is None:
            return None
        if self._start is not None:
            # Only now: digests take longer than a slider's motion may.
            base, image = self._start
            self._recipe = replace(
                self._recipe,
                base_sha256=array_digest(base),
                image_sha256=array_digest(image.pixels),
                turned=image.turned,
            )
            self._start = None
        self._note(mask, "stroke", {})
        # Versions of what made the base: a later edit is a patch, which any version repeats.
        made_with = self._recipe.versions or versions()
        return replace(self._recipe, edits=tuple(self._edits), versions=made_with)

    def _note(self, mask: BoolMask, name: str, details: dict[str, Any]) -> None:
        if self._last is not None and not np.array_equal(mask, self._last):
            self._edits.append(mask_patch(self._last, mask, name, details))
            self._last = mask.copy()


def automatic_settings(session: Session, automatic: Automatic) -> dict[str, Any]:
    """Return what decided an automatic mask that the session shows."""
    origin = automatic.origin
    # What the candidates were made with, which may not be what is chosen now.
    made = replace(
        session.settings,
        model=origin.choice.model,
        device=origin.choice.device,
        generate=origin.generate,
    )
    values = made.to_json(origin.sha256, automatic.left_out.border)
    if automatic.left_out.region is not None:
        values["ignored"] = region_counts(automatic.left_out.region)
    if origin.points is not None:
        values["points_done"], values["points_total"] = origin.points
    chosen = {"winner": automatic.truth.winner, "overridden": automatic.overridden}
    compared = compared_values(automatic.difference)
    return values | chosen | ({} if compared is None else {"compared": compared})


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a mask."""
    return {package: _version(package) for package in PACKAGES}


# Every file that a package has installed is asked, which takes as long as showing an image.
_version = cache(version)
