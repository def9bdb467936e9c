"""Texts that come and go without moving anything: their room is always there, in any font."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QElapsedTimer, QEvent, QObject, QRect, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QTextEdit,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from napari_semxai.widgets.common.forms import row, set_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QMouseEvent, QResizeEvent

SOON_MILLISECONDS = 150
"""An answer that comes sooner is not announced: nobody could read it, and every change of a text
lets Qt paint the whole window once more."""
_ANIMATED = 213
"""StyleAnimationUpdate, which PyQt has no name for."""
_STEP_MILLISECONDS = 250
_FONT_MAY_DIFFER = (QEvent.Type.FontChange, QEvent.Type.StyleChange, QEvent.Type.Polish)
_MARGIN = 4
_BAR_HEIGHT = 5
_WRAP = int(getattr(Qt.TextFlag.TextWordWrap, "value", Qt.TextFlag.TextWordWrap))


class ShownSoon(QTimer):
    """Shows every change at once, but that an answer is waited for only when it takes long.

    Parameters
    ----------
    parent : QObject
        Whose texts change.
    show : callable
        Changes them.
    """

    def __init__(self, parent: QObject, show: Callable[[], object]) -> None:
        super().__init__(parent, singleShot=True, interval=SOON_MILLISECONDS)
        self._show = show
        self.timeout.connect(show)

    def changed(self, waiting: bool) -> None:
        """Show a change, or wait for the answer first."""
        if waiting:
            self.start()
        else:
            self.stop()
            self._show()


class FittedWidth(QObject):
    """Keeps a widget as wide as a text in its font, which napari sets once it is in the window.

    Parameters
    ----------
    widget : QWidget
        What has this width from now on.
    text : str
        Its text, or the longest one.
    around : int
        Pixels around it.
    """

    def __init__(self, widget: QWidget, text: str, around: int) -> None:
        super().__init__(widget)
        self._widget, self._text, self._around = widget, text, around
        widget.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Fit the width after the font."""
        if event.type() in _FONT_MAY_DIFFER:
            self._fit()
        return False

    def _fit(self) -> None:
        width = self._widget.fontMetrics().horizontalAdvance(self._text)
        self._widget.setFixedWidth(width + self._around)


class StatusText(QLabel):
    """Text in a fixed number of lines; what does not fit is read in the tooltip, or by a click.

    Parameters
    ----------
    lines : int
        How many lines have room.
    text : str
        What is said first.
    """

    def __init__(self, lines: int = 1, text: str = "") -> None:
        super().__init__()
        self._lines, self._said, self._tip = lines, "", ""
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        # With a frame, which a style sheet makes, the indent would push the last line out.
        self.setIndent(0)
        self.setContentsMargins(3, 0, 3, 0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setText(text)

    def text(self) -> str:
        """Return all that is said, also what has no room."""
        return self._said

    def setText(self, text: str) -> None:
        """Say something else."""
        if text != self._said:
            self._said = text
            self._fit()

    def setToolTip(self, tip: str) -> None:
        """Explain the text, as long as it is to be seen in full."""
        self._tip = tip
        self._fit()

    def sizeHint(self) -> QSize:
        """Return the room of all lines, whatever is said."""
        return QSize(160, self._height())

    def minimumSizeHint(self) -> QSize:
        """Return the least room."""
        return QSize(60, self._height())

    def heightForWidth(self, width: int) -> int:
        """Return the room of all lines, whatever is said."""
        return self._height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much as fits into the new width."""
        super().resizeEvent(event)
        self._fit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Show the whole text."""
        super().mousePressEvent(event)
        if super().text() != self._said:
            QToolTip.showText(self.mapToGlobal(event.pos()), self._said, self)

    def _height(self) -> int:
        self.ensurePolished()
        return int(self._lines * self.fontMetrics().lineSpacing()) + _MARGIN

    def _fits(self, text: str) -> bool:
        box = QRect(0, 0, max(self.width() - 8, 1), 100_000)
        needed = self.fontMetrics().boundingRect(box, _WRAP, text)
        return bool(needed.height() <= self._height() and needed.width() <= box.width())

    def _fit(self) -> None:
        shown, rich = self._said, "</" in self._said
        # Rich text is cut at the end of its room.
        if not rich and not self._fits(shown):
            # By halves: each try lays the text out anew, and a path may be long.
            low, high = 0, len(shown)
            while low < high:
                middle = (low + high + 1) // 2
                if self._fits(f"{shown[:middle]}…"):
                    low = middle
                else:
                    high = middle - 1
            shown = f"{shown[:low]}…"
        super().setText(shown)
        # Plain text was measured above: a second time would make every stroke of a brush slower.
        cut = shown != self._said
        if rich:
            cut = super().heightForWidth(self.width()) > self._height()
        super().setToolTip(self._said if cut else self._tip)


class Passage(QTextEdit):
    """Longer text in a box of fixed height, which scrolls.

    Parameters
    ----------
    lines : int
        How many lines are seen at once.
    text : str
        What is said first.
    """

    def __init__(self, lines: int, text: str = "") -> None:
        super().__init__()
        self._lines, self._said = lines, ""
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setStyleSheet("background: transparent; border: 0;")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setText(text)

    def text(self) -> str:
        """Return what was said, with its markup."""
        return self._said

    def setText(self, text: str) -> None:
        """Say something else."""
        if text != self._said:
            self._said = text
            super().setText(text)

    def sizeHint(self) -> QSize:
        """Return the room of the lines."""
        self.ensurePolished()
        return QSize(160, self._lines * self.fontMetrics().lineSpacing() + 4 * _MARGIN)

    def minimumSizeHint(self) -> QSize:
        """Return the least room."""
        return QSize(60, self.sizeHint().height())


class CalmBar(QProgressBar):
    """A progress bar that moves a few times a second while nobody knows how far it is.

    Qt moves it 30 times, and each time composes the whole window anew beside the canvas: without
    a graphics card that takes a core from what is waited for.
    """

    def __init__(self) -> None:
        super().__init__()
        self._moved = QElapsedTimer()

    def event(self, event: QEvent) -> bool:
        """Leave out most steps of the animation."""
        if event.type() == _ANIMATED:
            if self._moved.isValid() and not self._moved.hasExpired(_STEP_MILLISECONDS):
                # Otherwise it would end.
                event.accept()
                return True
            self._moved.start()
        return bool(super().event(event))


class StatusLine(QWidget):
    """What a dock's jobs say, over a thin progress bar.

    Parameters
    ----------
    lines : int
        How many lines of text have room.
    """

    def __init__(self, lines: int = 1) -> None:
        super().__init__()
        self.text, self.progress = StatusText(lines), CalmBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(_BAR_HEIGHT)
        keep_room(self.progress)
        self.progress.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        # The text, and what a subclass puts beside it.
        self.holder = QWidget()
        row(self.holder, self.text)
        layout.addWidget(self.holder)
        layout.addWidget(self.progress)

    def show_progress(self, running: bool, done: int, total: int) -> None:
        """Show how far it is, while it runs."""
        self.progress.setVisible(running)
        self.progress.setRange(0, total)
        set_bar(self.progress, done)


def keep_room(*widgets: QWidget) -> None:
    """Let these keep their place while they are hidden.

    In Qt 6 a row of a QFormLayout goes all the same.
    """
    for widget in widgets:
        policy = widget.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        widget.setSizePolicy(policy)
