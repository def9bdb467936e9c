"""The images of a queue as an item model, and what chooses among them."""

from __future__ import annotations

import re
from datetime import datetime
from math import inf
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPixmap
from qtpy.QtWidgets import QComboBox, QGridLayout, QLineEdit, QWidget
from superqt.utils import signals_blocked

from napari_semxai.store.project.files import annotator_key
from napari_semxai.store.project.ranked import RANKINGS
from napari_semxai.types import QUEUE_COLUMNS, QueueFilter, ReviewState, colors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from qtpy.QtCore import QSize

    from napari_semxai.controllers.project.queue import QueueController
    from napari_semxai.controllers.project.thumbnails import Thumbnails
    from napari_semxai.state.queue import Queue
    from napari_semxai.types import QueueRow

COLORS = {
    ReviewState.CANDIDATE: "#A0A0A0",
    ReviewState.ACCEPTED: colors.GREEN,
    ReviewState.CORRECTED: colors.PINK,
    ReviewState.NO_DEFECT: colors.SKY,
    ReviewState.REJECTED: colors.VERMILION,
    ReviewState.UNSURE: colors.ORANGE,
    ReviewState.BY_RULE: colors.BLUE,
}
MARKS = {
    ReviewState.CANDIDATE: "○",
    ReviewState.ACCEPTED: "✓",
    ReviewState.CORRECTED: "✎",
    ReviewState.NO_DEFECT: "∅",
    ReviewState.REJECTED: "✗",
    ReviewState.UNSURE: "?",
    ReviewState.BY_RULE: "≈",
}
"""A state is told by its mark, too, not by its colour alone."""
_image = attrgetter("image")
_SHOWN = tuple((column.name, column.show) for column in QUEUE_COLUMNS if column.show)


