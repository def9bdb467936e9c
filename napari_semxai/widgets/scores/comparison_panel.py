"""All predictions against one truth: masks, maps and their Dice curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import (
    QAbstractItemView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_semxai.controllers.scores.comparison_table import MAP_COLUMNS, MASK_COLUMNS
from napari_semxai.state.comparison import TAUS
from napari_semxai.types.colors import SERIES
from napari_semxai.widgets.common.status import StatusText, keep_room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from napari_semxai.state.comparison import ComparisonTable, MapRow, MaskRow


_MARGIN, _LINE, _DOT = 18, 13, 4.0


class TauCurve(QWidget):
    """One line for each map; a click moves the τ of the line next to it there."""

    picked = Signal(str, float)
    """Emitted with the threshold, "tau" or "concept_tau", and where a person clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[MapRow, ...] = ()
        self._taus: dict[str, float] = {}
        self.setMinimumHeight(130)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Dice of each map at every threshold τ; click a curve to set its τ")

    def sizeHint(self) -> QSize:
        """Return the preferred size."""
        return QSize(260, 150)

    def set_rows(self, rows: tuple[MapRow, ...]) -> None:
        """Draw the curves of these maps."""
        self._rows = rows
        self.update()

    def set_taus(self, taus: dict[str, float]) -> None:
        """Mark the current thresholds; what has none gets no dot."""
        self._taus = taus
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the frame, the curves with their dots, and the legend."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area, text = self._area(), self.palette().text().color()
        painter.setPen(QPen(text, 1))
        painter.drawRect(area)
        painter.drawText(QPointF(area.left(), self.height() - 4), "τ = 0")
        painter.drawText(QPointF(area.right() - 10, self.height() - 4), "1")
        painter.drawText(QPointF(2, area.top() + 10), "1")
        painter.drawText(QPointF(2, area.bottom()), "0")
        for number, row in enumerate(self._rows):
            self._draw(painter, number, row)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move the τ of the nearest line to the clicked place."""
        area, place = self._area(), QPointF(event.pos())
        tau = min(max((place.x() - area.left()) / max(area.width(), 1), 0.0), 1.0)
        if self._rows:
            nearest = min(
                self._rows, key=lambda row: abs(self._point(tau, row.dice_at(tau)).y() - place.y())
            )
            # All maps of a kind share a threshold: the line only says which kind is meant.
            self.picked.emit(nearest.parameter, tau)

    def _draw(self, painter: QPainter, number: int, row: MapRow) -> None:
        area = self._area()
        color = QColor(*row.color) if row.color else QColor(SERIES[number % len(SERIES)])
        painter.setPen(QPen(color, 2))
        pairs = zip(TAUS.tolist(), row.curve.tolist(), strict=True)
        painter.drawPolyline(QPolygonF([self._point(tau, dice) for tau, dice in pairs]))
        painter.drawText(QPointF(area.left() + 6, area.top() + _LINE * (number + 1)), row.name)
        # In paper mode concepts have a δ and no τ, so no dot.
        tau = self._taus.get(row.parameter)
        if tau is not None:
            painter.setBrush(color)
            painter.drawEllipse(self._point(tau, row.dice_at(tau)), _DOT, _DOT)
            painter.setBrush(Qt.BrushStyle.NoBrush)

    def _point(self, tau: float, dice: float) -> QPointF:
        area = self._area()
        return QPointF(area.left() + tau * area.width(), area.bottom() - dice * area.height())

    def _area(self) -> QRectF:
        return QRectF(_MARGIN, 4, self.width() - _MARGIN - 6, self.height() - _MARGIN - 6)


_MASK_TITLES = ("Mask", "Dice", "IoU", "Precision", "Recall", "Accuracy", "Area", "True area")
_MAP_TITLES = ("Map", "Mass", "Rank", "Pointing", "AUROC", "AP", "Best Dice", "At τ")


class ComparisonPanel(QWidget):
    """Two tables and a diagram."""

    def __init__(self) -> None:
        super().__init__()
        self.masks, self.maps = _table(_MASK_TITLES, 8), _table(_MAP_TITLES, 3)
        self.masks.setToolTip(
            "Every mask of this image against the truth. The last three are trivial baselines, "
            "which a useful method must beat."
        )
        self.maps.setToolTip(
            "Localisation without a threshold. Mass: share of relevance inside the truth. Rank: "
            "share of the most relevant pixels inside. Pointing: whether the maximum is inside."
        )
        self.curve, self.empty = TauCurve(), StatusText(1, "Choose a truth to compare with.")
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
        table.setColumnWidth(column, header.fontMetrics().horizontalAdvance("Precision") + 12)
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
