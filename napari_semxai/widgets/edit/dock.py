"""The Edit & review dock: painting tools, whole-mask edits, saving, recovery and closing."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QMessageBox,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.algorithms.masks.edits import MASK_EDITS
from napari_semxai.state.open_image import SaveStage
from napari_semxai.types import InputError
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_mask, ask_open
from napari_semxai.widgets.common.forms import MASK_FILTER, ScrolledDock, button, group
from napari_semxai.widgets.common.numbers import whole_field
from napari_semxai.widgets.common.status import StatusText, keep_room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Labels
    from qtpy.QtWidgets import QMainWindow

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.open_image import SaveState, UnsavedMask
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.store.disk.recovery_copies import Recovery
    from napari_semxai.widgets.common.forms import Connections, Panel

TOOLS = (
    ("pan_zoom", "Move", "Move and zoom the image"),
    ("paint", "Brush", "Paint the defect"),
    ("erase", "Erase", "Erase with the brush"),
    (
        "polygon",
        "Polygon",
        "Click to add corners, right-click to remove the last, double-click to close",
    ),
    ("fill", "Fill", "Fill the region under the mouse"),
)
CLICKS, KEYS, SIZE, DEFECTS = "SAM click", "Keys", "Size", "Defects"
QUEUE, REVIEW, ANNOTATORS, PROJECT = "Queue", "Review", "Annotators", "Project"
STORAGE = "Storage"
_ABOVE, _BELOW = (QUEUE, REVIEW), (ANNOTATORS, PROJECT, KEYS, STORAGE)
_OF_PROJECT = (REVIEW, ANNOTATORS, PROJECT)
_NAMED = 5
_Button = QMessageBox.StandardButton


class EditDock(ScrolledDock):
    """Tools for the defect mask.

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
    """

    def __init__(
        self,
        session: Session,
        edit: EditController,
        layers: SessionLayers,
        panels: Mapping[str, Panel],
    ) -> None:
        super().__init__()
        self.panels = panels
        self._session, self._layers = session, layers
        self._edit = edit
        self._layer: Labels | None = None
        self._create()
        self._lay_out()
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._on_mask_layer_changed()
        self._on_recovery_changed(session.recovery)
        self._on_save_changed(session.save)
        self._on_queue_changed(session.queue)

    def release(self) -> None:
        """Disconnect from the layer and the session."""
        # The layer outlives the dock, and is no part of `_outside_table`: it changes with the
        # image.
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

    def _lay_out(self) -> None:
        # Buttons that came and went would move the brush from under the mouse.
        keep_room(self.recovery)
        state = QWidget()
        for row, parts in (
            (QHBoxLayout(self.recovery), (self.restore, self.discard)),
            (QHBoxLayout(state), (self.state, self.recovery)),
        ):
            row.setContentsMargins(0, 0, 0, 0)
            for part in parts:
                row.addWidget(part)
        painting, whole = QWidget(), QWidget()
        grid = QGridLayout(painting)
        self.modes = QButtonGroup(self)
        for column, tool in enumerate(self.tools.values()):
            grid.addWidget(tool, column // 3, column % 3)
            self.modes.addButton(tool)
        grid.addWidget(self.brush, 2, 0, 1, 2)
        grid.addWidget(self.diameter, 2, 2)
        grid.addWidget(self.undo, 3, 0)
        grid.addWidget(self.redo, 3, 1)
        edits = QGridLayout(whole)
        edits.addWidget(self.radius, 0, 0)
        for place, part in enumerate(self.edits.values(), start=1):
            edits.addWidget(part, place // 2, place % 2)
        for layout in (grid, edits):
            layout.setContentsMargins(0, 0, 0, 0)
        files = QWidget()
        buttons = QHBoxLayout(files)
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.load_mask)
        buttons.addWidget(self.save_mask)
        self.groups = {
            title: group(title, self.panels[title])
            for title in (*_ABOVE, *_BELOW)
            if title in self.panels
        }
        self.add(self.groups[title] for title in _ABOVE if title in self.groups)
        self.editing = QWidget()
        column = QVBoxLayout(self.editing)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (
            state,
            group("Paint", painting),
            group(CLICKS, self.panels[CLICKS]),
            group("Whole mask", whole, self.apply),
            group("File", files),
            group(DEFECTS, self.panels[DEFECTS]),
            group(SIZE, self.panels[SIZE]),
        ):
            column.addWidget(part)
        self.add((self.editing, *(self.groups[title] for title in _BELOW if title in self.groups)))

    def _outside_table(self) -> Connections:
        events = self._session.events
        return (
            (events.queue, self._on_queue_changed),
            (events.save, self._on_save_changed),
            (events.recovery, self._on_recovery_changed),
            (self._layers.mask_layer_changed, self._on_mask_layer_changed),
        )

    def _inside_table(self) -> Connections:
        return (
            (self.modes.buttonClicked, self._on_tool_clicked),
            (self.brush.valueChanged, self._on_brush_moved),
            (self.diameter.valueChanged, self._on_brush_moved),
            (self.undo.clicked, self._on_undo_wanted),
            (self.redo.clicked, self._on_redo_wanted),
            *((part.clicked, self._on_edit_wanted) for part in self.edits.values()),
            (self.apply.clicked, self._edit.apply_automatic),
            (self.load_mask.clicked, self.load),
            (self.save_mask.clicked, self.save),
            (self.restore.clicked, self._edit.restore),
            (self.discard.clicked, self._edit.discard),
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

    def _on_mode_changed(self) -> None:
        tool = self.tools.get(str(self._layer.mode)) if self._layer is not None else None
        # An exclusive group always keeps one button down, but napari has modes without a button
        # here.
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
            self._layers.take_tool(
                next(mode for mode, part in self.tools.items() if part.isChecked())
            )
            # A tool that napari refuses is not shown as taken.
            self._on_mode_changed()

    def _on_brush_moved(self, value: int) -> None:
        if self._layer is not None:
            self._layer.brush_size = value

    def _on_undo_wanted(self) -> None:
        if self._layer is not None:
            self._layer.undo()

    def _on_redo_wanted(self) -> None:
        if self._layer is not None:
            self._layer.redo()

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
        for title in _OF_PROJECT:
            if title in self.groups:
                self.groups[title].setVisible(queue is not None)

    def _on_save_changed(self, save: SaveState) -> None:
        self._show_state(save, self._session.recovery)

    def _on_recovery_changed(self, recovery: Recovery | None) -> None:
        self._show_state(self._session.save, recovery)

    def _show_state(self, save: SaveState, recovery: Recovery | None) -> None:
        marks = dict(zip(SaveStage, ("", "● ", "● ", "✓ ", "⚠ "), strict=True))
        text = marks[save.state] + (save.message or "No strokes yet")
        offered = recovery is not None and not recovery.from_this_process
        self.recovery.setVisible(offered)
        if recovery is not None and offered:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(recovery.saved_at))
            text = f"⚠ Unsaved strokes on this image from {when}\n{text}"
        self.state.setText(text)


class ClosingQuestion(QObject):
    """Asks to save or discard masks before the window closes, or lets it stay open.

    Only where a person closes it, by its frame, menu or key; a script's ``viewer.close()`` asks
    nobody, and recovery copies stay then.

    Parameters
    ----------
    window : QMainWindow
        napari's.
    edit : EditController
        Knows the masks.
    """

    def __init__(self, window: QMainWindow, edit: EditController) -> None:
        super().__init__(window)
        self._edit = edit
        window.installEventFilter(self)
        # napari's menu closes by this method and tells Qt nothing that a filter could see.
        window.close = partial(_close, ref(window), self.may_close)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ask where the close came from the window's frame."""
        if event.type() == QEvent.Type.Close and event.spontaneous() and not self.may_close():
            event.ignore()
            return True
        return False

    def may_close(self) -> bool:
        """Ask about masks that no file holds; False where the window is to stay."""
        unsaved = self._edit.unsaved_masks()
        if not unsaved:
            return True
        answer = self._ask(unsaved)
        if answer == _Button.Discard:
            self._edit.copies.discard_when_closed(unsaved)
        return answer == _Button.Discard or (
            answer == _Button.Save and all(map(self._save, unsaved))
        )

    def _ask(self, unsaved: list[UnsavedMask]) -> QMessageBox.StandardButton:
        names = ", ".join(mask.name for mask in unsaved[:_NAMED])
        more = f" and {len(unsaved) - _NAMED:,} more" if len(unsaved) > _NAMED else ""
        one = len(unsaved) == 1
        which, verb = ("The mask of", "is") if one else ("The masks of", "are")
        box = QMessageBox(
            QMessageBox.Icon.Warning,
            "Unsaved masks",
            f"{which} {names}{more} {verb} not saved.",
            _Button.Save | _Button.Discard | _Button.Cancel,
            self.parent(),
        )
        where = "a file" if one else "a file for each"
        box.setInformativeText(f"Save asks for {where}. Discard deletes the strokes.")
        box.setDefaultButton(_Button.Save)
        # A plain number on PyQt6.
        answer = _Button(box.exec())
        box.deleteLater()
        return answer

    def _save(self, mask: UnsavedMask) -> bool:
        path = ask_mask(self.parent(), mask.name, mask.path)
        if path is None:
            return False
        try:
            self._edit.save_now(mask, path)
        except InputError as error:
            QMessageBox.warning(self.parent(), "Unsaved masks", str(error))
            return False
        return True


def _close(
    window: ref[QMainWindow],
    may_close: Callable[[], bool],
    quit_app: bool = False,
    confirm_need: bool = False,
) -> object:
    """Close napari's window as it does itself, after a question where a person asked for it."""
    known = window()
    if known is None or (confirm_need and not may_close()):
        return None
    return type(known).close(known, quit_app, confirm_need)
