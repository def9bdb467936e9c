"""Heat maps of the Grad-CAM family: method, layers, and what one costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.controllers.explain.heatmap_source import heat_names
from napari_semxai.controllers.explain.heatmaps import QUICK_SECONDS, seconds_of
from napari_semxai.state.explanation import CamSettings, Heatmaps
from napari_semxai.types import CAM_METHODS
from napari_semxai.widgets.common.forms import Section, button
from napari_semxai.widgets.common.progress_bar import JobBar
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.types import Checks, Heatmap, LayerNode, NetworkLayers

_COMPARED, _SAME = 64, 1e-3


class LayerTree(QTreeWidget):
    """Tick the layers a heat map is made from; none is the default."""

    picked = Signal(tuple)
    """Emitted with the dotted names of the ticked layers."""

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderLabels(["Layer", "Output"])
        self.setMinimumHeight(130)
        # napari's dark theme draws an empty box in the colour of the background.
        self.setStyleSheet("QTreeView::indicator:unchecked { border: 1px solid gray }")
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setToolTip(
            "Tick one or more layers; several are averaged. None ticked: the default layer"
        )
        self._items: dict[str, QTreeWidgetItem] = {}
        self.itemChanged.connect(self._on_item_changed)

    def set_network(self, network: NetworkLayers | None) -> None:
        """Show the layers of a network."""
        with signals_blocked(self):
            self.clear()
            self._items = {}
            for node in () if network is None else network.layers:
                self._add(node, network is not None and node.name == network.cam_default)
            self.resizeColumnToContents(0)

    def set_layers(self, names: tuple[str, ...]) -> None:
        """Tick these, without telling."""
        with signals_blocked(self):
            for name, item in self._items.items():
                # Setting a state would draw a box beside layers that cannot be chosen.
                if item.flags() & Qt.ItemFlag.ItemIsUserCheckable:
                    ticked = Qt.CheckState.Checked if name in names else Qt.CheckState.Unchecked
                    item.setCheckState(0, ticked)

    def _add(self, node: LayerNode, default: bool) -> None:
        parent_name, _, short_name = node.name.rpartition(".")
        shape = " × ".join(map(str, node.shape))
        item = QTreeWidgetItem([f"{short_name} ({node.kind})", shape])
        if node.cam:
            item.setCheckState(0, Qt.CheckState.Unchecked)
        else:
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsUserCheckable)
            item.setForeground(0, self.palette().placeholderText())
        item.setToolTip(0, "Default layer" if default else node.reason or node.name)
        # Parents come before their children; what stands at the top has none.
        parent = self._items.get(parent_name)
        if parent is None:
            self.addTopLevelItem(item)
        else:
            parent.addChild(item)
        # Its parents are opened, or nobody would find what a heat map is made from.
        if default:
            font = item.font(0)
            font.setBold(True)
            item.setFont(0, font)
            while parent is not None:
                parent.setExpanded(True)
                parent = parent.parent()
        self._items[node.name] = item

    def _on_item_changed(self) -> None:
        checked = Qt.CheckState.Checked
        names = (name for name, item in self._items.items() if item.checkState(0) == checked)
        self.picked.emit(tuple(names))


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
        self.method.setToolTip(
            "Methods of the Grad-CAM family; the last ones are slow. Occlusion and RISE cover "
            "parts of the image and need no gradients"
        )
        self.tree = LayerTree()
        self.inside = QCheckBox("Explain the defect mask only")
        self.inside.setToolTip("Show the evidence for the class within the defect mask")
        self.follow = QCheckBox("Update automatically")
        self.follow.setToolTip(
            f"Update heat maps automatically when they take less than {QUICK_SECONDS:.0f} s"
        )
        self.as_drawn = QCheckBox("As the library draws it")
        self.as_drawn.setToolTip(
            "If off, the map is moved to where its layers were measured to look. Paper mode is "
            "always as the library draws it."
        )
        self.bar = JobBar("Compute heat map", "Explain the current image (Alt+X hides it)")
        self.result, self.place = StatusText(), StatusText()
        self.next = button(
            "Next heat map",
            "Show the next heat map of this image, then its concepts (Alt+Shift+X)",
        )
        self.check = button(
            "Check this heat map",
            "Insertion and deletion with two fills; randomised weights, another class, noise: "
            "seven maps more, for methods that take less than 3 s",
        )
        self.checks = StatusText(4)
        self.clear = button("Clear heat maps", "Remove all heat maps of this image")
        self._lay_out()
        self._fill_methods()
        self.method.activated.connect(self._on_method_activated)
        self.tree.picked.connect(self._on_layers_picked)
        self.inside.toggled.connect(self._on_inside_toggled)
        self.as_drawn.toggled.connect(self._on_as_drawn_toggled)

    def set_network(self, network: NetworkLayers | None) -> None:
        """Offer what runs on a network."""
        self._network = network
        self._fill_methods()
        self.tree.set_network(network)
        self.set_settings(self._settings)

    def set_settings(self, settings: CamSettings) -> None:
        """Show settings, without telling."""
        self._settings = settings
        self.method.setCurrentIndex(self.method.findData(settings.method))
        for box, checked in (
            (self.inside, settings.inside_mask),
            (self.as_drawn, settings.as_drawn),
        ):
            with signals_blocked(box):
                box.setChecked(checked)
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
        shown = heatmaps.active
        self.place.setText("" if shown is None else place_text(shown))
        seconds = seconds_of(self._network, self._settings)
        self.check.setEnabled(shown is not None and (seconds or 0) <= QUICK_SECONDS)

    def set_checks(self, checks: Checks | None) -> None:
        """Say how far the heat map that is looked at can be believed."""
        self.checks.setText("" if checks is None else checks_text(checks))

    def set_concepts(self, known: bool) -> None:
        """Offer to go on to the concepts of this image, where there are any."""
        self._concepts = known
        self._enable_next()

    def _enable_next(self) -> None:
        made = self._heatmaps.all
        # "Next" needs something else to go to than what is looked at.
        others = len(made) - (self._heatmaps.active is not None) + self._concepts
        self.next.setEnabled(bool(made) and others > 0)

    def _lay_out(self) -> None:
        layout, row = QFormLayout(self), QHBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        self.layers = Section(
            "Target layers",
            self.tree,
            tip="Layers of the network that the heat map is computed at",
        )
        row.addWidget(self.next)
        row.addWidget(self.clear)
        layout.addRow("Method", self.method)
        layout.addRow(self.layers)
        layout.addRow(self.inside)
        layout.addRow(self.as_drawn)
        layout.addRow(self.follow)
        layout.addRow(self.bar)
        layout.addRow(self.result)
        layout.addRow(self.place)
        layout.addRow(row)
        layout.addRow(Section("Checks of this heat map", self.check, self.checks))

    def _fill_methods(self) -> None:
        with signals_blocked(self.method):
            self.method.clear()
            # Some methods need what not every network has.
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

    def _on_as_drawn_toggled(self, as_drawn: bool) -> None:
        self._pick(replace(self._settings, as_drawn=as_drawn))


def cost_text(network: NetworkLayers | None, settings: CamSettings) -> str:
    """Return what a heat map will take, before it runs."""
    seconds = seconds_of(network, settings)
    if network is None or seconds is None:
        return ""
    if seconds <= QUICK_SECONDS:
        return f"Takes about {max(seconds, 0.1):.1f} s"
    passes = f"{seconds / network.seconds_per_pass:.0f} forward passes"
    return f"⚠ Slow: about {seconds:.0f} s, {passes} on this machine; never starts automatically"


def place_text(shown: Heatmap) -> str:
    """Return where the layers of a heat map were measured to look, and what is done about it."""
    shape = (shown.values.shape[0], shown.values.shape[1])
    places = [place.text(shape, shown.as_drawn) for place in shown.registrations]
    return "; ".join([*places, *["info bar and edge strips left out"] * any(shown.border)])


def result_text(heatmaps: Heatmaps) -> str:
    """Return what the heat map that is looked at says in a line."""
    shown = heatmaps.active
    if shown is None:
        return ""
    if shown.raw_maximum <= 0:
        return f"No evidence for {shown.class_name}: the map is 0 everywhere"
    names = ", ".join(shown.layers)
    layers = f"layer{'s' * (len(shown.layers) > 1)} {names}" if names else "all layers"
    # A mean of maps that were scaled before has no unit.
    top = "mean" if len(shown.layers) > 1 else f"peak {shown.raw_maximum:.3g}"
    number = heatmaps.all.index(shown) + 1
    place = f"heat map {number} of {len(heatmaps.all)}"
    same = [title for other, title in _titles(heatmaps) if _same_map(shown, other)]
    equal = f" · same map as {', '.join(same)}" if same else ""
    return f"{shown.class_name} · {layers} · {top} · {place}{equal}"


def checks_text(checks: Checks) -> str:
    """Return what was found, a line each, with a mark where it speaks against the map."""
    sanity = checks.sanity
    lines = [
        _marked(
            f"{fill} fill: insertion {insertion:.2f}, deletion {deletion:.2f}",
            "" if insertion > deletion else "the class does not need what the map shows",
        )
        for fill, (insertion, deletion) in checks.areas.items()
    ]
    limit, stable = 0.5, 0.8
    mixed, other, noise = sanity.randomised, sanity.other_class, sanity.noise
    against = "the weights hardly matter" if mixed > limit else ""
    against = against or ("the class hardly matters" if other > stable else "")
    lines.append(_marked(f"like randomised weights {mixed:.2f}, other class {other:.2f}", against))
    unstable = "a little noise changes it" if noise < stable else ""
    lines.append(_marked(f"like itself under noise {noise:.2f}", unstable))
    return "<br>".join(lines)


def _marked(text: str, against: str) -> str:
    return f"⚠ {text}: {against}" if against else text


def _titles(heatmaps: Heatmaps) -> list[tuple[Heatmap, str]]:
    names = heat_names(heatmaps.all).items()
    return [(one, name) for one, name in names if one is not heatmaps.active]


def _same_map(one: Heatmap, other: Heatmap) -> bool:
    """Whether two methods say the same, as several do before a global average."""
    if one.method == other.method or one.target != other.target:
        return False
    # Some thousand pixels tell: the window does not wait for millions.
    step = max(1, min(one.values.shape) // _COMPARED)
    places = np.s_[::step, ::step]
    return bool(np.allclose(one.values[places], other.values[places], atol=_SAME))
