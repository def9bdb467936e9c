"""What masks follow besides the sliders: a reference, and what a project has learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QSizePolicy, QVBoxLayout
from superqt.utils import signals_blocked

from napari_semxai.layers.mask.step_layers import DIFFERENCE, REFERENCE
from napari_semxai.types.settings import (
    AUTO_REFERENCE,
    LEARNED,
    NO_REFERENCE,
    ROBUST,
    SELF_REFERENCE,
)
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_folder, ask_open
from napari_semxai.widgets.common.forms import IMAGE_FILTER, Panel, button, note, set_note
from napari_semxai.widgets.common.progress_bar import JobBar
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.controllers.project.learning import LearningController
    from napari_semxai.controllers.segment.segment import SegmentController
    from napari_semxai.layers.mask.step_layers import ReferenceLayers
    from napari_semxai.state.session import Session
    from napari_semxai.types import AlgorithmSettings

_FILE, _FOLDER = "file", "folder"
_WORDS = {
    AUTO_REFERENCE: "Reference: of this name, else itself",
    SELF_REFERENCE: "Reference: the image's own pattern",
    NO_REFERENCE: "Reference: none",
}
_PLACES = {_FILE: "Reference: a picture…", _FOLDER: "Reference: a folder…"}


class ReferencePanel(Panel):
    """A list of references, a line that says how well one fits, and boxes to see it.

    Parameters
    ----------
    session : Session
        What is shown.
    segment : SegmentController
        Compares with what is chosen.
    layers : ReferenceLayers
        Show the reference and the difference.
    """

    def __init__(
        self, session: Session, segment: SegmentController, layers: ReferenceLayers
    ) -> None:
        super().__init__()
        self._session, self._segment, self._layers = session, segment, layers
        self.choice = QComboBox()
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choice.setToolTip(
            "What the robust variant compares a patterned image with: the picture that the "
            "project names or that is called <name>_reference, else the repetitions of the "
            "image's own pattern; or a picture or folder of your choice"
        )
        self.said = StatusText(2)
        self.boxes = {
            REFERENCE: QCheckBox("Reference"),
            DIFFERENCE: QCheckBox("Difference"),
        }
        self.boxes[REFERENCE].setToolTip("Show the reference as it lies on the image")
        self.boxes[DIFFERENCE].setToolTip(
            "Show how much each place differs, in units of the noise: about 1 where nothing does"
        )
        row = QHBoxLayout()
        for box in self.boxes.values():
            row.addWidget(box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.choice)
        layout.addWidget(self.said)
        layout.addLayout(row)
        outside = (
            (session.events.algorithm, self._show_choice),
            (session.events.difference, self._show_difference),
        )
        inside = (
            (self.choice.activated, self._on_choice_made),
            *((box.toggled, self._on_boxes_toggled) for box in self.boxes.values()),
        )
        self.connect_all(outside=outside, inside=inside)
        self._show_choice(session.algorithm)
        self._show_difference(session.difference)

    def _show_choice(self, settings: AlgorithmSettings) -> None:
        self.setEnabled(settings.algorithm == ROBUST)
        wanted = settings.reference
        items = [*_WORDS.items(), *_PLACES.items()]
        if wanted not in _WORDS:
            items.insert(0, (wanted, f"Reference: {Path(wanted).name}"))
        with signals_blocked(self.choice):
            self.choice.clear()
            for value, title in items:
                self.choice.addItem(title, value)
            self.choice.setCurrentIndex(self.choice.findData(wanted))

    def _show_difference(self, found: Difference | None) -> None:
        self.said.setText("" if found is None else reference_text(found))
        for box in self.boxes.values():
            box.setEnabled(found is not None and not found.reason)

    def _on_choice_made(self) -> None:
        wanted: str = self.choice.currentData()
        path = None
        if wanted == _FILE:
            path = ask_open(self, Dialog.REFERENCE, "A picture to compare with", IMAGE_FILTER)
        elif wanted == _FOLDER:
            path = ask_folder(self, Dialog.REFERENCE, "References, named as the images")
        if wanted in _PLACES and path is None:
            self._show_choice(self._session.algorithm)
        else:
            self._segment.set_algorithm(reference=wanted if path is None else str(path))

    def _on_boxes_toggled(self) -> None:
        self._layers.show(frozenset(name for name, box in self.boxes.items() if box.isChecked()))


def reference_text(found: Difference) -> str:
    """Say what an image was compared with and how well that fits, or why it was not."""
    own = found.name == SELF_REFERENCE
    if found.reason:
        # Most images repeat nowhere; a picture that does not fit is worth a look.
        return f"Not compared: {found.reason}" if own else f"⚠ {found.name}: {found.reason}"
    name = "its own pattern" if own else found.name
    return f"Compared with {name}, correlation {found.correlation:.2f}"


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
        outside = (
            (session.events.project, self._show),
            (session.events.learned, self._show),
            (session.events.learning, self.run.set_progress),
        )
        inside = (
            (self.run.start_wanted, learning.start),
            (self.run.cancel_wanted, learning.cancel),
            (self.back.clicked, self._on_back_wanted),
        )
        self.connect_all(outside=outside, inside=inside)
        self.run.set_progress(session.learning)
        self._show()

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
