"""Dice against τ, with the current τ of each map on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_semxai.state.comparison import TAUS
from napari_semxai.types.colors import SERIES

if TYPE_CHECKING:
    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from napari_semxai.state.comparison import MapRow

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
        self.setToolTip("Dice of each map at every threshold τ; click a line to move its own τ")

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
            self.picked.emit(nearest.parameter, tau)

    def _draw(self, painter: QPainter, number: int, row: MapRow) -> None:
        area = self._area()
        color = QColor(*row.color) if row.color else QColor(SERIES[number % len(SERIES)])
        painter.setPen(QPen(color, 2))
        pairs = zip(TAUS.tolist(), row.curve.tolist(), strict=True)
        painter.drawPolyline(QPolygonF([self._point(tau, dice) for tau, dice in pairs]))
        painter.drawText(QPointF(area.left() + 6, area.top() + _LINE * (number + 1)), row.name)
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
