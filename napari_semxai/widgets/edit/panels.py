"""Panels of the Edit dock: SAM click, list of defects, size of the mask and of a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QTableWidgetSelectionRange,
)
from superqt.utils import signals_blocked

from napari_semxai.controllers.edit.defects import DEFECT_EDITS
from napari_semxai.controllers.kept_settings import CLICK_PREVIEW, NO, YES
from napari_semxai.state.review import ClickState, doubt_text
from napari_semxai.store.images.microscope import describe
from napari_semxai.types.quantities import area_text, counted, length_text
from napari_semxai.widgets.common.forms import Panel, button
from napari_semxai.widgets.common.numbers import LengthField
from napari_semxai.widgets.common.status import ShownSoon, StatusText
from napari_semxai.widgets.scores.dock import size_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_semxai.algorithms.masks.components import Defect
    from napari_semxai.controllers.edit.clicks import ClickController
    from napari_semxai.controllers.edit.defects import DefectsController
    from napari_semxai.controllers.edit.preview import ClickPreview
    from napari_semxai.controllers.kept_settings import ChoicesController, PixelSizeController
    from napari_semxai.layers.mask.click_tool import Ruler
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.review import Clicks
    from napari_semxai.state.session import Session
    from napari_semxai.types import SemImage
    from napari_semxai.widgets.common.forms import Connections

    _Show = Callable[[tuple[int, int, int, int] | None], None]

_DEFECT_COLUMNS = ("No.", "Class", "Area", "Size", "Row, column")
_LISTED = 500
"""Rows at most: a noisy mask has thousands of specks."""
_SEEN = 5
_HOW = (
    "Click: defect. Shift+click or right-click: not the defect. Drag: box around another object."
)
_NANO = 1e9


class ClickPanel(Panel):
    """Take the SAM click tool, begin another object, see what the network does and offers.

    Parameters
    ----------
    session : Session
        What is shown.
    clicks : ClickController
        What is called.
    preview : ClickPreview
        Shows what a click would select.
    choices : ChoicesController
        Remembers whether it does.
    """

    def __init__(
        self,
        session: Session,
        clicks: ClickController,
        preview: ClickPreview,
        choices: ChoicesController,
    ) -> None:
        super().__init__()
        self._session, self._clicks = session, clicks
        self._preview, self._choices = preview, choices
        self.tool = button(
            "SAM click",
            "Refine the mask by SAM 2 with clicks and boxes on the image",
            checkable=True,
        )
        self.another = button("New object", "Start another object with the next click")
        self.cancel = button("Cancel", "Cancel the pending SAM 2 request")
        self.apply = button("Apply answer", "Apply the SAM 2 answer to the mask (Alt+T)")
        self.discard = button(
            "Discard answer", "Discard the SAM 2 answer and its clicks (Alt+Shift+T)"
        )
        self.preview = QCheckBox("Preview")
        self.preview.setToolTip("Show what a click would select where the pointer rests")
        preview.enabled = choices.get(CLICK_PREVIEW) != NO
        self.preview.setChecked(preview.enabled)
        self.status = StatusText(2)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tool, 0, 0)
        layout.addWidget(self.another, 0, 1)
        layout.addWidget(self.cancel, 0, 2)
        layout.addWidget(self.status, 1, 0, 1, 3)
        layout.addWidget(self.apply, 2, 0)
        layout.addWidget(self.discard, 2, 1)
        layout.addWidget(self.preview, 2, 2)
        self._soon = ShownSoon(self, self._show)
        inside: Connections = (
            (self.tool.toggled, clicks.activate),
            (self.another.clicked, clicks.begin_object),
            (self.cancel.clicked, clicks.cancel),
            (self.apply.clicked, clicks.apply_offer),
            (self.discard.clicked, clicks.discard_offer),
            (self.preview.toggled, self._on_preview_toggled),
        )
        outside = ((session.events.clicks, self._on_clicks_changed),)
        self.connect_all(outside=outside, inside=inside)
        self._show()

    def _on_preview_toggled(self, wanted: bool) -> None:
        self._preview.enable(wanted)
        self._choices.set(CLICK_PREVIEW, YES if wanted else NO)

    def _on_clicks_changed(self, clicks: Clicks) -> None:
        self._soon.changed(clicks.state is ClickState.ANSWERING)

    def _show(self) -> None:
        clicks = self._session.clicks
        with signals_blocked(self.tool):
            self.tool.setChecked(clicks.active)
        self.another.setEnabled(bool(clicks.prompts))
        self.cancel.setEnabled(clicks.state.is_waiting)
        for part in (self.apply, self.discard):
            part.setEnabled(clicks.offer is not None)
        # What is wrong, or waits for a word, counts before how to use the tool.
        text = clicks.message or (_HOW if clicks.active else "")
        self.status.setText(text if clicks.offer is None else doubt_text(clicks.offer.doubts))


class SizePanel(Panel):
    """Size of the mask, and the field for the pixel size.

    Parameters
    ----------
    session : Session
        What is shown.
    controller : PixelSizeController
        The controller that is called.
    ruler : Ruler
        Draws a line over the scale bar of the picture, and measures it.
    """

    def __init__(self, session: Session, controller: PixelSizeController, ruler: Ruler) -> None:
        super().__init__()
        self._session, self._controller, self._ruler = session, controller, ruler
        self._line: float | None = None
        self._create()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Pixel size", self.pixel_size)
        layout.addRow(self.draw, self.bar)
        layout.addRow(self.for_all)
        layout.addRow(self.text)
        layout.addRow(self.microscope)
        events = session.events
        outside: Connections = (
            (events.size, self._on_size_changed),
            (events.image, self._on_image_changed),
            (events.pixel_size, self._on_pixel_size_changed),
            (events.queue, self._on_queue_changed),
            (ruler.active_changed, self._on_ruler_changed),
            (ruler.measured, self._on_line_measured),
        )
        inside: Connections = (
            (self.pixel_size.valueChanged, self._on_pixel_size_entered),
            (self.draw.clicked, ruler.activate),
            (self.bar.valueChanged, self._on_bar_entered),
            (self.for_all.clicked, self._controller.set_for_all),
        )
        self.connect_all(outside=outside, inside=inside)
        self._on_pixel_size_changed(session.pixel_size)
        self._on_image_changed(session.image)
        self._on_queue_changed(session.queue)

    def _create(self) -> None:
        self.text, self.microscope = StatusText(2), StatusText(4)
        self.pixel_size = LengthField()
        self.pixel_size.setToolTip(
            "Pixel size in pm, nm, µm (um) or mm, from FEI/Zeiss metadata or entered manually "
            "(saved with the project)"
        )
        self.draw = button(
            "Measure scale bar",
            "Drag from end to end of the scale bar in the image, then enter the length it shows",
            checkable=True,
        )
        self.bar = LengthField()
        self.bar.setToolTip("Length of the scale bar in pm, nm, µm (um) or mm")
        self._on_line_measured(None)
        self.for_all = button(
            "Use for images without one", "Use this pixel size for all images that have none"
        )

    def _on_queue_changed(self, queue: Queue | None) -> None:
        self.for_all.setVisible(queue is not None)

    def _on_image_changed(self, image: SemImage | None) -> None:
        known = None if image is None else image.microscope
        texts = () if known is None else (f"{name}: {text}" for name, text in describe(known))
        self.microscope.setText(" · ".join(texts))

    def _on_size_changed(self) -> None:
        self.text.setText(size_text(self._session.size, self._session.pixel_size))

    def _on_pixel_size_changed(self, metres: float | None) -> None:
        with signals_blocked(self.pixel_size):
            # 0 is the field's minimum, which it shows as "unknown".
            self.pixel_size.setValue(0 if metres is None else metres * _NANO)
        self._on_size_changed()

    def _on_pixel_size_entered(self, nanometres: float) -> None:
        self._controller.set_pixel_size(nanometres / _NANO if nanometres > 0 else None)

    def _on_ruler_changed(self, active: bool) -> None:
        self.draw.setChecked(active)

    def _on_line_measured(self, pixels: float | None) -> None:
        """Ask for the length of a line of so many pixels; None is no line."""
        self._line = pixels
        with signals_blocked(self.bar):
            self.bar.setValue(0)
        said = "no line drawn" if pixels is None else f"{pixels:.1f} px are …"
        self.bar.setSpecialValueText(said)
        self.bar.setEnabled(pixels is not None)
        if pixels is not None:
            self.bar.setFocus()
            self.bar.selectAll()

    def _on_bar_entered(self, nanometres: float) -> None:
        if self._line is not None and nanometres > 0:
            self._controller.set_pixel_size(nanometres / _NANO / self._line)


class DefectsPanel(Panel):
    """A row a defect of the mask; a click on one shows it.

    Parameters
    ----------
    session : Session
        What is shown.
    controller : DefectsController
        Lists and edits.
    show : callable
        Told which part of the image (row0, column0, row1, column1) to look at; None for all.
    """

    def __init__(self, session: Session, controller: DefectsController, show: _Show) -> None:
        super().__init__()
        self._session, self._controller, self._show = session, controller, show
        self._defects: tuple[Defect, ...] = ()
        self.table = _defect_table()
        self.said = StatusText(1)
        self.whole = button("Whole image", "Show the whole image")
        self.edits = {edit.title: button(edit.title, edit.tip) for edit in DEFECT_EDITS}
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.said, 0, 0, 1, 2)
        layout.addWidget(self.whole, 0, 2)
        layout.addWidget(self.table, 1, 0, 1, 3)
        for place, part in enumerate(self.edits.values()):
            layout.addWidget(part, 2 + place // 2, place % 2)
        outside = (
            (session.events.defects, self._on_defects_changed),
            (session.events.pixel_size, self._fill),
        )
        inside: Connections = (
            (self.table.itemSelectionChanged, self._on_selected),
            (self.table.cellClicked, self._on_clicked),
            (self.whole.clicked, self._on_whole_wanted),
            *((part.clicked, self._on_edit_wanted) for part in self.edits.values()),
        )
        self.connect_all(outside=outside, inside=inside)
        self._on_defects_changed(session.defects)

    def release(self) -> None:
        """Disconnect from the session."""
        self._controller.watch(False)
        super().release()

    def showEvent(self, event: QShowEvent) -> None:
        """Keep the list up to date from now on."""
        super().showEvent(event)
        self._controller.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Spare the work while nobody looks."""
        super().hideEvent(event)
        self._controller.watch(False)

    @property
    def chosen(self) -> list[Defect]:
        """Defects of the selected rows."""
        rows = {index.row() for index in self.table.selectedIndexes()}
        return [self._defects[row] for row in sorted(rows) if row < len(self._defects)]

    def _on_defects_changed(self, defects: tuple[Defect, ...] | None) -> None:
        kept = {one.seed for one in self.chosen}
        self._defects = defects or ()
        self._fill()
        with signals_blocked(self.table):
            for row in range(self.table.rowCount()):
                whole = QTableWidgetSelectionRange(row, 0, row, len(_DEFECT_COLUMNS) - 1)
                self.table.setRangeSelected(whole, self._defects[row].seed in kept)
        self._on_selected()

    def _fill(self) -> None:
        count, edge = len(self._defects), self._session.pixel_size
        queue = self._session.queue
        names = {} if queue is None else queue.class_names
        more = f", the first {_LISTED} listed" if count > _LISTED else ""
        self.said.setText(f"{counted(count, 'defect')}{more}")
        self.table.setRowCount(min(count, _LISTED))
        for row, one in enumerate(self._defects[:_LISTED]):
            for column, text in enumerate(_defect_texts(one, edge)):
                self.table.setItem(row, column, QTableWidgetItem(text))
            name = names.get(one.label, one.label)
            self.table.item(row, 1).setText(name)
            self.table.item(row, 1).setToolTip(name)
        # Without classes the sizes need the room.
        self.table.setColumnHidden(1, not any(one.label for one in self._defects))

    def _on_selected(self) -> None:
        number = len(self.chosen)
        for edit in DEFECT_EDITS:
            self.edits[edit.title].setEnabled(number >= edit.least)

    def _on_clicked(self, row: int) -> None:
        if len(self.chosen) == 1 and row < len(self._defects):
            self._show(self._defects[row].box)

    def _on_whole_wanted(self) -> None:
        self._show(None)

    def _on_edit_wanted(self) -> None:
        pressed = self.sender()
        for edit in DEFECT_EDITS:
            if self.edits[edit.title] is pressed:
                self._controller.edit(edit, self.chosen)


