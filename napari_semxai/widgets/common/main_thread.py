"""Hand calls from other threads to the GUI thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal

if TYPE_CHECKING:
    from collections.abc import Callable


class MainThread(QObject):
    """Run functions on the thread this object was made on, in order, when Qt gets to it."""

    _called = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._open = True
        self._called.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def deliver(self, function: Callable[[], None]) -> None:
        """Queue `function`; may be called from any thread."""
        if self._open:
            self._called.emit(function)

    def close(self) -> None:
        """Drop whatever is still queued and all that comes later."""
        self._open = False

    def _run(self, function: Callable[[], None]) -> None:
        if self._open:
            function()
