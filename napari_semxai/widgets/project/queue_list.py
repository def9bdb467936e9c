"""The images of a queue as an item model: names, status colours and small pictures."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPixmap

from napari_semxai.types import QUEUE_COLUMNS, ReviewState, colors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from napari_semxai.controllers.project.thumbnails import Thumbnails
    from napari_semxai.types import QueueRow

COLORS = {
    ReviewState.CANDIDATE: "#A0A0A0",
    ReviewState.ACCEPTED: colors.GREEN,
    ReviewState.CORRECTED: colors.PINK,
    ReviewState.NO_DEFECT: colors.SKY,
    ReviewState.REJECTED: colors.VERMILION,
    ReviewState.UNSURE: colors.ORANGE,
}
MARKS = {
    ReviewState.CANDIDATE: "○",
    ReviewState.ACCEPTED: "✓",
    ReviewState.CORRECTED: "✎",
    ReviewState.NO_DEFECT: "∅",
    ReviewState.REJECTED: "✗",
    ReviewState.UNSURE: "?",
}
"""A state is told by its mark, too, not by its colour alone."""
_SHOWN = tuple((column.name, column.show) for column in QUEUE_COLUMNS if column.show)


class QueueModel(QAbstractListModel):
    """Rows of a queue; pictures are asked for when a row comes into sight.

    Parameters
    ----------
    thumbnails : Thumbnails
        Small pictures.
    """

    def __init__(self, thumbnails: Thumbnails) -> None:
        super().__init__()
        self._thumbnails = thumbnails
        self._rows: tuple[QueueRow, ...] = ()
        self._unreadable: Mapping[str, str] = {}

    def set_rows(
        self, rows: tuple[QueueRow, ...], unreadable: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Show these rows; `unreadable` says of images that cannot be read why."""
        before, self._unreadable = self._unreadable, unreadable
        # The queue is replaced at every step, mostly with the same rows.
        if rows is self._rows and unreadable == before:
            return
        # Only then: a reset loses selection and scroll position, and asks for every picture
        # anew.
        if len(rows) != len(self._rows):
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
            return
        pairs = zip(self._rows, rows, strict=True)
        # By identity: a review replaces one row of thousands.
        changed = [place for place, (old, new) in enumerate(pairs) if old is not new]
        if unreadable != before:
            marked = before.keys() ^ unreadable.keys()
            changed = sorted({*changed, *_places(rows, marked)})
        self._rows = rows
        if changed:
            self.dataChanged.emit(self.index(changed[0]), self.index(changed[-1]))

    def refresh(self, image_id: str) -> None:
        """Draw a row again: its picture has come."""
        for place, row in enumerate(self._rows):
            if row.image == image_id:
                self.dataChanged.emit(self.index(place), self.index(place))
                return

    def image_at(self, place: int) -> str:
        """Return the id of the image of a row."""
        return self._rows[place].image

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many rows there are."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a row shows."""
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            void = " (review void)" if row.voided is not None else ""
            texts = (show(getattr(row, name)) for name, show in _SHOWN)
            shown = "".join(f" · {text}" for text in texts if text)
            # What cannot be opened counts before what was once said of it.
            unreadable = row.image in self._unreadable
            mark, end = ("⚠", " · unreadable") if unreadable else (MARKS[row.state], void)
            return f"{mark} {row.number:,} {row.name or row.image}{shown}{end}"
        if role == Qt.ItemDataRole.ToolTipRole:
            why = self._unreadable.get(row.image, "")
            return f"{row.name or row.image}: {row.state}{_review(row)}" + (why and f"\n{why}")
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icon(row)
        return None

    def _icon(self, row: QueueRow) -> QIcon | None:
        pixels = self._thumbnails.get(row.image)
        if pixels is None:
            return None
        rows, columns = pixels.shape
        # Bytes a line are given, or Qt would take lines to end at multiples of four.
        picture = QImage(pixels.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
        pixmap = QPixmap.fromImage(picture)
        # The state's colour is a stripe beside the picture: text in it could not be read.
        painter = QPainter(pixmap)
        painter.fillRect(0, 0, max(columns // 8, 2), rows, QColor(COLORS[row.state]))
        painter.end()
        return QIcon(pixmap)


def _places(rows: tuple[QueueRow, ...], images: Collection[str]) -> Iterator[int]:
    return (place for place, row in enumerate(rows) if row.image in images)


def _review(row: QueueRow) -> str:
    """Return who reviewed an image, and when, in local time."""
    if not row.time:
        return ""
    when = datetime.fromisoformat(row.time).astimezone()
    return f" by {row.annotator}, {when:%Y-%m-%d %H:%M}"
