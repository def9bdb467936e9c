"""All predictions against one truth: masks, maps and their Dice curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from napari_semxai.controllers.comparison_table import MAP_COLUMNS, MASK_COLUMNS
from napari_semxai.widgets.status import StatusText, keep_room
from napari_semxai.widgets.tau_curve import TauCurve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.state.comparison import ComparisonTable, MaskRow

_MASK_TITLES = ("mask", "Dice", "IoU", "precision", "recall", "accuracy", "area", "true area")
_MAP_TITLES = ("map", "mass", "rank", "pointing", "AUROC", "AP", "best Dice", "at τ")


class ComparisonPanel(QWidget):
    """Two tables and a diagram."""

    def __init__(self) -> None:
        super().__init__()
        self.masks, self.maps = _table(_MASK_TITLES, 8), _table(_MAP_TITLES, 3)
        self.masks.setToolTip(
            "Every mask of this image against the truth; the last three are trivial: a method "
            "that does not beat them says nothing"
        )
        self.maps.setToolTip(
            "No threshold needed. mass: share of relevance inside the truth; rank: share of its "
            "most relevant pixels inside; pointing: whether the maximum is inside, ties shared"
        )
        self.curve, self.empty = TauCurve(), StatusText(1, "Pick a truth to compare with.")
        keep_room(self.empty, self.masks, self.maps, self.curve)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.empty, self.masks, self.maps, self.curve):
            layout.addWidget(part)
        self.set_comparison(None)

    def set_comparison(self, table: ComparisonTable | None) -> None:
        """Show another comparison."""
        masks = () if table is None else table.masks
        maps = () if table is None else table.maps
        _fill(self.masks, [_mask_texts(row) for row in masks])
        _fill(
            self.maps,
            [
                [row.name, *(score_text(getattr(row.localisation, name)) for name in MAP_COLUMNS)]
                for row in maps
            ],
        )
        self.curve.set_rows(tuple(maps))
        self.empty.setVisible(not masks)
        self.masks.setVisible(bool(masks))
        for part in (self.maps, self.curve):
            part.setVisible(bool(maps))


def _mask_texts(row: MaskRow) -> list[str]:
    found = row.scores
    figures = [score_text(getattr(found, name)) for name in MASK_COLUMNS]
    name = f"{row.name} (trivial)" if row.trivial else row.name
    return [name, *figures, str(found.tp + found.fp), str(found.tp + found.fn)]


def _table(titles: Sequence[str], rows: int) -> QTableWidget:
    table = QTableWidget(0, len(titles))
    table.setHorizontalHeaderLabels(titles)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(20)
    table.setMinimumWidth(120)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
    table.setFixedHeight(20 * rows + 48)
    header = table.horizontalHeader()
    for column in range(len(titles)):
        table.setColumnWidth(column, header.fontMetrics().horizontalAdvance("precision") + 12)
    table.setColumnWidth(0, header.fontMetrics().horizontalAdvance("concepts, weighted") + 16)
    return table


def _fill(table: QTableWidget, rows: list[list[str]]) -> None:
    if table.rowCount() != len(rows):
        table.setRowCount(len(rows))
    for number, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = table.item(number, column)
            if item is None:
                item = QTableWidgetItem()
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight)
                table.setItem(number, column, item)
            if item.text() != text:
                item.setText(text)


def score_text(value: float) -> str:
    """Return a score with three decimals, a dash where it is undefined."""
    return "–" if math.isnan(value) else f"{value:.3f}"
