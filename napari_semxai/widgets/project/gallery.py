"""The queue as a gallery, in which several images are chosen and reviewed at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QItemSelection, QItemSelectionModel, QSize
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QListView

from napari_semxai.state.queue import examples
from napari_semxai.types import ReviewState
from napari_semxai.widgets.common.forms import Panel, button, editable_box
from napari_semxai.widgets.common.numbers import whole_field
from napari_semxai.widgets.common.status import StatusText
from napari_semxai.widgets.project.queue_list import QueueModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtCore import QModelIndex

    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.controllers.project.queue import QueueController
    from napari_semxai.controllers.project.review import GroupReview, ReviewController
    from napari_semxai.controllers.project.thumbnails import Thumbnails
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.types import QueueRow
    from napari_semxai.widgets.common.forms import Connections

SIDE = 112
"""Pixels of a picture's longer side."""
_ITEM = QSize(SIDE + 16, SIDE + 34)
_STATES = {
    "Accept": ReviewState.ACCEPTED,
    "No defect": ReviewState.NO_DEFECT,
    "Reject": ReviewState.REJECTED,
    "Unsure": ReviewState.UNSURE,
}
_ORDERS = {
    "All, as in the queue": "",
    "Each class: best, typical, worst mask confidence": "score",
    "Each class: best, typical, worst class confidence": "confidence",
}
_MISSING = {
    "score": "No automatic masks yet: Generate all masks",
    "confidence": "No class confidences yet: review with Explain open",
}


