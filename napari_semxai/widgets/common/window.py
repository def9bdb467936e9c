"""napari's window around the docks: the room of the canvas, and the question before it closes."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from napari.settings import get_settings
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QDialog, QMessageBox, QScrollArea, QVBoxLayout

from napari_semxai.types import InputError
from napari_semxai.widgets.common.file_dialogs import ask_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.state.open_image import UnsavedMask

_NAMED = 5
_WIDE = 1 << 20
_Button = QMessageBox.StandardButton


class CanvasRoom(QObject):
    """Gives the canvas its room: a narrow window shows fewer of napari's own docks.

    The layer controls cannot be narrower than 340 pixels, the layer list 260. Only where a window
    gets narrow or wide again something is hidden or comes back; what a person opens in between by
    napari's *Window* menu stays.

    Parameters
    ----------
    window : QMainWindow
        napari's.
    dock : QDockWidget
        One of those on the right, which begin as narrow as their parts allow.
    """

    def __init__(self, window: QMainWindow, dock: QDockWidget) -> None:
        super().__init__(window)
        viewer = window._qt_viewer
        # Which goes below which width of the window.
        self._docks = ((viewer.dockLayerControls, 1440), (viewer.dockLayerList, 1180))
        self._hidden: list[QDockWidget] = []
        self._width = _WIDE
        window.installEventFilter(self)
        self.fit(window.width())
        # Qt would give them what their longest texts ask for; their minimum is what they get.
        window.resizeDocks([viewer.dockLayerList, dock], [1, 1], Qt.Orientation.Horizontal)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the window's width."""
        if event.type() == QEvent.Type.Resize:
            self.fit(event.size().width())
        return False

    def fit(self, width: int) -> None:
        """Hide what has no room in a window of this width, and show again what has."""
        before, self._width = self._width, width
        for dock, least in self._docks:
            if width < least <= before and not dock.isHidden():
                self._hidden.append(dock)
                dock.hide()
            elif before < least <= width and dock in self._hidden:
                self._hidden.remove(dock)
                dock.show()


@contextmanager
def settings_saved_once() -> Iterator[None]:
    """Let napari save its settings at the end: it does so twice a dock, at 25 ms each time."""
    settings = get_settings()
    saves, settings._save_on_change = settings._save_on_change, False
    try:
        yield
    finally:
        settings._save_on_change = saves
        settings._maybe_save()


class FloatingPanel(QDialog):
    """A panel in a window of its own, which scrolls and stays beside the work.

    Parameters
    ----------
    title : str
        Of the window.
    panel : QWidget
        What it holds.
    parent : QWidget
        What it stays in front of.
    """

    def __init__(self, title: str, panel: QWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(panel)
        # As wide as the panel needs, and never higher than a small laptop's screen.
        area.setMinimumWidth(panel.minimumSizeHint().width() + 30)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        self.resize(460, 520)

    def bring(self) -> None:
        """Show it in front."""
        self.show()
        self.raise_()
        self.activateWindow()


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
