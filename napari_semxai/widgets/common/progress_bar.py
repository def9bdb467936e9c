"""Start and cancel a job of an engine, with progress and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.status import StatusLine

if TYPE_CHECKING:
    from napari_semxai.state.explanation import Activity
    from napari_semxai.state.session import Generation

_STAGES = {"load": "Loading the network …", "encode": "Encoding the image …"}


class ActivityBar(QWidget):
    """A start and a cancel button, and how far the job is.

    Parameters
    ----------
    title, tip : str
        Of the start button.
    lines : int
        How many lines of text have room.
    """

    start_wanted = Signal()
    cancel_wanted = Signal()

    def __init__(self, title: str, tip: str, lines: int = 1) -> None:
        super().__init__()
        self._said, self._idle = "", ""
        self.start = button(title, tip)
        self.cancel = button("Cancel", "Cancel; results found so far are kept")
        self._line = StatusLine(lines)
        self.status, self.progress = self._line.text, self._line.progress
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(0, 1)
        layout.addWidget(self.start, 0, 0)
        layout.addWidget(self.cancel, 0, 1)
        layout.addWidget(self._line, 1, 0, 1, 2)
        self.start.clicked.connect(self.start_wanted)
        self.cancel.clicked.connect(self.cancel_wanted)

    def set_activity(self, activity: Activity) -> None:
        """Show how far a request to the explanation engine is."""
        self._show(activity, activity_text(activity))

    def set_generation(self, generation: Generation) -> None:
        """Show how far the candidates of the current image are."""
        self._show(generation, generation_text(generation))

    def set_idle(self, text: str) -> None:
        """Say this while there is nothing to say of the job."""
        self._idle = text
        self.status.setText(self._said or text)

    def _show(self, job: Activity | Generation, text: str) -> None:
        running = job.state == "running"
        self.start.setEnabled(not running)
        self.cancel.setEnabled(running)
        self._line.show_progress(running, job.done, job.total)
        self._said = text
        self.status.setText(text or self._idle)


def activity_text(activity: Activity) -> str:
    """Return what people read of an activity."""
    if activity.state == "failed":
        return f"⚠ {activity.message}"
    if activity.state == "cancelled":
        return "Cancelled"
    if activity.state != "running":
        return ""
    steps = f": {activity.done} of {activity.total}" if activity.total > 1 else ""
    return f"{activity.stage.capitalize()}{steps}{_left(activity)} …"


def generation_text(generation: Generation) -> str:
    """Return what people read of the candidates that are being made."""
    if generation.state == "failed":
        return generation.message
    points = f"{generation.done} of {generation.total} points"
    if generation.state == "cancelled":
        return f"Cancelled after {points}"
    if generation.state != "running":
        return ""
    return _STAGES.get(generation.stage, f"{points}{_left(generation)}")


def _left(job: Activity | Generation) -> str:
    return "" if job.seconds_left is None else f", about {job.seconds_left:.0f} s left"
