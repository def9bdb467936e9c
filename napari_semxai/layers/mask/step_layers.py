"""Layers below the mask: steps of Algorithm 1, what is ignored, reference and difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_semxai.layers.owned_layers import set_visible, staying_active
from napari_semxai.types import colors

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.layers.layout import Layout
    from napari_semxai.layers.mask.mask_watch import MaskTool, MaskWatch
    from napari_semxai.layers.owned_layers import OwnedLayers
    from napari_semxai.state.session import Automatic, Session
    from napari_semxai.types import BoolMask, SemImage

STEPS = {
    "candidates": ("1 candidates", colors.SERIES),
    "winner": ("2 winner M_k", (colors.WINNER,)),
    "complement": ("3 complement", (colors.COMPLEMENT,)),
}
REFERENCE, DIFFERENCE = "reference", "difference"
STRONGEST = 10.0
"""Units of the noise that are drawn brightest: five are a defect beyond doubt."""
_LOOKS: dict[str, dict[str, Any]] = {
    REFERENCE: {"contrast_limits": (0, 255)},
    DIFFERENCE: {
        "contrast_limits": (0, STRONGEST),
        "colormap": "inferno",
        "blending": "additive",
        "opacity": 0.8,
    },
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


class ReferenceLayers:
    """Show the reference and the difference, each where it is wanted and there is one.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    session : Session
        Has the difference.
    layout : Layout
        Knows the picture and lays layers on it.
    """

    def __init__(self, viewer: ViewerModel, session: Session, layout: Layout) -> None:
        self._viewer, self._session, self._layout = viewer, session, layout
        self.wanted: frozenset[str] = frozenset()
        self._own: dict[str, Image] = {}
        self._shown: dict[str, Difference] = {}
        self._connections = (
            (session.events.image, self._on_image_changed),
            (session.events.difference, self._on_difference_changed),
            (viewer.layers.events.removed, self._on_layer_removed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Show the session no longer; the layers stay."""
        for signal, slot in self._connections:
            signal.disconnect(slot)

    def show(self, names: frozenset[str]) -> None:
        """Show these of `REFERENCE` and `DIFFERENCE`, also of the next images."""
        self.wanted = names
        self._on_difference_changed(self._session.difference)

    @property
    def layers(self) -> tuple[Image, ...]:
        """What lies over the picture as a ground for all else, shown or not."""
        return tuple(self._own.values())

    def blink(self) -> None:
        """Show the reference in the place of the image, or go back."""
        found = self._session.difference
        if found is None:
            self._session.say(
                "No reference to show: choose one in Mask candidates, then generate candidates"
            )
            return
        if found.picture is None:
            self._session.say(f"The image is compared with no reference: {found.reason}")
            return
        layer = self._own.get(REFERENCE)
        if layer is not None and layer.visible:
            layer.visible = False
        else:
            self._show(REFERENCE, found.picture, found)

    def _on_image_changed(self, _: SemImage | None) -> None:
        # Told before the next comparison: what is on show is the image before.
        self._on_difference_changed(self._session.difference)

    def _on_difference_changed(self, found: Difference | None) -> None:
        for name in _LOOKS:
            values = None
            if found is not None and name in self.wanted:
                values = found.picture if name == REFERENCE else found.strength
            if found is None or values is None or not values.size:
                if name in self._own:
                    set_visible(self._own[name], False)
            else:
                self._show(name, values, found)

    def _show(self, name: str, values: NDArray[Any], found: Difference) -> None:
        layer = self._own.get(name)
        if layer is None:
            layer = self._own[name] = Image(values, name=name, **_LOOKS[name])
            with staying_active(self._viewer):
                self._viewer.add_layer(layer)
        elif self._shown.get(name) is not found:
            layer.data = values
        self._shown[name] = found
        self._put_above_picture(layer)
        self._layout.lay(layer)
        set_visible(layer, True)

    def _put_above_picture(self, layer: Image) -> None:
        """Masks stay on top of it; another image's picture may be another layer."""
        layers, below = self._viewer.layers, self._layout.picture
        if layer is self._own.get(DIFFERENCE):
            below = self._own.get(REFERENCE, below)
        if below in layers and layers.index(layer) != layers.index(below) + 1:
            layers.move(layers.index(layer), layers.index(below) + 1)

    def _on_layer_removed(self, event: object) -> None:
        gone = event.value  # type: ignore[attr-defined]
        self._own = {name: layer for name, layer in self._own.items() if layer is not gone}
