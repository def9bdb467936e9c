"""Start and cancel a request to the explanation engine, with progress and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QProgressBar, QWidget

from napari_semxai.widgets.parts import button, note, set_bar

if TYPE_CHECKING:
    from napari_semxai.state.explanation import Activity


class ActivityBar(QWidget):
    """A start and a cancel button, and how far the request is.

    Parameters
    ----------
    title, tip : str
        Of the start button.
    """

    start_wanted = Signal()
    cancel_wanted = Signal()

    def __init__(self, title: str, tip: str) -> None:
        super().__init__()
        self.start = button(title, tip)
        self.cancel = button("Cancel", "Stop; what was found so far stays")
        self.progress = QProgressBar()
        self.status = note()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(0, 1)
        layout.addWidget(self.start, 0, 0)
        layout.addWidget(self.cancel, 0, 1)
        layout.addWidget(self.progress, 1, 0, 1, 2)
        layout.addWidget(self.status, 2, 0, 1, 2)
        self.start.clicked.connect(self.start_wanted)
        self.cancel.clicked.connect(self.cancel_wanted)

    def set_activity(self, activity: Activity) -> None:
        """Show how far it is."""
        running = activity.state == "running"
        self.start.setEnabled(not running)
        self.cancel.setEnabled(running)
        self.progress.setVisible(running)
        self.progress.setRange(0, activity.total)
        set_bar(self.progress, activity.done)
        text = activity_text(activity)
        self.status.setVisible(bool(text))
        self.status.setText(text)


def activity_text(activity: Activity) -> str:
    """Return what people read of an activity."""
    if activity.state == "failed":
        return f"⚠ {activity.message}"
    if activity.state == "cancelled":
        return "Cancelled"
    if activity.state != "running":
        return ""
    steps = f": {activity.done} of {activity.total}" if activity.total > 1 else ""
    left = activity.seconds_left
    end = "" if left is None else f", about {left:.0f} s left"
    return f"{activity.stage.capitalize()}{steps}{end} …"
