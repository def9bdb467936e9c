"""Where the program keeps its files, how big they are, and clearing the caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout

from napari_semxai.store.disk.folders import clear_caches, stored_files
from napari_semxai.widgets.common.forms import Panel, button, note
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.store.disk.folders import StoredFiles

_JOB = "files of the program"


class StoragePanel(Panel):
    """A line for each folder; measured when the panel comes into view.

    Parameters
    ----------
    jobs : Jobs
        Measures and clears.
    """

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self._jobs = jobs
        self.text, self.said = note(), StatusText()
        self.clear = button(
            "Clear caches",
            "Delete cached project indexes and concepts; they are rebuilt when needed",
        )
        self.again = button("Update sizes", "Measure the folders again")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.again, 0, 0)
        layout.addWidget(self.clear, 0, 1)
        layout.addWidget(self.said, 1, 0, 1, 2)
        # Last: it grows when it is known what to say.
        layout.addWidget(self.text, 2, 0, 1, 2)
        self.again.clicked.connect(self.measure)
        self.clear.clicked.connect(self._on_clear_wanted)

    def showEvent(self, event: QShowEvent) -> None:
        """Measure."""
        super().showEvent(event)
        self.measure()

    def measure(self) -> None:
        """Look how big the folders are."""
        self._jobs.run(_JOB, stored_files, self.set_stored, self._on_failed)

    def release(self) -> None:
        """Let go of what is still measured."""
        self._jobs.forget(_JOB)

    def set_stored(self, stored: tuple[StoredFiles, ...]) -> None:
        """Show folders and sizes."""
        lines = (
            f"<b>{one.name}</b>{' (cache)' if one.cache else ''}: {_megabytes(one.size)}<br>"
            f"{one.folder}"
            for one in stored
        )
        self.text.setText("<br>".join(lines))
        self.said.setText("")

    def _on_clear_wanted(self) -> None:
        self._jobs.run(_JOB, _cleared, self.set_stored, self._on_failed)

    def _on_failed(self, message: str) -> None:
        self.said.setText(message)


def _cleared() -> tuple[StoredFiles, ...]:
    clear_caches()
    return stored_files()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size else "empty"
