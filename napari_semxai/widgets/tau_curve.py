"""Dice against τ, with the current τ on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_semxai.layers.colors import CANDIDATES
from napari_semxai.state.comparison import TAUS

if TYPE_CHECKING:
    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from napari_semxai.state.comparison import MapRow

_MARGIN, _LINE = 18, 13


class TauCurve(QWidget):
    """One line for each map; a click moves τ of the heat maps there."""

    picked = Signal(float)
    """Emitted with the τ a person clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[MapRow, ...] = ()
        self._tau = 0.5
        self.setMinimumHeight(130)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Dice of each map at every threshold τ; click to move τ there")

    def sizeHint(self) -> QSize:
        """Return the preferred size."""
        return QSize(260, 150)

    def set_rows(self, rows: tuple[MapRow, ...]) -> None:
        """Draw the curves of these maps."""
        self._rows = rows
        self.update()

    def set_tau(self, tau: float) -> None:
        """Mark the current threshold."""
        self._tau = tau
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the frame, the curves, the current τ and the legend."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area, text = self._area(), self.palette().text().color()
        painter.setPen(QPen(text, 1))
        painter.drawRect(area)
        painter.drawText(QPointF(area.left(), self.height() - 4), "τ = 0")
        painter.drawText(QPointF(area.right() - 10, self.height() - 4), "1")
        painter.drawText(QPointF(2, area.top() + 10), "1")
        painter.drawText(QPointF(2, area.bottom()), "0")
        painter.setPen(QPen(text, 1, Qt.PenStyle.DashLine))
        x = area.left() + self._tau * area.width()
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        for number, row in enumerate(self._rows):
            self._draw(painter, number, row)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move τ to the clicked place."""
        area = self._area()
        share = (QPointF(event.pos()).x() - area.left()) / max(area.width(), 1)
        self.picked.emit(min(max(share, 0.0), 1.0))

    def _draw(self, painter: QPainter, number: int, row: MapRow) -> None:
        area = self._area()
        painter.setPen(QPen(QColor(CANDIDATES[number % len(CANDIDATES)]), 2))
        points = [
            QPointF(area.left() + tau * area.width(), area.bottom() - dice * area.height())
            for tau, dice in zip(TAUS.tolist(), row.curve.tolist(), strict=True)
        ]
        painter.drawPolyline(QPolygonF(points))
        painter.drawText(QPointF(area.left() + 6, area.top() + _LINE * (number + 1)), row.name)

    def _area(self) -> QRectF:
        return QRectF(_MARGIN, 4, self.width() - _MARGIN - 6, self.height() - _MARGIN - 6)
