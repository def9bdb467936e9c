"""The wheel scrolls a dock, whatever lies under the mouse, unless that has the focus."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QApplication, QScrollArea, QWidget


class WheelGuard(QObject):
    """Keeps the wheel from the controls of a dock, those of today and those that come later.

    Every layout of a dock's body follows what was added to it, so it is then that new controls
    are looked for. The constructor of a control is too early: Qt sets focus policies later.

    Parameters
    ----------
    area : QScrollArea
        What scrolls; it has its body already.
    """

    def __init__(self, area: QScrollArea) -> None:
        super().__init__(area)
        self._area, self._body = area, area.widget()
        self._body.installEventFilter(self)
        self._guard()

    def eventFilter(self, watched: QWidget, event: QEvent) -> bool:
        """Give the wheel over what has no focus to the area."""
        kind = event.type()
        if watched is self._body:
            if kind in (QEvent.Type.LayoutRequest, QEvent.Type.Show, QEvent.Type.Enter):
                self._guard()
        elif kind == QEvent.Type.Wheel and not self._has_focus(watched):
            self._area.wheelEvent(event)
            return True
        return False

    def _guard(self) -> None:
        for part in self._body.findChildren(QWidget):
            # Qt gives the focus by the wheel before any filter sees it.
            if part.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                part.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            # Again does no harm: Qt keeps one filter of a kind.
            part.installEventFilter(self)

    def _has_focus(self, part: QWidget) -> bool:
        if part.window() is not self._body.window():
            # The list that a combo box opens.
            return True
        focus = QApplication.focusWidget()
        # A click on a dock's tab gives the focus to the window, which holds every control.
        if focus is None or not self._body.isAncestorOf(focus):
            return False
        return focus is part or focus.isAncestorOf(part) or part.isAncestorOf(focus)
