"""The ranked mask candidates as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

if TYPE_CHECKING:
    from qtpy.QtCore import QEvent

    from napari_semxai.state.session import Automatic

COLUMNS = (
    ("S", "Score S = A · (1 − d)^α"),
    ("Area", "A: area of the candidate in pixels"),
    ("Area %", "Share of the image; must exceed β"),
    ("d", "Distance of the centroid from the image centre, divided by the image diagonal"),
    ("Pred. IoU", "Predicted IoU: the network's estimate of the mask's quality"),
    ("Stability", "Stability score: area above logit +1 divided by area above logit −1"),
    ("Note", "Whether it is the winner, was chosen by hand, or is excluded"),
)
_NOTE = len(COLUMNS) - 1


class CandidateModel(QAbstractTableModel):
    """Candidates by falling score, the excluded ones below."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._automatic: Automatic | None = None
        self._texts: dict[int, tuple[str, ...]] = {}
        self.order: list[int] = []

    def set_automatic(self, automatic: Automatic | None) -> None:
        """Show another result."""
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
            if candidate not in self._texts:
                self._texts[candidate] = _texts(self._automatic, candidate)
            return self._texts[candidate][index.column()]
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
        self.setMinimumSize(120, 150)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setToolTip("Click a row to make it the winner; hover over it for a preview")
        self.verticalHeader().setDefaultSectionSize(20)
        # As wide without rows: the columns stay where they are.
        self.verticalHeader().setFixedWidth(self.fontMetrics().horizontalAdvance("0000"))
        # Measuring every cell on every slider motion would cost more than all the rest.
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        for column, (title, _) in enumerate(COLUMNS):
            width = header.fontMetrics().horizontalAdvance(max(title, "000000", key=len))
            header.resizeSection(column, width + 16)
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
    keys = (-np.nan_to_num(truth.scores), ~truth.eligible)
    order: list[int] = np.lexsort(keys).tolist()
    return order


def _texts(automatic: Automatic, candidate: int) -> tuple[str, ...]:
    truth, pool = automatic.truth, automatic.pool
    area = int(truth.areas[candidate])
    return (
        f"{truth.scores[candidate]:.0f}",
        f"{area}",
        f"{100 * area / (pool.shape[0] * pool.shape[1]):.2f}",
        f"{truth.distances[candidate]:.3f}",
        f"{pool.predicted_iou[candidate]:.3f}",
        f"{pool.take(np.array([candidate])).stability_score[0]:.3f}",
        _note(automatic, candidate),
    )


def _note(automatic: Automatic, candidate: int) -> str:
    if candidate == automatic.truth.winner:
        return "chosen by hand" if automatic.overridden else "winner"
    return "" if automatic.truth.eligible[candidate] else "area ≤ β"
