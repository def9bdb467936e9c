"""Offer to download an official checkpoint, and how far that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal

from napari_semxai.store.folders import models_folder
from napari_semxai.widgets.parts import button
from napari_semxai.widgets.status import StatusLine, keep_room

if TYPE_CHECKING:
    from napari_semxai.state.session import Download
    from napari_semxai.store.models import OfficialModel

_MEGABYTE = 10**6


class DownloadPanel(StatusLine):
    """Size and address of what would be downloaded; nothing starts without the button.

    Whoever shows the panel places its two buttons.
    """

    opened = Signal(bool)
    """Whether there is something to say."""

    wanted = Signal(object)
    """Emitted with the `OfficialModel` that a person wants."""
    cancelled = Signal()
    """The running download is no longer wanted."""

    def __init__(self) -> None:
        super().__init__()
        self._model: OfficialModel | None = None
        self._running = False
        self.start = button("Download…", "Get the file now, over the network")
        self.cancel = button("Cancel", "Stop, or do without; nothing is kept of a part")
        keep_room(self.start, self.cancel)
        self.start.clicked.connect(self._on_start_clicked)
        self.cancel.clicked.connect(self._on_cancel_clicked)
        self._show_buttons(opened=False)

    def offer(self, model: OfficialModel) -> None:
        """Show what a download would be; a running one stays."""
        if self._running:
            return
        self._model = model
        self.text.setText(
            f"{model.name} is not on this machine: {model.size / _MEGABYTE:.0f} MB from "
            f"{model.address} to {models_folder()}"
        )
        self._show_buttons(opened=True)

    def set_download(self, download: Download) -> None:
        """Show how far it is, and how it ended."""
        self._running = download.state == "running"
        if download.state == "done":
            self._model = None
        megabytes = f"{download.done / _MEGABYTE:.0f} of {download.total / _MEGABYTE:.0f} MB"
        self.text.setText(download.message or f"{download.model}: {megabytes}")
        # A QProgressBar counts in 32 bits.
        self.show_progress(self._running, download.done // 1000, download.total // 1000)
        self._show_buttons(opened=download.state != "idle")

    def _show_buttons(self, *, opened: bool) -> None:
        self.start.setVisible(opened and self._model is not None and not self._running)
        self.cancel.setVisible(opened)
        self.opened.emit(opened)

    def _on_start_clicked(self) -> None:
        self.wanted.emit(self._model)

    def _on_cancel_clicked(self) -> None:
        if self._running:
            self.cancelled.emit()
        else:
            self._show_buttons(opened=False)
