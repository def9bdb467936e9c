"""A list of a viewer's layers to pick one from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy
from superqt.utils import signals_blocked

from napari_semxai.layers.files import ROLE
from napari_semxai.layers.owned_layers import EXPLANATION

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


class LayerCombo(QComboBox):
    """Layers of one type, known by identity: renaming and moving them changes nothing.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers.
    layer_type : type
        Which of them.
    tip : str
        The tooltip.
    """

    picked = Signal(object)
    """Emitted with the layer a person picked, None for "none"."""
    refreshed = Signal()
    """The layers on offer changed."""

    def __init__(self, viewer: ViewerModel, layer_type: type[Layer], tip: str) -> None:
        super().__init__()
        self._viewer = viewer
        self._type = layer_type
        self._layers: list[Layer | None] = [None]
        self.setToolTip(tip)
        # Layers may have long names, which must not widen the whole dock.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.activated.connect(self._on_activated)
        events = viewer.layers.events
        self._connections = tuple(
            (event, self._on_layers_changed)
            for event in (events.inserted, events.removed, events.moved, events.changed)
        )
        for signal, slot in self._connections:
            signal.connect(slot)
        self._on_layers_changed()

    def release(self) -> None:
        """Follow the viewer no longer."""
        for signal, slot in self._connections:
            signal.disconnect(slot)
        for layer in self._layers:
            if layer is not None:
                layer.events.name.disconnect(self._on_layers_changed)
        self._layers = [None]

    @property
    def layer(self) -> Layer | None:
        """The layer that is picked now."""
        return self._layers[max(self.currentIndex(), 0)]

    @property
    def layers(self) -> list[Layer]:
        """The layers on offer."""
        return [layer for layer in self._layers if layer is not None]

    def set_layer(self, layer: Layer | None) -> None:
        """Show `layer` as picked, without telling."""
        with signals_blocked(self):
            self.setCurrentIndex(self._layers.index(layer) if layer in self._layers else 0)

    def _on_layers_changed(self, event: object = None) -> None:
        # Before the list is made anew: a place in it names another layer then.
        current = self.layer
        for layer in self._layers:
            if layer is not None:
                layer.events.name.disconnect(self._on_layers_changed)
        found = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, self._type) and layer.metadata.get(ROLE) != EXPLANATION
        ]
        self._layers = [None, *found]
        for layer in found:
            layer.events.name.connect(self._on_layers_changed)
        with signals_blocked(self):
            self.clear()
            self.addItems(["(none)", *(layer.name for layer in found)])
        self.set_layer(current)
        self.refreshed.emit()

    def _on_activated(self, index: int) -> None:
        self.picked.emit(self._layers[index])
