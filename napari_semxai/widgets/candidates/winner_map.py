"""Which candidate wins where on the alpha-beta plane, with the current point on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_semxai.algorithms.algorithm1.winner_map import winner_envelope
from napari_semxai.types.colors import GREY, SERIES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from napari_semxai.state.session import Automatic
    from napari_semxai.types import CandidatePool

_COLUMNS, _ROWS = 120, 45
_NOBODY = QColor(GREY)


class WinnerMap(QWidget):
    """A small map; a click moves alpha and beta there.

    Parameters
    ----------
    alpha_limit, beta_limit : float
        The map covers 0 to these.
    """

    picked = Signal(float, float)
    """Alpha and beta of a point a person clicked."""

    def __init__(self, alpha_limit: float, beta_limit: float) -> None:
        super().__init__()
        self._limits = alpha_limit, beta_limit
        self._point = (0.0, 0.0)
        self._pool: CandidatePool | None = None
        self._picture: QImage | None = None
        self.setMinimumHeight(90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Winning candidate at each α (to the right) and β (upwards): one colour per winner, "
            "grey where none passes β. Click a point to use its α and β."
        )

    def sizeHint(self) -> QSize:
        """Return the preferred size."""
        return QSize(240, 90)

    def set_automatic(self, automatic: Automatic | None) -> None:
        """Show the winners among other candidates."""
        pool = None if automatic is None else automatic.pool
        if pool is not self._pool:
            self._pool = pool
            self._picture = None
            if automatic is not None:
                self._picture = _picture(winners(automatic, *self._limits))
            self.update()

    def set_point(self, alpha: float, beta: float) -> None:
        """Mark the current point."""
        self._point = (alpha, beta)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the map and the current point."""
        painter = QPainter(self)
        if self._picture is None:
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
            painter.drawText(
                self.rect(), Qt.AlignmentFlag.AlignCenter, "Map of winners over α and β"
            )
        else:
            painter.drawImage(self.rect(), self._picture)
        x = self._point[0] / self._limits[0] * self.width()
        y = (1 - self._point[1] / self._limits[1]) * self.height()
        for color, width in ((QColor("black"), 4.0), (QColor("white"), 2.0)):
            painter.setPen(QPen(color, width))
            painter.drawEllipse(QPointF(x, y), 5, 5)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move alpha and beta to the clicked point."""
        x, y = event.pos().x() / self.width(), 1 - event.pos().y() / self.height()
        alpha_limit, beta_limit = self._limits
        self.picked.emit(alpha_limit * min(max(x, 0), 1), beta_limit * min(max(y, 0), 1))


def winners(automatic: Automatic, alpha_limit: float, beta_limit: float) -> NDArray[np.int64]:
    """Return the winner at each point of the map, -1 for none, shape (rows, columns).

    Row 0 is the largest beta.
    """
    truth = automatic.truth
    envelope = winner_envelope(truth.areas, truth.distances, automatic.pool.shape)
    alphas = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * alpha_limit
    betas = (np.arange(_ROWS)[::-1] + 0.5) / _ROWS * beta_limit
    return envelope.winners(alphas, betas)


def _picture(found: NDArray[np.int64]) -> QImage:
    image = QImage(found.shape[1], found.shape[0], QImage.Format.Format_RGB32)
    order = [winner for winner in np.unique(found) if winner >= 0]
    for (row, column), winner in np.ndenumerate(found):
        place = order.index(winner) if winner >= 0 else None
        color = _NOBODY if place is None else QColor(SERIES[place % len(SERIES)])
        image.setPixelColor(column, row, color)
    return image
