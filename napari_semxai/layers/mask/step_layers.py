"""Layers below the mask: steps of Algorithm 1, the candidate under the mouse, what is ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.types import colors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.layers.mask.mask_watch import MaskTool, MaskWatch
    from napari_semxai.layers.owned_layers import OwnedLayers
    from napari_semxai.state.session import Automatic, Session
    from napari_semxai.types import BoolMask

STEPS = {
    "candidates": ("1 candidates", colors.SERIES),
    "winner": ("2 winner M_k", (colors.WINNER,)),
    "complement": ("3 complement", (colors.COMPLEMENT,)),
}


class StepLayers:
    """Show how the automatic mask came about.

    Parameters
    ----------
    session : Session
        What is shown.
    owned : OwnedLayers
        Holds the layers.
    """

    def __init__(self, session: Session, owned: OwnedLayers) -> None:
        self._session, self._owned = session, owned
        self._shown: frozenset[str] = frozenset()
        self._connections = (
            (session.events.automatic, self._on_automatic_changed),
            (session.events.preview, self._on_preview_changed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Show the session no longer; the layers stay."""
        for signal, slot in self._connections:
            signal.disconnect(slot)

    def show(self, names: frozenset[str]) -> None:
        """Show these of `STEPS` as layers and hide the others."""
        self._shown = names
        for name in STEPS:
            if name not in names:
                self._owned.hide(name)
        self._on_automatic_changed(self._session.automatic)

    def _on_automatic_changed(self, automatic: Automatic | None) -> None:
        if automatic is None:
            return
        for name in STEPS:
            if name in self._shown:
                self._show_step(name, automatic)

    def _show_step(self, name: str, automatic: Automatic) -> None:
        source = automatic.pool if name == "candidates" else automatic.truth.surface
        if self._owned.is_new(name, source):
            self._owned.show(name, *STEPS[name], step_labels(name, automatic))

    def _on_preview_changed(self, preview: BoolMask | None) -> None:
        if preview is None:
            self._owned.hide("preview")
            return
        layer = self._owned.show("preview", "preview", (colors.PREVIEW,), preview)
        layer.contour = 3


class IgnoredLayer:
    """What is ignored, for as long as the mask's own layer, which shows it too, is hidden.

    Parameters
    ----------
    owned : OwnedLayers
        Holds the layer.
    tool : MaskTool
        Knows whether what is ignored is to be seen, and in which tint.
    """

    def __init__(self, owned: OwnedLayers, tool: MaskTool) -> None:
        self._owned, self._tool = owned, tool
        self._watch: MaskWatch | None = None

    def follow(self, watch: MaskWatch | None) -> None:
        """Go on with another mask, or with none."""
        if self._watch is not None:
            self._watch.layer.events.visible.disconnect(self._on_changed)
            self._watch.changed.disconnect(self._on_changed)
            self._tool.tint_changed.disconnect(self._on_changed)
        self._watch = watch
        if watch is not None:
            watch.layer.events.visible.connect(self._on_changed)
            watch.changed.connect(self._on_changed)
            self._tool.tint_changed.connect(self._on_changed)

    def _on_changed(self) -> None:
        watch = self._watch
        ignored = None if watch is None or watch.layer.visible else watch.live.ignored
        if watch is None or ignored is None or not self._tool.shown:
            self._owned.hide("ignored")
            return
        tint = self._tool.palette[1:]
        layer = self._owned.show("ignored", "ignored region", tint, ignored)
        layer.opacity = watch.layer.opacity


def step_labels(name: str, automatic: Automatic) -> NDArray[np.uint8]:
    """Return the label image (M, N) of one of `STEPS`."""
    truth, pool = automatic.truth, automatic.pool
    if name == "winner":
        return truth.surface.astype(np.uint8)
    if name == "complement":
        return (~truth.surface).astype(np.uint8)
    labels = np.zeros(pool.shape, dtype=np.uint8)
    # Small candidates last, so that they lie on top.
    for number, index in enumerate(np.argsort(-pool.areas, kind="stable")):
        labels[pool.mask(int(index))] = number % 255 + 1
    return labels
