"""Heat maps of the Grad-CAM family: method, layers, and what one costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QHBoxLayout, QWidget
from superqt import QCollapsible
from superqt.utils import signals_blocked

from napari_semxai.controllers.heatmaps import QUICK_SECONDS, seconds_of
from napari_semxai.state.explanation import CamSettings, Heatmaps
from napari_semxai.types import CAM_METHODS
from napari_semxai.widgets.activity_bar import ActivityBar
from napari_semxai.widgets.layer_tree import LayerTree
from napari_semxai.widgets.parts import button
from napari_semxai.widgets.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.types import NetworkLayers


class GradcamPanel(QWidget):
    """Choose and start a heat map."""

    picked = Signal(object)
    """Emitted with `CamSettings`."""

    def __init__(self) -> None:
        super().__init__()
        self._settings = CamSettings()
        self._network: NetworkLayers | None = None
        self._heatmaps, self._concepts = Heatmaps(), False
        self.method = QComboBox()
        self.method.setToolTip("Method of the Grad-CAM family; the last ones are slow")
        self.tree = LayerTree()
        self.inside = QCheckBox("explain the defect mask only")
        self.inside.setToolTip("Why inside this mask: the evidence for the class within it")
        self.follow = QCheckBox("follow the image and the class")
        self.follow.setToolTip(f"Heat maps that take less than {QUICK_SECONDS:.0f} s renew alone")
        self.bar = ActivityBar("Explain", "Make a heat map of the current image (Alt+X hides it)")
        self.result = StatusText()
        self.next = button(
            "Next", "Look at the next heat map that was made, then at the concepts (Alt+Shift+X)"
        )
        self.clear = button("Clear", "Drop the heat maps of this image")
        self._lay_out()
        self._fill_methods()
        self.method.activated.connect(self._on_method_activated)
        self.tree.picked.connect(self._on_layers_picked)
        self.inside.toggled.connect(self._on_inside_toggled)

    def set_network(self, network: NetworkLayers | None) -> None:
        """Offer what runs on a network."""
        self._network = network
        self._fill_methods()
        self.tree.set_network(network)
        self.set_settings(self._settings)

    def set_settings(self, settings: CamSettings) -> None:
        """Show settings, without telling."""
        self._settings = settings
        with signals_blocked(self.method), signals_blocked(self.inside):
            self.method.setCurrentIndex(self.method.findData(settings.method))
            self.inside.setChecked(settings.inside_mask)
        self.tree.set_layers(settings.layers)
        self.bar.set_idle(cost_text(self._network, settings))

    def set_follow(self, follow: bool) -> None:
        """Show whether heat maps renew alone, without telling."""
        with signals_blocked(self.follow):
            self.follow.setChecked(follow)

    def set_heatmaps(self, heatmaps: Heatmaps) -> None:
        """Say what is shown."""
        self._heatmaps = heatmaps
        self._enable_next()
        self.clear.setEnabled(bool(heatmaps.all))
        self.result.setText(result_text(heatmaps))

    def set_concepts(self, known: bool) -> None:
        """Offer to go on to the concepts of this image, where there are any."""
        self._concepts = known
        self._enable_next()

    def _enable_next(self) -> None:
        made = self._heatmaps.all
        others = len(made) - (self._heatmaps.active is not None) + self._concepts
        self.next.setEnabled(bool(made) and others > 0)

    def _lay_out(self) -> None:
        layout, row = QFormLayout(self), QHBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        self.layers = QCollapsible("Target layers")
        self.layers.toggleButton().setToolTip("Where in the network the heat map is taken from")
        self.layers.addWidget(self.tree)
        row.addWidget(self.next)
        row.addWidget(self.clear)
        layout.addRow("method", self.method)
        layout.addRow(self.layers)
        layout.addRow(self.inside)
        layout.addRow(self.follow)
        layout.addRow(self.bar)
        layout.addRow(self.result)
        layout.addRow(row)

    def _fill_methods(self) -> None:
        with signals_blocked(self.method):
            self.method.clear()
            for method in CAM_METHODS if self._network is None else self._network.methods:
                self.method.addItem(method.title, method.name)

    def _pick(self, settings: CamSettings) -> None:
        self.set_settings(settings)
        self.picked.emit(settings)

    def _on_method_activated(self, index: int) -> None:
        self._pick(replace(self._settings, method=self.method.itemData(index)))

    def _on_layers_picked(self, names: tuple[str, ...]) -> None:
        self._pick(replace(self._settings, layers=names))

    def _on_inside_toggled(self, inside: bool) -> None:
        self._pick(replace(self._settings, inside_mask=inside))


def cost_text(network: NetworkLayers | None, settings: CamSettings) -> str:
    """Return what a heat map will take, before it runs."""
    seconds = seconds_of(network, settings)
    if seconds is None:
        return ""
    if seconds <= QUICK_SECONDS:
        return f"takes about {max(seconds, 0.1):.1f} s"
    return f"⚠ slow: takes about {seconds:.0f} s on this machine; starts with Explain only"


def result_text(heatmaps: Heatmaps) -> str:
    """Return what the heat map that is looked at says in a line."""
    shown = heatmaps.active
    if shown is None:
        return ""
    if shown.raw_maximum <= 0:
        return f"No evidence for {shown.class_name}: the map is 0 everywhere"
    layers = ", ".join(shown.layers) or "all layers"
    # A mean of maps that were scaled before has no unit.
    top = "mean" if len(shown.layers) > 1 else f"maximum {shown.raw_maximum:.3g}"
    return f"{shown.class_name} from {layers}; {top} ({len(heatmaps.all)} of this image)"
