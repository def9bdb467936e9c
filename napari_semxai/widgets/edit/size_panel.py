"""How large the defect is, and the pixel size that its micrometres come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout
from superqt.utils import signals_blocked

from napari_semxai.widgets.common.forms import Panel, button
from napari_semxai.widgets.common.numbers import LengthField
from napari_semxai.widgets.common.status import StatusText
from napari_semxai.widgets.scores.dock import size_text

if TYPE_CHECKING:
    from napari_semxai.controllers.project.pixel_size import PixelSizeController
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.widgets.common.forms import Connections

_NANO = 1e9


class SizePanel(Panel):
    """Size of the mask, and the field for the pixel size.

    Parameters
    ----------
    session : Session
        What is shown.
    controller : PixelSizeController
        The controller that is called.
    """

    def __init__(self, session: Session, controller: PixelSizeController) -> None:
        super().__init__()
        self._session, self._controller = session, controller
        self._create()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Pixel size", self.pixel_size)
        layout.addRow(self.for_all)
        layout.addRow(self.text)
        events = session.events
        self._outside: Connections = (
            (events.size, self._on_size_changed),
            (events.pixel_size, self._on_pixel_size_changed),
            (events.queue, self._on_queue_changed),
        )
        inside: Connections = (
            (self.pixel_size.valueChanged, self._on_pixel_size_entered),
            (self.for_all.clicked, self._controller.set_for_all),
        )
        for signal, slot in (*self._outside, *inside):
            signal.connect(slot)
        self._on_pixel_size_changed(session.pixel_size)
        self._on_queue_changed(session.queue)

    def release(self) -> None:
        """Disconnect from the session."""
        for signal, slot in self._outside:
            signal.disconnect(slot)

    def _create(self) -> None:
        self.text = StatusText(2)
        self.pixel_size = LengthField()
        self.pixel_size.setToolTip(
            "Pixel size in pm, nm, µm (um) or mm, from FEI/Zeiss metadata or entered manually "
            "(saved with the project)"
        )
        self.for_all = button(
            "Use for images without one", "Use this pixel size for all images that have none"
        )

    def _on_queue_changed(self, queue: Queue | None) -> None:
        self.for_all.setVisible(queue is not None)

    def _on_size_changed(self) -> None:
        self.text.setText(size_text(self._session.size, self._session.pixel_size))

    def _on_pixel_size_changed(self, metres: float | None) -> None:
        with signals_blocked(self.pixel_size):
            self.pixel_size.setValue(0 if metres is None else metres * _NANO)
        self._on_size_changed()

    def _on_pixel_size_entered(self, nanometres: float) -> None:
        self._controller.set_pixel_size(nanometres / _NANO if nanometres > 0 else None)
