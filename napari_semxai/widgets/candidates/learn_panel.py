"""Learning the project's masks: start it, see what came of it, go back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout

from napari_semxai.types.settings import LEARNED
from napari_semxai.widgets.common.forms import Panel, button, note, set_note
from napari_semxai.widgets.common.progress_bar import JobBar

if TYPE_CHECKING:
    from qtpy.QtWidgets import QComboBox

    from napari_semxai.controllers.project.learning import LearningController
    from napari_semxai.state.session import Session


class LearnPanel(Panel):
    """A button, its progress, the version in use with its verdict, and the way back.

    Shown while a project is open.

    Parameters
    ----------
    session : Session
        What is shown.
    learning : LearningController
        Learns, and goes back.
    algorithm : QComboBox
        Offers what was learned, where a version is in use.
    """

    def __init__(
        self, session: Session, learning: LearningController, algorithm: QComboBox
    ) -> None:
        super().__init__()
        self._session, self._learning, self._algorithm = session, learning, algorithm
        self.run = JobBar(
            "Learn from reviews",
            "Learn from masks that are accepted, corrected or “no defect”; used only where "
            "cross-validation shows that it is better",
        )
        self.verdict = note()
        self.back = button("Go back", "Use the version before this one, or none, from now on")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.run, self.verdict, self.back):
            layout.addWidget(part)
        self._outside = (
            (session.events.project, self._show),
            (session.events.learned, self._show),
            (session.events.learning, self.run.set_progress),
        )
        for signal, slot in (
            *self._outside,
            (self.run.start_wanted, learning.start),
            (self.run.cancel_wanted, learning.cancel),
            (self.back.clicked, self._on_back_wanted),
        ):
            signal.connect(slot)
        self.run.set_progress(session.learning)
        self._show()

    def release(self) -> None:
        """Disconnect from the session."""
        for signal, slot in self._outside:
            signal.disconnect(slot)

    @property
    def network(self) -> str:
        """Path of the network that the chosen algorithm needs; "" where it needs none."""
        used = self._session.learned.used
        learned = self._algorithm.currentData() == LEARNED
        return str(used.path) if learned and used is not None else ""

    def _show(self) -> None:
        learned = self._session.learned
        item = self._algorithm.model().item(self._algorithm.findData(LEARNED))
        item.setEnabled(learned.used is not None)
        item.setToolTip(
            "" if learned.used else "No learned network is in use: Learn from reviews, below"
        )
        self.setVisible(self._session.project is not None)
        newest = learned.versions[-1] if learned.versions else None
        lines = []
        if learned.used is not None:
            lines.append(f"Version {learned.used.name} in use: {learned.used.verdict.reason}.")
        # What was learned last and is no better is told as well.
        if newest is not None and newest != learned.used:
            lines.append(f"Version {newest.name} not in use: {newest.verdict.reason}.")
        set_note(self.verdict, " ".join(lines))
        self.verdict.setVisible(bool(lines))
        self.back.setVisible(learned.used is not None)
        where = "today's proposal" if learned.back == "none" else f"version {learned.back}"
        self.back.setText(f"Go back to {where}")

    def _on_back_wanted(self) -> None:
        self._learning.use(self._session.learned.back)
