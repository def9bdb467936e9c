"""The ranked mask candidates: as a table, and as a map of who wins at each alpha and beta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPointF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableView, QWidget

from napari_semxai.algorithms.algorithm1.winner_map import winner_envelope
from napari_semxai.types.colors import GREY, SERIES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from napari_semxai.state.session import Automatic
    from napari_semxai.types import CandidatePool

COLUMNS = (
    ("S", "Score S = A · (1 − d)^α"),
    ("Area", "A: area of the candidate in pixels"),
    ("%", "Share of the image; must exceed β"),
    ("d", "Distance of the centroid from the image centre, divided by the image diagonal"),
    ("IoU", "Predicted IoU: the network's estimate of the mask's quality"),
    ("Stab.", "Stability score: area above logit +1 divided by area above logit −1"),
    ("", "★: the winner. ≤ β: its area is too small to win. Δ: from the difference"),
)
_WIDTHS = ("888888", "888888", "88.88", "8.888", "8.888", "8.888", "≤ β Δ")
_NOTE = len(COLUMNS) - 1
_COLUMNS, _ROWS = 120, 45
_NOBODY = QColor(GREY)


class CandidateModel(QAbstractTableModel):
    """Candidates by falling score, the excluded ones below."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._automatic: Automatic | None = None
        self._texts: dict[int, tuple[str, ...]] = {}
        self.order: list[int] = []

    def set_automatic(self, automatic: Automatic | None) -> None:
        """Show another result."""
        # Rows are few and all change with the order: nothing of a selection would be worth
        # keeping.
        self.beginResetModel()
        self._automatic = automatic
        self._texts = {}
        self.order = [] if automatic is None else ranked(automatic)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of candidates."""
        return 0 if parent is not None and parent.isValid() else len(self.order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Return a column's title or explanation."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section][0]
            if role == Qt.ItemDataRole.ToolTipRole:
                return COLUMNS[section][1]
        elif role == Qt.ItemDataRole.DisplayRole:
            return section + 1
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell."""
        if self._automatic is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            candidate = self.order[index.row()]
            # Cells are asked for at every paint, and the stability needs the candidate's curve.
            if candidate not in self._texts:
                self._texts[candidate] = _texts(self._automatic, candidate)
            return self._texts[candidate][index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _reason(self._automatic, self.order[index.row()])
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() != _NOTE:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


class CandidateTable(QTableView):
    """The table: a click chooses a candidate, hovering previews it."""

    hovered = Signal(object)
    """Index in the filtered pool of the candidate under the mouse, or None."""
    chosen = Signal(int)
    """Index in the filtered pool of the candidate a person clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._candidates = CandidateModel(self)
        self.setModel(self._candidates)
        self.setMouseTracking(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setToolTip("Click a row to make it the winner; hover over it for a preview")
        self.verticalHeader().setDefaultSectionSize(20)
        # As wide without rows: the columns stay where they are.
        self.verticalHeader().setFixedWidth(self.fontMetrics().horizontalAdvance("000") + 4)
        # Measuring every cell on every slider motion would cost more than all the rest.
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setMinimumSectionSize(16)
        widths = [header.fontMetrics().horizontalAdvance(sample) + 8 for sample in _WIDTHS]
        for column, width in enumerate(widths):
            header.resizeSection(column, width)
        # All of it fits the narrowest dock: nothing is found by scrolling sideways only.
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        frame = self.verticalHeader().width() + self.verticalScrollBar().sizeHint().width() + 8
        self.setMinimumSize(sum(widths) + frame, 150)
        header.setStretchLastSection(True)
        self.entered.connect(self._on_entered)
        self.clicked.connect(self._on_clicked)

    def set_automatic(self, automatic: Automatic | None) -> None:
        """Show another result."""
        self._candidates.set_automatic(automatic)

    def leaveEvent(self, event: QEvent) -> None:
        """Hide the preview when the mouse leaves."""
        self.hovered.emit(None)
        super().leaveEvent(event)

    def _on_entered(self, index: QModelIndex) -> None:
        self.hovered.emit(self._candidates.order[index.row()])

    def _on_clicked(self, index: QModelIndex) -> None:
        self.chosen.emit(self._candidates.order[index.row()])


def ranked(automatic: Automatic) -> list[int]:
    """Return the candidates in the order of the table's rows."""
    truth = automatic.truth
    # `lexsort` sorts by its last key first: the excluded ones come below all others.
    keys = (-np.nan_to_num(truth.scores), ~truth.eligible)
    order: list[int] = np.lexsort(keys).tolist()
    return order


def _texts(automatic: Automatic, candidate: int) -> tuple[str, ...]:
    truth, pool = automatic.truth, automatic.pool
    area = int(truth.areas[candidate])
    return (
        _short(truth.scores[candidate]),
        _short(area),
        f"{100 * area / (pool.shape[0] * pool.shape[1]):.2f}",
        f"{truth.distances[candidate]:.3f}",
        f"{pool.predicted_iou[candidate]:.3f}",
        f"{pool.take(np.array([candidate])).stability_score[0]:.3f}",
        _note(automatic, candidate),
    )


def _short(value: float) -> str:
    """Return a number that six digits have room for."""
    return f"{value:.0f}" if value < 1e6 else f"{value / 1e6:.4g}M"


def _note(automatic: Automatic, candidate: int) -> str:
    signs = ["Δ"] * _is_proposed(automatic, candidate)
    if candidate == automatic.truth.winner:
        signs.insert(0, "★")
    elif not automatic.truth.eligible[candidate]:
        signs.insert(0, "≤ β")
    return " ".join(signs)


def _reason(automatic: Automatic, candidate: int) -> str | None:
    """Return what the last column's signs say in words; None where it is empty."""
    said = ["Proposed by the difference to the reference"] * _is_proposed(automatic, candidate)
    if candidate == automatic.truth.winner:
        said.insert(0, "Chosen by hand" if automatic.overridden else "Winner")
    elif not automatic.truth.eligible[candidate]:
        said.insert(0, "Excluded: its area is not above β")
    return "\n".join(said) or None


def _is_proposed(automatic: Automatic, candidate: int) -> bool:
    proposed = automatic.pool.proposed
    return proposed is not None and bool(proposed[candidate])


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
        # The map depends on the candidates alone: α and β only move the mark.
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
        # White on black is seen on every winner's colour.
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
    # Rows of a picture run downwards, β upwards.
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


def reach_text(automatic: Automatic, alpha_limit: float) -> str:
    """Say where the sliders cannot lead to another winner, and what can; else nothing."""
    truth = automatic.truth
    envelope = winner_envelope(truth.areas, truth.distances, automatic.pool.shape)
    number = len(envelope.reached(alpha_limit))
    if number > 1:
        return ""
    if number and not truth.eligible.any():
        return "A smaller β leads to one candidate, the same at every α."
    # Above its share of the image β leads to none.
    found = "No α and β lead to another candidate." if number else "No candidate passes β."
    return f"{found} Try lower thresholds (Advanced), a SAM click or another network."


def verdict_text(automatic: Automatic) -> str:
    """Say what the automatic mask is, or why it is empty."""
    truth = automatic.truth
    if truth.reason:
        return f"⚠ No defect mask: {truth.reason}"
    if truth.touches_edge:
        return "⚠ The defect touches the image edge or the ignored border"
    known, score = truth.confidence is not None, automatic.score
    sure = f", mask confidence {score:.2f}" if known and score is not None else ""
    size = f"defect {np.count_nonzero(truth.mask):,} px{sure}"
    # Only a learned network finds one without candidates.
    if truth.winner is None:
        return f"Learned: {size}" + ("" if sure else "; unlike what it learned from")
    row = ranked(automatic).index(truth.winner) + 1
    winner = f"row {row} chosen by hand" if automatic.overridden else f"winner in row {row}"
    return f"Candidates: {len(automatic.pool)}, {winner}; {size}"
