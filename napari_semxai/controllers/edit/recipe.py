"""How the current mask was made, kept up with every edit."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.masks.patches import mask_patch
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.types import MaskRecipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.state.session import Automatic, Proposal, Session
    from napari_semxai.types import BoolMask, MaskEdit, SemImage

PACKAGES = ("napari-semxai", "sam2", "torch", "numpy")


class RecipeRecorder:
    """Note what the mask began with and every edit since.

    Whole-mask edits and SAM clicks are edits of their own, with what they were asked for; brush
    strokes, undo and redo between them are one edit together. Connect before the layers do: an
    edit is noted just before it is written.

    Parameters
    ----------
    session : Session
        Tells of automatic masks and edits.
    mask : callable
        Returns the mask (M, N) as it is now, or None.

    Attributes
    ----------
    score : float or None
        Predicted IoU of the automatic mask that the mask began with, where that was made here.
    """

    def __init__(self, session: Session, mask: Callable[[], BoolMask | None]) -> None:
        self._session, self._mask = session, mask
        self._recipe: MaskRecipe | None = None
        self._start: tuple[BoolMask, SemImage] | None = None
        self._last: BoolMask | None = None
        self._edits: list[MaskEdit] = []
        self.score: float | None = None
        session.events.automatic.connect(self._on_automatic_changed)
        session.events.proposal.connect(self._on_proposal_changed)

    @property
    def edited(self) -> bool:
        """Whether the mask is other than the automatic one that it began with."""
        recipe, mask = self._recipe, self._mask()
        if recipe is None or mask is None or self._last is None:
            return False
        by_hand = bool(self._edits) or recipe.base == "mask"
        return by_hand or not np.array_equal(mask, self._last)

    def begin(self, image: SemImage, mask: BoolMask | None, recipe: MaskRecipe | None) -> None:
        """Begin with an image, its stored mask (M, N) and how that was made."""
        self._last = np.zeros(image.gray.shape, dtype=bool) if mask is None else mask.copy()
        if mask is None or recipe is None:
            base = "mask" if self._last.any() else "empty"
            recipe = MaskRecipe(base, array_digest(self._last), array_digest(image.pixels))
        self._recipe, self._edits, self._start = recipe, list(recipe.edits), None
        self.score = None

    def recipe(self, mask: BoolMask) -> MaskRecipe | None:
        """Return how `mask` (M, N), as it is now, was made."""
        if self._recipe is None:
            return None
        if self._start is not None:
            # Only now: digests take longer than a slider's motion may.
            base, image = self._start
            self._recipe = replace(
                self._recipe,
                base_sha256=array_digest(base),
                image_sha256=array_digest(image.pixels),
            )
            self._start = None
        recipe = self._recipe
        self._note(mask, "stroke", {})
        return MaskRecipe(
            recipe.base,
            recipe.base_sha256,
            recipe.image_sha256,
            recipe.settings,
            tuple(self._edits),
            # Those that made the base: a later edit is a patch, which any version repeats.
            recipe.versions or versions(),
        )

    def _note(self, mask: BoolMask, name: str, details: dict[str, Any]) -> None:
        if self._last is not None and not np.array_equal(mask, self._last):
            self._edits.append(mask_patch(self._last, mask, name, details))
            self._last = mask.copy()

    def _on_automatic_changed(self, automatic: Automatic | None) -> None:
        session = self._session
        if automatic is None or session.edited or session.image is None:
            return
        self._last, self._edits = automatic.truth.mask, []
        self._start = automatic.truth.mask, session.image
        self._recipe = MaskRecipe("automatic", "", "", automatic_settings(session, automatic))
        self.score = automatic.score

    def _on_proposal_changed(self, proposal: Proposal | None) -> None:
        mask = self._mask()
        if proposal is not None and mask is not None:
            self._note(mask, "stroke", {})
            self._note(proposal.mask, proposal.title, dict(proposal.details))


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
    values = made.to_json(origin.sha256, automatic.border)
    if origin.points is not None:
        values["points_done"], values["points_total"] = origin.points
    chosen = {"winner": automatic.truth.winner, "overridden": automatic.overridden}
    return values | chosen


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a mask."""
    return {package: version(package) for package in PACKAGES}
