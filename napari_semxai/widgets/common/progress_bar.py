"""Jobs of engines and threads: start, progress, cancel, and their calls on the GUI thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_semxai.types import JobState
from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.status import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.types import Progress

_STAGES = {"load": "Loading the network", "encode": "Encoding the image"}


class JobBar(QWidget):
    """A start and a cancel button, and how far the job is.

    Parameters
    ----------
    title, tip : str
        Of the start button.
    unit : str
        What is counted, where its stages have no names of their own.
    """

    start_wanted = Signal()
    cancel_wanted = Signal()

    def __init__(self, title: str, tip: str, unit: str = "") -> None:
        super().__init__()
        self._said, self._idle, self._unit = "", "", unit
        self.start = button(title, tip)
        self.cancel = button("Cancel", "Cancel; results found so far are kept")
        self._line = StatusLine()
        self.status, self.progress = self._line.text, self._line.progress
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(0, 1)
        layout.addWidget(self.start, 0, 0)
        layout.addWidget(self.cancel, 0, 1)
        layout.addWidget(self._line, 1, 0, 1, 2)
        self.start.clicked.connect(self.start_wanted)
        self.cancel.clicked.connect(self.cancel_wanted)

    def set_progress(self, progress: Progress) -> None:
        """Show how far the job is."""
        self.start.setEnabled(not progress.running)
        self.cancel.setEnabled(progress.running)
        self._line.show_progress(progress.running, progress.done, progress.total)
        self._said = progress_text(progress, self._unit)
        # One line serves both: what a job says counts before what is said while there is none.
        self.status.setText(self._said or self._idle)

    def set_idle(self, text: str) -> None:
        """Say this while there is nothing to say of the job."""
        self._idle = text
        self.status.setText(self._said or text)


def progress_text(progress: Progress, unit: str = "") -> str:
    """Return what people read of a job; "" of one that is done or not begun."""
    counted = f"{progress.done} of {progress.total}{unit and f' {unit}'}"
    if progress.state is JobState.FAILED:
        return f"⚠ {progress.message}"
    if progress.state is JobState.CANCELLED:
        return f"Cancelled after {counted}" if unit else "Cancelled"
    if not progress.running:
        return ""
    left = "" if progress.seconds_left is None else f", about {progress.seconds_left:.0f} s left"
    if progress.stage in _STAGES:
        return f"{_STAGES[progress.stage]} …"
    if unit:
        return f"{counted}{left}"
    steps = f": {counted}" if progress.total > 1 else ""
    return f"{progress.stage.capitalize()}{steps}{left} …"


class MainThread(QObject):
    """Run functions on the thread this object was made on, in order, when Qt gets to it."""

    _called = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._open = True
        # Queued also from the GUI thread itself, so that everything keeps its order.
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
