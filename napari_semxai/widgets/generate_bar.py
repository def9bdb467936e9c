"""Generate and cancel, with progress and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QProgressBar, QWidget

from napari_semxai.widgets.parts import button, note, set_bar

if TYPE_CHECKING:
    from napari_semxai.state.session import Generation


class GenerateBar(QWidget):
    """Start and stop the candidates of the current image."""

    def __init__(self) -> None:
        super().__init__()
        self.generate = button("Generate", "Run SAM 2 on the image (Alt+G)")
        self.cancel = button("Cancel", "Stop; the candidates so far stay")
        self.progress = QProgressBar()
        self.status = note()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(0, 1)
        layout.addWidget(self.generate, 0, 0)
        layout.addWidget(self.cancel, 0, 1)
        layout.addWidget(self.progress, 1, 0, 1, 2)
        layout.addWidget(self.status, 2, 0, 1, 2)

    def set_generation(self, generation: Generation) -> None:
        """Show how far it is."""
        running = generation.state == "running"
        self.generate.setEnabled(not running)
        self.cancel.setEnabled(running)
        self.progress.setVisible(running)
        self.progress.setRange(0, generation.total)
        set_bar(self.progress, generation.done)
        self.status.setText(_progress_text(generation))


def _progress_text(generation: Generation) -> str:
    stages = {"load": "Loading the network …", "encode": "Encoding the image …"}
    if generation.state == "failed":
        return generation.message
    if generation.state == "cancelled":
        return f"Cancelled after {generation.done} of {generation.total} points"
    if generation.state != "running":
        return ""
    if generation.stage in stages:
        return stages[generation.stage]
    left = generation.seconds_left
    end = "" if left is None else f", about {left:.0f} s left"
    return f"{generation.done} of {generation.total} points{end}"
