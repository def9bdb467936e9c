"""All concepts of a bank: legend, importances and gallery in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_semxai.widgets.concept_row import ConceptRow

if TYPE_CHECKING:
    from napari_semxai.types import ConceptBank, FloatArray


class ConceptList(QWidget):
    """One row for each concept, the most important one first."""

    toggled = Signal(int, bool)
    """Emitted with the number of a concept and whether it is ticked."""
    crop_picked = Signal(int, int)
    """Emitted with the numbers of a concept and of one of its crops."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[ConceptRow] = []
        self._bank: ConceptBank | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)

    def set_bank(self, bank: ConceptBank | None) -> None:
        """Show the concepts of another bank."""
        if bank is self._bank:
            return
        self._bank = bank
        number = 0 if bank is None else len(bank.importances)
        # A list that got shorter would let a dock that is scrolled to its end jump.
        self.setMinimumHeight(max(self.minimumHeight(), self.sizeHint().height()))
        for row in self.rows[number:]:
            self._column.removeWidget(row)
            row.deleteLater()
        # Rows are used again: a new one takes as long as a layer of its concept.
        self.rows = self.rows[:number]
        while len(self.rows) < number:
            self._add(ConceptRow(len(self.rows)))
        if bank is not None:
            for row, color, crops in zip(self.rows, bank.colors, bank.crops, strict=True):
                row.set_concept(tuple(color.tolist()), crops)

    def set_shown(self, shown: frozenset[int]) -> None:
        """Tick these concepts."""
        for number, row in enumerate(self.rows):
            row.set_shown(number in shown)

    def set_importances(self, importances: FloatArray | None) -> None:
        """Show these importances, the bars relative to the largest."""
        if importances is None or len(importances) != len(self.rows):
            importances = np.full(len(self.rows), np.nan)
        largest = float(np.fmax.reduce(importances, initial=0.0))
        for row, importance in zip(self.rows, importances, strict=True):
            row.set_importance(float(importance), largest)

    def _add(self, row: ConceptRow) -> None:
        row.toggled.connect(self.toggled)
        row.crop_picked.connect(self.crop_picked)
        self._column.addWidget(row)
        self.rows.append(row)
