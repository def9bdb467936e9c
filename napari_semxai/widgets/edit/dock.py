"""The Edit & review dock: painting tools, whole-mask edits, saving, recovery and closing."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.algorithms.masks.edits import MASK_EDITS
from napari_semxai.layers.mask.lasso_tool import LASSO, POLYGON
from napari_semxai.state.open_image import SaveStage
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_mask, ask_open
from napari_semxai.widgets.common.forms import MASK_FILTER, ScrolledDock, Section, button, row
from napari_semxai.widgets.common.numbers import whole_field
from napari_semxai.widgets.common.status import StatusText, keep_room
from napari_semxai.widgets.common.window import FloatingPanel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Labels

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.layers.mask.lasso_tool import LassoTool
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.widgets.common.forms import Connections, Panel

TOOLS = (
    ("pan_zoom", "Move", "Move and zoom the image"),
    ("paint", "Brush", "Paint the defect"),
    ("erase", "Erase", "Erase with the brush"),
    (
        POLYGON,
        "Polygon",
        "Click corners, drag them, double-click to close (Alt+Shift+O); with Shift to erase; "
        "Ctrl+click takes up a defect's outline",
    ),
    (
        LASSO,
        "Lasso",
        "As the polygon, with lines that follow the edges of the picture (Alt+Shift+L)",
    ),
    ("fill", "Fill", "Fill the region under the mouse"),
)
CLICKS, KEYS, SIZE, DEFECTS = "SAM click", "Keys", "Size", "Defects"
QUEUE, REVIEW, ANNOTATORS, PROJECT = "Queue", "Review", "Annotators", "Project"
STORAGE, CERTIFY = "Storage", "Certify"
_FOLDED = {
    DEFECTS: "List of defects",
    SIZE: "Size and pixel size",
    ANNOTATORS: "Annotators",
    CERTIFY: "Certified accept",
    PROJECT: "Export, import, classes",
    STORAGE: "Storage",
}
"""Panels that fold away, and their titles."""
_OF_MASK, _OF_PROJECT = (DEFECTS, SIZE), (ANNOTATORS, CERTIFY, PROJECT)


class EditDock(ScrolledDock):
    """Tools for the defect mask.

    What every image needs is seen without scrolling on a small laptop: where one is in the queue,
    review, painting, SAM click and saving. The rest folds away below.

    Parameters
    ----------
    session : Session
        What is shown.
    edit : EditController
        The controller that is called.
    layers : SessionLayers
        Knows the layer that is painted.
    panels : dict of str to QWidget
        More parts by title; those of a project are shown while one is open.
    lasso : LassoTool
        The two tools that are not napari's.
    """

    def __init__(
        self,
        session: Session,
        edit: EditController,
        layers: SessionLayers,
        panels: Mapping[str, Panel],
        lasso: LassoTool,
    ) -> None:
        super().__init__()
        self.panels = panels
        self._session, self._layers = session, layers
        self._edit, self._lasso = edit, lasso
        self._layer: Labels | None = None
        self._create()
        self._lay_out()
        self.keys = FloatingPanel("Keys", panels[KEYS], self)
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._on_mask_layer_changed()
        self._on_strokes_changed()
        self._on_queue_changed(session.queue)
        self.ignore.setChecked(session.ignoring)

    def release(self) -> None:
        """Disconnect from the layer and the session."""
        # No part of `_outside_table`: it changes with the image, and outlives the dock.
        self._follow(None)
        for panel in self.panels.values():
            panel.release()
        super().release()

    def load(self) -> None:
        """Ask for a mask file and bring it in."""
        path = ask_open(self, Dialog.LOAD_MASK, "Load a mask", MASK_FILTER)
        if path is not None:
            self._edit.load(path)

    def save(self) -> None:
        """Ask where to save the mask: beside the image, or where masks were saved last."""
        image = self._session.image
        path = None if image is None else ask_mask(self, image.name, image.path)
        if path is not None:
            self._edit.save(path)

    def _create(self) -> None:
        self.state, self.recovery = StatusText(2), QWidget()
        self.restore = button("Restore", "Restore the unsaved strokes, as one undoable edit")
        self.discard = button("Discard", "Delete the unsaved strokes")
        self.tools = {mode: button(title, tip, checkable=True) for mode, title, tip in TOOLS}
        self.brush = QSlider(Qt.Orientation.Horizontal)
        self.brush.setRange(1, 120)
        self.brush.setToolTip("Brush diameter in pixels (Alt+, and Alt+.)")
        self.diameter = whole_field(1, 999, "Brush diameter in pixels (Alt+, and Alt+.)")
        self.ignore = QCheckBox("Ignore region")
        self.ignore.setToolTip(
            "Brush, eraser, polygon, lasso, fill and whole-mask edits mark what counts for "
            "nothing, instead of the defect (Alt+Shift+G)"
        )
        self.undo = button("Undo", "Undo the last edit (Ctrl+Z)")
        self.redo = button("Redo", "Redo the last undone edit (Ctrl+Shift+Z)")
        self.radius = whole_field(1, 50, "Radius in pixels for the edits below")
        self.radius.setValue(2)
        self.edits = {
            edit.name: button(edit.name.capitalize(), edit.description) for edit in MASK_EDITS
        }
        self.apply = button(
            "Apply automatic mask", "Replace the mask by the automatic one, as one undoable edit"
        )
        self.load_mask = button(
            "Load mask…", "Replace the mask by one from a file, as one undoable edit"
        )
        self.save_mask = button("Save mask…", "Save as PNG or TIFF with values 0 and 255 (Alt+S)")
        self.show_keys = button("Keys… (?)", "All keys, and changing them")

    def _lay_out(self) -> None:
        # Buttons that came and went would move the brush from under the mouse.
        keep_room(self.recovery)
        self.modes = QButtonGroup(self)
        for tool in self.tools.values():
            self.modes.addButton(tool)
            # Some styles make no button narrower than 80 pixels: five would not fit.
            tool.setMinimumWidth(tool.fontMetrics().horizontalAdvance(tool.text()) + 16)
        whole = QWidget()
        edits = QGridLayout(whole)
        edits.setContentsMargins(0, 0, 0, 0)
        edits.addWidget(self.radius, 0, 0)
        for place, part in enumerate((*self.edits.values(), self.apply), start=1):
            edits.addWidget(part, place // 2, place % 2)
        self.sections = {
            panel: Section(title, self.panels[panel])
            for panel, title in _FOLDED.items()
            if panel in self.panels
        }
        self.editing = QWidget()
        column = QVBoxLayout(self.editing)
        column.setContentsMargins(0, 0, 0, 0)
        # A pixel less than usual: all that an image needs has to fit a laptop at 125 %.
        column.setSpacing(5)
        for part in (
            row(QWidget(), self.state, row(self.recovery, self.restore, self.discard)),
            row(QWidget(), self.undo, self.redo, self.load_mask, self.save_mask),
            row(QWidget(), *self.tools.values()),
            row(QWidget(), self.brush, self.diameter, self.ignore),
            self.panels[CLICKS],
            Section("Whole mask", whole),
            *(self.sections[panel] for panel in _OF_MASK if panel in self.sections),
        ):
            column.addWidget(part)
        above = (self.panels[panel] for panel in (QUEUE, REVIEW) if panel in self.panels)
        below = (part for panel, part in self.sections.items() if panel not in _OF_MASK)
        self.add((*above, self.editing, *below, self.show_keys))

    def _outside_table(self) -> Connections:
        events = self._session.events
        return (
            (events.queue, self._on_queue_changed),
            (events.save, self._on_strokes_changed),
            (events.ignoring, self._on_ignoring_changed),
            (events.recovery, self._on_strokes_changed),
            (self._layers.mask_layer_changed, self._on_mask_layer_changed),
            (self._lasso.kind_changed, self._on_mode_changed),
            (self._layers.mouse.owner_changed, self._on_mode_changed),
        )

    def _inside_table(self) -> Connections:
        return (
            (self.modes.buttonClicked, self._on_tool_clicked),
            (self.brush.valueChanged, self._on_brush_moved),
            (self.diameter.valueChanged, self._on_brush_moved),
            (self.ignore.clicked, self._edit.toggle_ignoring),
            (self.undo.clicked, self._on_undo_wanted),
            (self.redo.clicked, self._on_redo_wanted),
            *((part.clicked, self._on_edit_wanted) for part in self.edits.values()),
            (self.apply.clicked, self._edit.apply_automatic),
            (self.load_mask.clicked, self.load),
            (self.save_mask.clicked, self.save),
            (self.restore.clicked, self._edit.recovery.restore),
            (self.discard.clicked, self._edit.recovery.discard),
            (self.show_keys.clicked, self.keys.bring),
        )

    def _follow(self, layer: Labels | None) -> None:
        if self._layer is not None:
            self._layer.events.mode.disconnect(self._on_mode_changed)
            self._layer.events.brush_size.disconnect(self._on_brush_changed)
        self._layer = layer
        if layer is not None:
            # napari's own controls change them as well.
            layer.events.mode.connect(self._on_mode_changed)
            layer.events.brush_size.connect(self._on_brush_changed)
            self._on_mode_changed()
            self._on_brush_changed()

    def _on_mask_layer_changed(self) -> None:
        self._follow(self._layers.mask_layer)
        self.editing.setEnabled(self._layer is not None)

    def _on_mode_changed(self, _: object = None) -> None:
        mode = "" if self._layer is None else str(self._layer.mode)
        if self._layers.mouse.owner is not None:
            # A tool of ours has the mouse, with a button here or in another panel.
            mode = self._lasso.kind
        tool = self.tools.get(mode)
        # An exclusive group keeps one button down, but napari has modes without a button here.
        self.modes.setExclusive(False)
        for part in self.tools.values():
            part.setChecked(part is tool)
        self.modes.setExclusive(True)

    def _on_brush_changed(self) -> None:
        if self._layer is not None:
            for part in (self.brush, self.diameter):
                # The slider ends where nobody needs it any more; the number goes on.
                with signals_blocked(part):
                    part.setValue(round(self._layer.brush_size))

    def _on_tool_clicked(self) -> None:
        if self._layer is not None:
            chosen = next(mode for mode, part in self.tools.items() if part.isChecked())
            if chosen in (POLYGON, LASSO):
                self._lasso.activate(chosen)
            else:
                self._layers.take_tool(chosen)
            # A tool that napari refuses is not shown as taken.
            self._on_mode_changed()

    def _on_brush_moved(self, value: int) -> None:
        if self._layer is not None:
            self._layer.brush_size = value

    def _on_undo_wanted(self) -> None:
        if self._layer is not None:
            self._layers.undo(self._layer)

    def _on_redo_wanted(self) -> None:
        if self._layer is not None:
            self._layers.undo(self._layer, again=True)

    def _on_edit_wanted(self) -> None:
        # By the sender: a lambda for each button would keep the dock alive.
        pressed, radius = self.sender(), self.radius.value()
        # One field serves both: spots smaller than a disc of the radius count as small.
        values = {"radius": radius, "size": max(1, round(math.pi * radius**2))}
        for edit in MASK_EDITS:
            if self.edits[edit.name] is pressed:
                chosen = {edit.parameter: values[edit.parameter]} if edit.parameter else {}
                self._edit.edit(edit.name, **chosen)

    def _on_queue_changed(self, queue: Queue | None) -> None:
        for panel in _OF_PROJECT:
            if panel in self.sections:
                self.sections[panel].setVisible(queue is not None)
        if REVIEW in self.panels:
            self.panels[REVIEW].setVisible(queue is not None)

    def _on_ignoring_changed(self, ignoring: bool) -> None:
        self.ignore.setChecked(ignoring)

    def _on_strokes_changed(self) -> None:
        """Say where the strokes are, and what was found of earlier ones."""
        save, recovery = self._session.save, self._session.recovery
        marks = dict(zip(SaveStage, ("", "● ", "● ", "✓ ", "⚠ "), strict=True))
        text = marks[save.state] + (save.message or "No strokes yet")
        if recovery is not None and recovery.from_this_process:
            recovery = None
        self.recovery.setVisible(recovery is not None)
        if recovery is not None:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(recovery.saved_at))
            text = f"⚠ Unsaved strokes on this image from {when}\n{text}"
        self.state.setText(text)
