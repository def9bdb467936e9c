"""napari's window around the docks: the room of the canvas, messages, keys, closing."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from napari._qt import qt_main_window
from napari._qt.dialogs.qt_notification import NapariQtNotification
from napari.settings import get_settings
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QFrame,
    QMessageBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_semxai.state.session import named
from napari_semxai.types import Failure, InputError, colors
from napari_semxai.widgets.common.file_dialogs import ask_mask
from napari_semxai.widgets.common.forms import FIELDS, button, note, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qtpy.QtWidgets import QDockWidget, QMainWindow

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.state.open_image import UnsavedMask

NOTICE_MILLISECONDS = 8_000
"""How long a message stays that nobody has to act on."""
_MOST_NOTICES, _NOTICE_WIDTH, _GAP = 3, 420, 8
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


def hush_pyqt5() -> None:
    """Keep napari's word on PyQt5 from being the first thing that a person sees; nothing else.

    Where napari has opened without the docks it has said so already: its message goes.
    """
    qt_main_window.SHOW_QT_WARNING = False
    for shown in tuple(NapariQtNotification._instances):
        if "support for the PyQt5 backend" in shown.message.text():
            shown.close()


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


class Notices(QObject):
    """Messages over the canvas: wrapped, closable, and gone after a while.

    They move no control. A `Failure` stays until it is closed or over, or three newer ones come.

    Parameters
    ----------
    canvas : QWidget
        What they lie over.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.shown: list[Notice] = []
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay within the canvas."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def show(self, message: str) -> None:
        """Show a message; one that is there already starts anew."""
        for old in [own for own in self.shown if own.message == message]:
            old.close()
        for old in self.shown[: max(len(self.shown) - _MOST_NOTICES + 1, 0)]:
            old.close()
        notice = Notice(message, self._canvas)
        notice.closed.connect(self._on_closed)
        self.shown.append(notice)
        self._place()
        notice.show()

    def end(self, failure: str) -> None:
        """Close what says that this went wrong, perhaps with what followed from it."""
        for notice in tuple(self.shown):
            if isinstance(notice.message, Failure) and failure in notice.message:
                notice.close()

    def clear(self) -> None:
        """Close all."""
        for notice in tuple(self.shown):
            notice.close()

    def _on_closed(self, notice: Notice) -> None:
        self.shown.remove(notice)
        self._place()

    def _place(self) -> None:
        bottom = self._canvas.height() - _GAP
        for notice in reversed(self.shown):
            notice.setFixedWidth(max(min(_NOTICE_WIDTH, self._canvas.width() - 2 * _GAP), 60))
            notice.setFixedHeight(notice.heightForWidth(notice.width()))
            bottom -= notice.height() + _GAP
            notice.move(_GAP, max(bottom, 0))


class Notice(QFrame):
    """One message over the canvas."""

    closed = Signal(object)

    def __init__(self, message: str, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.message, failed = message, isinstance(message, Failure)
        # The same on every theme: the canvas is dark on all of them.
        edge = colors.VERMILION if failed else colors.SKY
        self.setStyleSheet(
            f"Notice {{ background: #26282f; border-left: 4px solid {edge}; }}"
            "QLabel, QPushButton { background: #26282f; color: #f0f0f0; }"
        )
        self.text = note(f"⚠ {message}" if failed else message)
        self.dismiss = button("✕", "Close this message; the log keeps it")
        self.dismiss.setFixedWidth(28)
        row(self, self.text, self.dismiss)
        self.layout().setContentsMargins(10, 6, 6, 6)
        self.layout().setAlignment(self.dismiss, Qt.AlignmentFlag.AlignTop)
        self.dismiss.clicked.connect(self.close)
        self.timer = QTimer(self)
        self.timer.setSingleShot(True)
        self.timer.timeout.connect(self.close)
        if not failed:
            self.timer.start(NOTICE_MILLISECONDS)

    def close(self) -> bool:
        """Go, and say so."""
        self.timer.stop()
        self.closed.emit(self)
        self.hide()
        self.deleteLater()
        return True


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
        self.panel = panel
        self.setWindowTitle(title)
        area = self._area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        # Never higher than a small laptop's screen.
        self.resize(460, 520)

    def bring(self) -> None:
        """Show it in front, as wide as the panel needs in the theme's font."""
        self.show()
        self._area.setMinimumWidth(self.panel.minimumSizeHint().width() + 30)
        self.raise_()
        self.activateWindow()


_KEY_EVENTS = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress, QEvent.Type.KeyRelease)
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class KeyGuard(QObject):
    """Keeps keys from running away: held ones, and those that a button or field would take.

    X11 repeats a key as releases and presses, each pair at one time. Qt tells them from a person's
    by the press that waits behind the release; on a busy machine it has not arrived yet, and a key
    held for a second would review several images.

    Whoever has clicked a button, or pressed Enter in a field, is done there: the next keys are
    meant for the image.

    Parameters
    ----------
    canvas : QWidget
        Gets the focus back.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__()
        self._canvas, self._window = canvas, ref(canvas.window())
        self._released: tuple[int, int] | None = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let no press pass that has the time of the same key's release."""
        kind = event.type()
        # With a mouse button down PyQt may take a key's event for that of the mouse, which VisPy
        # holds: Qt makes both in one place of its stack.
        if kind in _KEY_EVENTS and not getattr(event, "isAutoRepeat", lambda: True)():
            if kind == QEvent.Type.KeyRelease and event.key() in _ENTER:
                self._leave(watched, FIELDS)
            return self._is_repeat(event)
        if kind == QEvent.Type.MouseButtonRelease:
            self._leave(watched, (QAbstractButton,))
            # The empty ground of a dock takes no keys.
            self._leave(QApplication.focusWidget(), (QScrollArea,))
        elif kind == QEvent.Type.FocusIn and watched is self._window():
            self._leave(watched, (QWidget,))
        return False

    def _is_repeat(self, event: QEvent) -> bool:
        # Events that a program sends have no time.
        stamp = (event.key(), event.timestamp()) if event.timestamp() else None
        if event.type() == QEvent.Type.KeyRelease:
            self._released = stamp
            return False
        # Space moves the view for as long as it is down: pressed once more it goes on.
        moves = event.key() == Qt.Key.Key_Space
        repeated = stamp is not None and stamp == self._released and not moves
        if repeated:
            event.accept()
        return repeated

    def _leave(self, part: QObject | None, kinds: tuple[type[QWidget], ...]) -> None:
        """Give the focus of one of these kinds of widgets back to the canvas."""
        if isinstance(part, kinds) and part.window() is self._window():
            # Afterwards: a button that loses the focus under the mouse is not clicked.
            QTimer.singleShot(0, partial(_focus_canvas, ref(self._canvas), ref(part)))


def _focus_canvas(canvas: ref[QWidget], before: ref[QWidget]) -> None:
    """Give a canvas the keys, unless another widget than `before` has taken them meanwhile."""
    widget, part = canvas(), before()
    # Qt itself passes the focus on from what is disabled or hidden.
    gone = part is None or not isalive(part) or not part.isEnabled() or not part.isVisible()
    free = gone or QApplication.focusWidget() in (part, None)
    if widget is not None and isalive(widget) and free:
        widget.setFocus(Qt.FocusReason.OtherFocusReason)


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
        names = named([mask.name for mask in unsaved])
        one = len(unsaved) == 1
        which, verb = ("The mask of", "is") if one else ("The masks of", "are")
        box = QMessageBox(
            QMessageBox.Icon.Warning,
            "Unsaved masks",
            f"{which} {names} {verb} not saved.",
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
