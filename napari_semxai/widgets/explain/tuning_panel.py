"""The tuning assistant of CRAFT: settings tried, figures, and advice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractItemView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.status import Passage

if TYPE_CHECKING:
    from napari_semxai.types import NetworkLayers, SweepAdvice, SweepRow

COLUMNS = ("Layer", "k", "Patch", "R²", "Agreement", "Stability", "Important", "IoU", "s")


class TuningPanel(QWidget):
    """Try settings; a double click takes one."""

    picked = Signal(object)
    """Emitted with the `SweepRow` a person took."""

    def __init__(self) -> None:
        super().__init__()
        self.tune = button(
            "Try settings",
            "Fit with several layers, k and patch sizes; IoU where images have a validated mask",
        )
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setMinimumSize(120, 120)
        self.table.setToolTip("Double-click a row to use its settings for the next fit")
        self.advice = Passage(5)
        self._rows: tuple[SweepRow, ...] = ()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.tune, self.table, self.advice):
            layout.addWidget(part)
        self.table.cellDoubleClicked.connect(self._on_row_picked)

    def set_network(self, network: NetworkLayers | None) -> None:
        """Offer to try settings only where CRAFT can run."""
        self.tune.setEnabled(network is None or not network.craft_missing)

    def set_rows(self, rows: tuple[SweepRow, ...]) -> None:
        """Show what was tried."""
        self._rows = rows
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(_texts(row)):
                self.table.setItem(number, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()

    def set_advice(self, advice: SweepAdvice | None) -> None:
        """Show what is advised, and why."""
        if advice is None:
            self.advice.setText("")
            return
        self.table.selectRow(advice.suggested)
        row = advice.rows[advice.suggested]
        lines = [f"Suggested: {row.layer}, k = {row.n_concepts}, patch {row.patch_size}"]
        self.advice.setText("\n".join([*lines, *advice.reasons, *advice.skipped]))

    def _on_row_picked(self, number: int) -> None:
        self.picked.emit(self._rows[number])


def _texts(row: SweepRow) -> tuple[str, ...]:
    figures = (row.r2, row.agreement, row.stability)
    return (
        row.layer,
        str(row.n_concepts),
        str(row.patch_size),
        *(_figure(value) for value in figures),
        str(row.n_important),
        _figure(row.iou),
        f"{row.seconds:.0f}",
    )


def _figure(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"
