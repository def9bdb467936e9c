"""The SAM click tool in the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout
from superqt.utils import signals_blocked

from napari_semxai.widgets.parts import Panel, button
from napari_semxai.widgets.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.controllers.clicks import ClickController
    from napari_semxai.state.review import Clicks
    from napari_semxai.state.session import Session

_HOW = (
    "Click: defect. Shift+click or right click: not the defect. Drag: a box around another object."
)


class ClickPanel(Panel):
    """Take the SAM click tool, begin another object, see what the network does.

    Parameters
    ----------
    session : Session
        What is shown.
    clicks : ClickController
        What is called.
    """

    def __init__(self, session: Session, clicks: ClickController) -> None:
        super().__init__()
        self._session, self._clicks = session, clicks
        self.tool = button(
            "SAM click", "Clicks and boxes on the image refine the mask by SAM 2", checkable=True
        )
        self.another = button("New object", "Let the next click begin another object")
        self.cancel = button("Cancel", "Do not wait for the answer")
        self.status = StatusText(2)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tool, 0, 0)
        layout.addWidget(self.another, 0, 1)
        layout.addWidget(self.cancel, 0, 2)
        layout.addWidget(self.status, 1, 0, 1, 3)
        self.tool.toggled.connect(clicks.activate)
        self.another.clicked.connect(clicks.begin_object)
        self.cancel.clicked.connect(clicks.cancel)
        session.events.clicks.connect(self._on_clicks_changed)
        self._on_clicks_changed(session.clicks)

    def release(self) -> None:
        """Disconnect from the session."""
        self._session.events.clicks.disconnect(self._on_clicks_changed)

    def _on_clicks_changed(self, clicks: Clicks) -> None:
        with signals_blocked(self.tool):
            self.tool.setChecked(clicks.active)
        self.another.setEnabled(bool(clicks.prompts))
        self.cancel.setEnabled(clicks.state in ("loading", "encoding", "answering"))
        self.status.setText(clicks.message or (_HOW if clicks.active else ""))