def _defect_table() -> QTableWidget:
    table = QTableWidget(0, len(_DEFECT_COLUMNS))
    table.setHorizontalHeaderLabels(_DEFECT_COLUMNS)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
    table.setToolTip(
        "Size: width × height. Click a row to look at the defect; Ctrl or Shift for several"
    )
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(20)
    header, mode = table.horizontalHeader(), QHeaderView.ResizeMode
    # The size is the longest text, the number the shortest.
    header.setSectionResizeMode(3, mode.Stretch)
    samples = "No.99", "Particle", "99,999 nm²", "Row, columns"
    for column, sample in zip((0, 1, 2, 4), samples, strict=True):
        header.setSectionResizeMode(column, mode.Fixed)
        table.setColumnWidth(column, header.fontMetrics().horizontalAdvance(sample) + 14)
    # As high with one row as with many: nothing below it moves.
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
    table.setMinimumWidth(120)
    table.setFixedHeight(20 * _SEEN + 30)
    return table


def _defect_texts(one: Defect, edge: float | None) -> tuple[str, ...]:
    row0, column0, row1, column1 = one.box
    row, column = one.centre
    place = f"{row:.0f}, {column:.0f}"
    sides = column1 - column0, row1 - row0
    if edge is None:
        sizes = f"{one.area:,} px", "{} × {} px".format(*sides)
        return str(one.number), one.label, *sizes, place
    width, height = (length_text(side * edge) for side in sides)
    sizes = area_text(one.area * edge * edge), f"{width} × {height}"
    return str(one.number), one.label, *sizes, place
