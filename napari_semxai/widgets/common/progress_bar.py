"""Jobs of engines and threads: start, progress, cancel, and their calls on the GUI thread."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_semxai.state.open_image import SaveStage
from napari_semxai.state.review import ClickState, doubt_text
from napari_semxai.types import Failure, JobState, time_left
from napari_semxai.widgets.common.forms import Connected, button
from napari_semxai.widgets.common.status import FittedWidth, ShownSoon, StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.state.open_image import SaveState
    from napari_semxai.state.review import Clicks
    from napari_semxai.state.session import Session
    from napari_semxai.types import Progress
    from napari_semxai.widgets.common.forms import Connections

_CLICK = "SAM click"
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
        """Say this while no job runs; what a job that is over left goes with the text before."""
        if text != self._idle and self.start.isEnabled():
            self._said = ""
        self._idle = text
        self.status.setText(self._said or text)


def progress_text(progress: Progress, unit: str = "") -> str:
    """Return what people read of a job; "" of one that is done or not begun."""
    counted = f"{progress.done:,} of {progress.total:,}{unit and f' {unit}'}"
    if progress.state is JobState.FAILED:
        return f"⚠ {progress.message}"
    if progress.state is JobState.CANCELLED:
        return f"Cancelled after {counted}" if unit else "Cancelled"
    if not progress.running:
        return ""
    left = time_left(progress.seconds_left)
    if progress.stage in _STAGES:
        return f"{_STAGES[progress.stage]} …"
    if unit:
        return f"{counted}{left}"
    steps = f": {counted}" if progress.total > 1 else ""
    return f"{progress.stage.capitalize()}{steps}{left} …"


_JOBS = (
    ("generation", "Generating candidates", "points"),
    ("batch", "Project", ""),
    ("learning", "Learning", ""),
    ("download", "Download", ""),
)
_EXPLANATIONS = (
    ("classifying", "Classifying", ""),
    ("explaining", "Heat map", ""),
    ("fitting", "Concepts", ""),
)
_REMEMBERED = 500


class WorkMonitor(Connected, QObject):
    """What the program does now, what it did last, and what it has said in this session.

    Parameters
    ----------
    session : Session
        What is followed.
    """

    changed = Signal()
    # Qt would make plain text of a `Failure`.
    said = Signal(object)
    """A new message; a `Failure` where something went wrong."""
    over = Signal(str)
    """What went wrong with this message has gone well since."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.log: deque[str] = deque(maxlen=_REMEMBERED)
        self._running: dict[str, tuple[str, Progress | None]] = {}
        self._offered, self._unsaved, self._last = "", "", ""
        self._soon = ShownSoon(self, self.changed.emit)
        explanation = session.explanation.events
        outside: Connections = (
            *(
                (getattr(events, name), partial(self._on_job_changed, title, unit))
                for events, table in ((session.events, _JOBS), (explanation, _EXPLANATIONS))
                for name, title, unit in table
            ),
            (session.events.clicks, self._on_clicks_changed),
            (session.events.save, self._on_save_changed),
            (session.events.message, self._on_message_changed),
            (session.events.failure_over, self._on_failure_over),
        )
        self.connect_all(outside=outside, inside=())

    @property
    def text(self) -> str:
        """What waits for a word; else what runs, could not be saved, or came last."""
        running = " · ".join(text for text, _ in self._running.values())
        return self._offered or running or self._unsaved or self._last

    @property
    def progress(self) -> Progress | None:
        """How far the latest job is that counts its steps."""
        counted = [progress for _, progress in self._running.values() if progress is not None]
        return counted[-1] if counted else None

    def _on_job_changed(self, title: str, unit: str, progress: Progress) -> None:
        ran = self._running.pop(title, None) is not None
        text = progress_text(progress, unit)
        if progress.running:
            self._running[title] = f"{title}: {text}", progress
        elif progress.state is JobState.FAILED:
            self._note(Failure(f"{title}: {progress.message}"))
        elif ran and progress.state is not JobState.IDLE:
            self._last = f"{title}: {text or progress.state}"
        self.changed.emit()

    def _on_clicks_changed(self, clicks: Clicks) -> None:
        self._running.pop(_CLICK, None)
        self._offered = "" if clicks.offer is None else doubt_text(clicks.offer.doubts)
        if clicks.state.is_waiting:
            self._running[_CLICK] = f"{_CLICK}: {clicks.message or 'waiting for SAM 2 …'}", None
        self._soon.changed(clicks.state is ClickState.ANSWERING)

    def _on_save_changed(self, save: SaveState) -> None:
        failed = save.state is SaveStage.FAILED
        self._unsaved = f"⚠ Not saved: {save.message}" if failed else ""
        self.changed.emit()

    def _on_message_changed(self, message: str) -> None:
        if message:
            self._note(message)
            self.said.emit(message)
            self.changed.emit()

    def _on_failure_over(self, message: str) -> None:
        if self._last.startswith("⚠") and message in self._last:
            self._last = ""
        self.over.emit(message)
        self.changed.emit()

    def _note(self, message: str) -> None:
        self._last = f"⚠ {message}" if isinstance(message, Failure) else message
        self.log.append(f"{datetime.now():%H:%M:%S}  {self._last}")


class WorkLine(StatusLine):
    """The line of a `WorkMonitor` at the foot of a dock; the same in every dock.

    Parameters
    ----------
    monitor : WorkMonitor
        What is shown.
    show_log : callable
        Shows all messages.
    """

    def __init__(self, monitor: WorkMonitor, show_log: Callable[[], None]) -> None:
        super().__init__(2)
        self._monitor = monitor
        self.log = button("Log", "All messages of this session")
        FittedWidth(self.log, "Log", 16)
        self.log.clicked.connect(show_log)
        self.holder.layout().addWidget(self.log)
        monitor.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        progress = self._monitor.progress
        self.text.setText(self._monitor.text)
        if progress is None:
            self.show_progress(False, 0, 0)
        else:
            # A QProgressBar counts in 32 bits, a download in bytes.
            scale = max(progress.total // 10_000, 1)
            self.show_progress(True, progress.done // scale, progress.total // scale)


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
