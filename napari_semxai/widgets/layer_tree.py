"""The layers of a network as a tree to pick target layers from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QTreeWidget, QTreeWidgetItem
from superqt.utils import signals_blocked

if TYPE_CHECKING:
    from napari_semxai.types import LayerNode, NetworkLayers

_NAME = Qt.ItemDataRole.UserRole


class LayerTree(QTreeWidget):
    """Tick the layers a heat map is made from; none is the default."""

    picked = Signal(tuple)
    """Emitted with the dotted names of the ticked layers."""

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderLabels(["layer", "output"])
        self.setMinimumHeight(130)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setToolTip("Tick one layer, or several: their maps are averaged. None: the default")
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
                if item.flags() & Qt.ItemFlag.ItemIsUserCheckable:
                    ticked = Qt.CheckState.Checked if name in names else Qt.CheckState.Unchecked
                    item.setCheckState(0, ticked)

    def _add(self, node: LayerNode, default: bool) -> None:
        parent_name, _, own_name = node.name.rpartition(".")
        shape = " × ".join(map(str, node.shape))
        item = QTreeWidgetItem([f"{own_name} ({node.kind})", shape])
        item.setData(0, _NAME, node.name)
        if node.cam:
            item.setCheckState(0, Qt.CheckState.Unchecked)
        else:
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsUserCheckable)
            item.setForeground(0, self.palette().placeholderText())
        item.setToolTip(0, "the default" if default else node.reason or node.name)
        parent = self._items.get(parent_name)
        if parent is None:
            self.addTopLevelItem(item)
        else:
            parent.addChild(item)
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