class QueueModel(QAbstractListModel):
    """Rows of a queue; pictures are asked for when a row comes into sight.

    Parameters
    ----------
    thumbnails : Thumbnails
        Small pictures.
    size : QSize, optional
        Of every item; by default a view asks the first one.
    """

    def __init__(self, thumbnails: Thumbnails, size: QSize | None = None) -> None:
        super().__init__()
        self._thumbnails, self._size = thumbnails, size
        self._rows: tuple[QueueRow, ...] = ()
        self._unreadable: Mapping[str, str] = {}
        self._reasons: Mapping[str, str] = {}
        self.notes: Mapping[QueueRow, str] = {}

    def set_rows(
        self,
        rows: tuple[QueueRow, ...],
        unreadable: Mapping[str, str] = MappingProxyType({}),
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        """Show these rows; `unreadable` and `reasons` say why they cannot be read, or stand there.

        Reasons change with their rows only.
        """
        before, self._unreadable = self._unreadable, unreadable
        self._reasons = reasons or {}
        # The queue is replaced at every step, mostly with the same rows.
        if rows is self._rows and unreadable == before:
            return
        # Only where other images stand: a reset loses selection and scroll position, and asks for
        # every picture anew. What is chosen is known by its place.
        if list(map(_image, rows)) != list(map(_image, self._rows)):
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
            # Why it stands there goes first: a picture leaves room for few words.
            texts = [self._reasons.get(row.image, "")]
            texts += [show(getattr(row, name)) for name, show in _SHOWN]
            shown = "".join(f" · {text}" for text in texts if text)
            # What cannot be opened counts before what was once said of it.
            unreadable = row.image in self._unreadable
            mark, end = ("⚠", " · unreadable") if unreadable else (MARKS[row.state], void)
            if row in self.notes:
                return f"{mark} {row.number:,} {self.notes[row]}"
            return f"{mark} {row.number:,} {row.name or row.image}{shown}{end}"
        if role == Qt.ItemDataRole.ToolTipRole:
            why = self._unreadable.get(row.image, "")
            told = (row.comment, self._reasons.get(row.image, ""), why)
            more = "".join(f"\n{text}" for text in told if text)
            return f"{row.name or row.image}: {row.state}{_review(row)}{more}"
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icon(row)
        # Before the first picture has come a view would leave no room for any.
        return self._size if role == Qt.ItemDataRole.SizeHintRole else None

    def _icon(self, row: QueueRow) -> QIcon | None:
        pixels = self._thumbnails.get(row)
        if pixels is None:
            return None
        rows, columns = pixels.shape[:2]
        form = QImage.Format.Format_Grayscale8 if pixels.ndim == 2 else QImage.Format.Format_RGB888
        # Bytes a line are given, or Qt would take lines to end at multiples of four.
        picture = QImage(pixels.tobytes(), columns, rows, pixels[0].nbytes, form)
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


_VOID = "Review void"
# The project's own order stands first: it is that of a queue without any filter.
_ORDERS = {
    column.sort[0]: (column.name, column.sort[1])
    for column in sorted(QUEUE_COLUMNS, key=lambda column: column.name != "number")
    if column.sort is not None
} | {ranking.title: (name, False) for name, ranking in RANKINGS.items()}
_LIMITS = (0.5, 0.7, 0.8, 0.9, 0.95)
_BELOW: dict[str, dict[str, tuple[float, float]]] = {
    "Any confidence": {},
    **{
        f"{title} confidence ≤ {v}": {name: (0.0, v)}
        for title, name in (("Mask", "score"), ("Class", "confidence"))
        for v in _LIMITS
    },
}
_CHOSEN = {column.name: column.choose for column in QUEUE_COLUMNS if column.choose}
_RANGE = re.compile(r"\s*(\d*)\s*[-–]\s*(\d*)\s*")


class QueueFilters(QWidget):
    """Which images the list shows, in which order, by whose reviews.

    Parameters
    ----------
    queue : QueueController
        What is called.
    """

    def __init__(self, queue: QueueController) -> None:
        super().__init__()
        self._queue = queue
        self._folder: Path | None = None
        self._seen: dict[str, set[str]] = {}
        self._values: dict[str, list[str]] = {}
        self._annotators: list[str | None] = []
        self._typed = "", ""
        self.text, self.area = QLineEdit(), QLineEdit()
        self.state, self.below, self.order, self.whose = (QComboBox() for _ in range(4))
        self.choices = {name: QComboBox() for name in _CHOSEN}
        self.label = self.choices["label"]
        self.state.addItems(["Any state", *map(str, ReviewState), _VOID])
        self.below.addItems(list(_BELOW))
        self.order.addItems(list(_ORDERS))
        self._combos = (self.state, *self.choices.values(), self.below, self.order, self.whose)
        self._create_tips()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        fields = (self.text, self.area, *self._combos)
        for place, field in enumerate(fields):
            last = field is self.whose
            grid.addWidget(field, place // 2, 0 if last else place % 2, 1, 2 if last else 1)
        for combo in self._combos:
            combo.activated.connect(self._on_changed)
        for line in (self.text, self.area):
            line.editingFinished.connect(self._on_typed)
            line.setClearButtonEnabled(True)

    def show_filter(self, queue: Queue) -> None:
        """Offer what there is to choose from, and show what is chosen."""
        if queue.folder != self._folder:
            self._folder, self._seen = queue.folder, {name: set() for name in _CHOSEN}
        for name, combo in self.choices.items():
            # Collected: filtered by one class, `shown` knows of no other any more.
            self._seen[name] |= {getattr(row, name) for row in queue.shown}
            known = queue.class_names if name == "label" else {}
            values = [*known, *sorted(self._seen[name] - {"", *known})]
            self._values[name] = values
            names = [f"{value} {known.get(value, '')}".strip() for value in values]
            _fill(combo, [f"Any {_CHOSEN[name]}", *names])
            combo.setEnabled(bool(values))
        me = annotator_key(queue.annotator)
        others = [name for name in queue.annotators if name != me]
        self._annotators = [queue.annotator, None, *others]
        whose = (f"Reviews of {name}" for name in others)
        _fill(self.whose, ["My reviews", "All reviews", *whose])
        if queue.filter.annotator in self._annotators:
            with signals_blocked(self.whose):
                self.whose.setCurrentIndex(self._annotators.index(queue.filter.annotator))
        # Worked out in the background, and asked for from the gallery, too.
        shown = (queue.filter.order, queue.filter.descending)
        if queue.filter.ranked is not None and shown in _ORDERS.values():
            with signals_blocked(self.order):
                self.order.setCurrentIndex(list(_ORDERS.values()).index(shown))
        # A project that was just opened has no filter, whatever the boxes showed for the last
        # one.
        if queue.filter == QueueFilter(annotator=queue.annotator):
            for combo in self._combos:
                with signals_blocked(combo):
                    combo.setCurrentIndex(0)
            for line in (self.text, self.area):
                # Not what is being typed: the queue changes by others' reviews, too.
                if not line.hasFocus():
                    line.clear()
            self._typed = "", ""

    def _create_tips(self) -> None:
        self.text.setPlaceholderText("Name, lot, comment… ⏎")
        self.area.setPlaceholderText("Area, px: 100-5000 ⏎")
        tips: dict[QWidget, str] = {
            self.text: "Show only images with this in name, lot, wafer, defect or comment",
            self.area: "Show only images whose mask has so many pixels: 100-5000, 100- or -5000",
            self.state: "Show only images in this state",
            self.below: "Mask confidence: how sure the automatic mask is (its "
            "predicted IoU, where its algorithm tells no confidence). Class confidence: of the "
            "classifier.",
            self.order: "Order of the list; “most to gain” and “like the open image” stay until "
            "they are chosen anew",
            self.whose: "Whose reviews to show. In blind mode others' stay hidden until you have "
            "reviewed the image.",
            **{
                combo: f"Show only images of this {_CHOSEN[name]}"
                for name, combo in self.choices.items()
            },
        }
        for part, tip in tips.items():
            part.setToolTip(tip)
        for combo in self._combos:
            combo.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            combo.setMinimumContentsLength(8)

    def _on_typed(self) -> None:
        # Also told where the focus only leaves.
        typed = self.text.text(), self.area.text()
        if typed != self._typed:
            self._typed = typed
            self._on_changed()

    def _on_changed(self) -> None:
        if self._folder is None:
            return
        state = self.state.currentText()
        order, descending = _ORDERS[self.order.currentText()]
        known = state in set(map(str, ReviewState))
        where: dict[str, Any] = dict(_BELOW[self.below.currentText()])
        for name, combo in self.choices.items():
            if combo.currentIndex() > 0:
                where[name] = frozenset({self._values[name][combo.currentIndex() - 1]})
        found = _RANGE.fullmatch(self.area.text())
        if found is not None and any(found.groups()):
            where["area"] = float(found[1] or 0), float(found[2] or inf)
        elif self.area.text():
            self.area.clear()
        self._queue.set_filter(
            states=frozenset({ReviewState(state)}) if known else None,
            voided=True if state == _VOID else None,
            where=where,
            text=self.text.text(),
            annotator=self._annotators[self.whose.currentIndex()],
            order=order,
            descending=descending,
        )


def _fill(combo: QComboBox, items: list[str]) -> None:
    """Offer these; refilling would close a list that a person has just opened."""
    if [combo.itemText(i) for i in range(combo.count())] != items:
        chosen = combo.currentText()
        with signals_blocked(combo):
            combo.clear()
            combo.addItems(items)
            combo.setCurrentIndex(max(combo.findText(chosen), 0))