class Gallery(Panel):
    """Pictures of the images that the filter shows, with outlines of the masks.

    Parameters
    ----------
    session : Session
        Has the queue.
    pictures : Thumbnails
        Small pictures.
    group, review, images, queue
        The controllers that are called.
    """

    def __init__(
        self,
        session: Session,
        pictures: Thumbnails,
        group: GroupReview,
        review: ReviewController,
        images: ImageController,
        queue: QueueController,
    ) -> None:
        super().__init__()
        self._session, self._group = session, group
        self._images, self._queue = images, queue
        self.model = QueueModel(pictures, _ITEM)
        self.view = _pictures_view(self.model)
        self.order = QComboBox()
        self.order.setToolTip("Three examples of each kind, by the confidence of mask or class")
        for title, column in _ORDERS.items():
            self.order.addItem(title, column)
        self.chosen = StatusText(2)
        self.states = {
            title: button(title, f"Set all chosen images to “{state}”")
            for title, state in _STATES.items()
        }
        self.label = editable_box("Class of all chosen images; confirm with ⏎")
        self.undo = button("Undo review", "Undo the latest review, or all of one click here")
        self.similar = button(
            "Like the open image", "Order the list by how much its images look like the open one"
        )
        self.first = button("Choose first", "Choose so many images from the start of the list")
        self.count = whole_field(1, 999, "Number of images to choose")
        self.count.setValue(20)
        self._lay_out()
        outside: Connections = (
            (session.events.queue, self._on_queue_changed),
            (session.events.past_reviews, self._on_past_reviews_changed),
            (pictures.ready, self.model.refresh),
        )
        inside: Connections = (
            (self.view.activated, self._on_activated),
            (self.view.selectionModel().selectionChanged, self._on_chosen),
            (self.undo.clicked, review.undo),
            (self.order.activated, self._on_order_activated),
            (self.label.activated, self._on_label_entered),
            (self.similar.clicked, self._on_similar_wanted),
            (self.first.clicked, self._on_first_wanted),
            *((part.clicked, self._on_state_wanted) for part in self.states.values()),
        )
        self.connect_all(outside=outside, inside=inside)
        self._on_queue_changed(session.queue)
        self._on_past_reviews_changed()

    def images(self) -> list[str]:
        """Return the ids of the chosen images, in the order of the list."""
        rows = sorted(index.row() for index in self.view.selectedIndexes())
        return [self.model.image_at(row) for row in rows]

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.addWidget(self.view, 0, 0, 1, 7)
        grid.addWidget(self.chosen, 1, 0, 1, 4)
        for column, part in enumerate((self.similar, self.first, self.count), start=4):
            grid.addWidget(part, 1, column)
        grid.addWidget(self.order, 3, 0, 1, 7)
        for column, part in enumerate(self.states.values()):
            grid.addWidget(part, 2, column)
        grid.addWidget(QLabel("Class"), 2, 4)
        grid.addWidget(self.label, 2, 5)
        grid.addWidget(self.undo, 2, 6)
        grid.setRowStretch(0, 1)

    def _on_queue_changed(self, queue: Queue | None) -> None:
        rows, column = () if queue is None else queue.shown, self.order.currentData()
        names = {} if queue is None else queue.class_names
        self.model.notes = _notes(rows, column, names) if column else {}
        reasons = None if queue is None else queue.filter.ranked
        self.model.set_rows(tuple(self.model.notes) if column else rows, reasons=reasons)
        if [self.label.itemData(i) for i in range(self.label.count())] != list(names):
            self.label.clear()
            for label, name in names.items():
                self.label.addItem(f"{label} {name}".strip(), label)
            self.label.setCurrentIndex(-1)
        self._on_chosen()

    def _on_order_activated(self) -> None:
        self._on_queue_changed(self._session.queue)
        # The same rows may have other notes.
        self.view.viewport().update()

    def _on_past_reviews_changed(self) -> None:
        self.undo.setEnabled(bool(self._session.past_reviews))

    def _on_chosen(self) -> None:
        count, column = len(self.view.selectedIndexes()), self.order.currentData()
        for part in (*self.states.values(), self.label):
            part.setEnabled(count > 0)
        listed = self._session.queue is not None and self._session.queue.shown
        if column and listed and not self.model.rowCount():
            self.chosen.setText(_MISSING[column])
            return
        self.chosen.setText(
            f"{count:,} of {self.model.rowCount():,} chosen. Drag, Shift or Ctrl+click for "
            "several, Ctrl+A for all; double click opens one."
        )

    def _on_state_wanted(self) -> None:
        pressed = self.sender()
        for title, state in _STATES.items():
            if self.states[title] is pressed:
                self._group.review(self.images(), state)

    def _on_label_entered(self) -> None:
        text = self.label.currentText().strip()
        place = self.label.findText(text)
        label = text if place < 0 or not self.label.itemData(place) else self.label.itemData(place)
        if label:
            self._group.set_class(self.images(), label)

    def _on_similar_wanted(self) -> None:
        self._queue.rank("similar")

    def _on_first_wanted(self) -> None:
        last = min(self.count.value(), self.model.rowCount()) - 1
        if last >= 0:
            chosen = QItemSelection(self.model.index(0), self.model.index(last))
            mode = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.view.selectionModel().select(chosen, mode)
            self.view.scrollToTop()

    def _on_activated(self, index: QModelIndex) -> None:
        self._images.go(self.model.image_at(index.row()))


def _notes(rows: Sequence[QueueRow], column: str, names: Mapping[str, str]) -> dict[QueueRow, str]:
    """Return class, kind and score of each example: below a picture is no room for more."""
    found: dict[QueueRow, str] = {}
    for row, kind in examples(rows, column).items():
        called = names.get(row.label) or row.label or "no class"
        found[row] = f"{called}\n{kind} {getattr(row, column):.2f}"
    return found


def _pictures_view(model: QueueModel) -> QListView:
    view = QListView()
    view.setModel(model)
    view.setViewMode(QListView.ViewMode.IconMode)
    view.setResizeMode(QListView.ResizeMode.Adjust)
    view.setMovement(QListView.Movement.Static)
    view.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
    # Else Qt would measure all rows, and ask for the picture of each.
    view.setUniformItemSizes(True)
    view.setIconSize(QSize(SIDE, SIDE))
    view.setGridSize(_ITEM)
    view.setWordWrap(True)
    view.setMinimumSize(3 * _ITEM.width() + 30, 2 * _ITEM.height())
    return view
