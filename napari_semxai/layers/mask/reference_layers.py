"""The reference as it lies on the image, and how the image differs from it, as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_semxai.layers.owned_layers import set_visible

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.layers.layout import Layout
    from napari_semxai.state.session import Session
    from napari_semxai.types import SemImage

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

    def blink(self) -> None:
        """Show the reference in the place of the image, or go back."""
        found = self._session.difference
        if found is None or found.picture is None:
            said = "" if found is None else f": {found.reason}"
            self._session.say(f"The image is compared with no reference{said}")
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
            # napari selects what is added, which would take the tool off the mask.
            active = self._viewer.layers.selection.active
            layer = self._own[name] = Image(values, name=name, **_LOOKS[name])
            self._viewer.add_layer(layer)
            self._viewer.layers.selection.active = active
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
