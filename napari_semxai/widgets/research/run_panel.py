"""Runs over validated images: started, followed, and their results opened."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QWidget,
)

from napari_semxai.controllers.research.runs import EXPLANATIONS
from napari_semxai.reports.figures import sweep_figure
from napari_semxai.types import JobState
from napari_semxai.types.settings import ROBUST
from napari_semxai.widgets.common.figure_view import FigureView
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_folder
from napari_semxai.widgets.common.forms import Panel, button
from napari_semxai.widgets.common.numbers import whole_field
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.research.research import ResearchController
    from napari_semxai.controllers.research.runs import RunController
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.research import RunResult, RunState
    from napari_semxai.state.session import Session
    from napari_semxai.widgets.common.forms import Connections

RUNS = {
    "Suggest α, β": ("sweep",),
    "Suggest τ, δ of maps": ("sweep", EXPLANATIONS),
    "Score Algorithm 1, α and β tuned": ("evaluate", "--tune-alpha-beta"),
    "Score Algorithm 1, α and β as set": ("evaluate",),
    "Score Grad-CAM and CRAFT": ("evaluate", "--method", "gradcam", "--method", "craft"),
    "Generate masks": ("mask",),
    "Explain with Grad-CAM": ("explain",),
}
"""Commands by what they are called; one that ends with `EXPLANATIONS` takes a folder of maps."""


def settings_of(session: Session, run: Sequence[str]) -> list[str]:
    """Return what the docks are set to as arguments of one of `RUNS`."""
    command, values = run[0], session.settings.to_arguments()
    if command != "mask" and values.pop("network", ""):
        # What a project has learned makes masks, and has no alpha and no beta to look for.
        values["algorithm"] = ROBUST
    explained: dict[str, object] = {"classifier": session.explanation.choice.classifier}
    if command == "explain":
        values = explained
    elif command == "sweep":
        # These are what it looks for.
        del values["alpha"], values["beta"], values["reference"]
    elif command == "evaluate":
        values |= explained
        algorithm = values.pop("algorithm")
        del values["reference"]
        if "--method" not in run:
            values["method"] = algorithm
    return [f"--{name}={value}" for name, value in values.items()]


class RunPanel(Panel):
    """Choose images, start a ``semxai`` command over them, follow it and open what it found.

    Parameters
    ----------
    session : Session
        What is shown.
    runs : RunController
        Starts and stops.
    research : ResearchController
        Reads results, and lays them over the image.
    jobs : Jobs
        Draws.
    """

    point_picked = Signal(float, float)
    """Emitted with the alpha and beta that a person wants to use."""

    def __init__(
        self, session: Session, runs: RunController, research: ResearchController, jobs: Jobs
    ) -> None:
        super().__init__()
        self._session, self._runs, self._research = session, runs, research
        self._found: RunResult | None = None
        self._create(jobs)
        self._lay_out()
        inside: Connections = (
            (self.kind.currentTextChanged, self._on_kind_changed),
            (self.browse.clicked, self._on_dataset_wanted),
            (self.browse_maps.clicked, self._on_maps_wanted),
            (self.browse_output.clicked, self._on_output_wanted),
            (self.start.clicked, self._on_started),
            (self.stop.clicked, runs.stop),
            (self.open.clicked, self.open_result),
            (self.apply.clicked, self._on_applied),
            (self.take.clicked, self._on_mask_taken),
            (self.figure.picked, self._on_picked),
        )
        outside = (
            (session.events.run, self._on_run_changed),
            (session.events.queue, self._on_queue_changed),
        )
        self.connect_all(outside=outside, inside=inside)
        self._on_run_changed(session.run)
        self._on_queue_changed(session.queue)
        self._on_kind_changed(self.kind.currentText())

    def release(self) -> None:
        """Disconnect from the session."""
        super().release()
        self._research.forget_result()
        self.figure.release()

    def open_result(self) -> None:
        """Show what the run left in its folder."""
        self._research.open_result(self._on_result_read, self.state.setText)

    def _create(self, jobs: Jobs) -> None:
        self.kind = QComboBox()
        self.kind.addItems(list(RUNS))
        self.kind.setToolTip("What to do with the images of the data set")
        self.dataset, self.maps, self.output = QLineEdit(), QLineEdit(), QLineEdit()
        self.dataset.setToolTip(
            "A project, a Carinthia-S download, or a folder that holds images and masks"
        )
        self.maps.setToolTip(
            "Maps (<image>.npy) or renderings of a method, as semxai explain writes them"
        )
        self.output.setToolTip("Folder for the results; a stopped run resumes from it")
        self.browse = button("…", "Choose the data set")
        self.browse_maps = button("…", "Choose the folder of the maps")
        self.browse_output = button("…", "Choose the folder of the results")
        self.processes = whole_field(1, 64, "Number of local processes")
        self.scheduler = QLineEdit()
        self.scheduler.setPlaceholderText("None")
        self.scheduler.setToolTip("Dask scheduler address (used instead of local processes)")
        self.start = button("Start run", "Run the semxai command as a separate process")
        self.stop = button("Stop run", "Stop the run; finished results are kept")
        self.open = button(
            "Open results",
            "Show the results of the run; a mask or heat map of the current image as a layer",
        )
        self.apply = button("Use α and β", "Set the suggested α and β in Mask candidates")
        self.take = button("Use this mask", "Replace the edited mask (undo with Ctrl+Z)")
        self.state = StatusText(2)
        self.log, self.result = QPlainTextEdit(), QPlainTextEdit()
        for text in (self.log, self.result):
            text.setReadOnly(True)
            text.setFixedHeight(100)
        self.picture, self.figure = QLabel(), FigureView(jobs, "validated")
        self.figure.setToolTip("Click a point to use its α and β")
        for part in (self.apply, self.take):
            part.setEnabled(False)
        for part in (self.picture, self.figure):
            part.setVisible(False)

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Run", self.kind)
        self.maps_row = _row(self.maps, self.browse_maps)
        form.addRow("Data set", _row(self.dataset, self.browse))
        form.addRow("Maps", self.maps_row)
        form.addRow("Results", _row(self.output, self.browse_output))
        form.addRow("Processes", self.processes)
        form.addRow("Scheduler", self.scheduler)
        buttons = QHBoxLayout()
        for part in (self.start, self.stop, self.open):
            buttons.addWidget(part)
        form.addRow(buttons)
        uses = QHBoxLayout()
        for part in (self.apply, self.take):
            uses.addWidget(part)
        for wide in (self.state, self.log, self.result):
            form.addRow(wide)
        form.addRow(uses)
        # Last: their height is that of what was found.
        for wide in (self.picture, self.figure):
            form.addRow(wide)

    def _on_result_read(self, found: RunResult) -> None:
        self._found, sweep = found, found.sweep
        self.result.setPlainText(found.words)
        self.apply.setEnabled(sweep is not None)
        self.take.setEnabled(found.mask is not None and self._session.edited)
        self.figure.setVisible(sweep is not None)
        self.figure.set_figure(None if sweep is None else partial(sweep_figure, sweep))
        shown = QPixmap("" if found.picture is None else str(found.picture))
        self.picture.setVisible(not shown.isNull())
        if not shown.isNull():
            self.picture.setPixmap(shown.scaledToWidth(max(self.width() - 20, 200)))
        self._research.show_result(found)

    def _on_picked(self, panel: str, alpha: float, beta: float) -> None:
        if self._found is not None and self._found.sweep is not None:
            self.point_picked.emit(*self._found.sweep.nearest(alpha, beta))

    def _on_applied(self) -> None:
        if self._found is not None and self._found.sweep is not None:
            self.point_picked.emit(self._found.sweep.alpha, self._found.sweep.beta)

    def _on_mask_taken(self) -> None:
        if self._found is not None:
            self._research.take_mask(self._found)

    def _on_kind_changed(self, kind: str) -> None:
        for part in (self.maps_row, self.layout().labelForField(self.maps_row)):
            part.setEnabled(EXPLANATIONS in RUNS[kind])

    def _on_queue_changed(self, queue: Queue | None) -> None:
        """Propose the open project, whose validated masks are a data set."""
        if queue is not None and not self.dataset.text():
            self.dataset.setText(str(queue.folder))

    def _on_run_changed(self, run: RunState | None) -> None:
        running = run is not None and run.state is JobState.RUNNING
        self.start.setEnabled(not running)
        self.stop.setEnabled(running)
        self.open.setEnabled(run is not None and run.state is JobState.DONE)
        self.state.setText("" if run is None else f"semxai {run.command[0]}: {run.state}")
        if run is not None:
            self.log.setPlainText("\n".join(run.lines))
            self.log.verticalScrollBar().setValue(self.log.verticalScrollBar().maximum())

    def _on_started(self) -> None:
        dataset, output = self.dataset.text().strip(), self.output.text().strip()
        if not dataset or not output:
            self.state.setText("Choose a data set and a folder for the results.")
            return
        name, *rest = RUNS[self.kind.currentText()]
        settings = settings_of(self._session, (name, *rest))
        if EXPLANATIONS in rest:
            maps = self.maps.text().strip()
            if not maps:
                self.state.setText("Choose the folder of the maps.")
                return
            # Thresholds of maps that are there ask no network.
            rest, settings = [*rest, f"{Path(maps).absolute().name}={maps}"], []
        scheduler = self.scheduler.text().strip()
        where = (
            ("--scheduler", scheduler) if scheduler else ("--jobs", str(self.processes.value()))
        )
        self._runs.start([name, dataset, *rest, "-o", output, *where, *settings], Path(output))

    def _on_dataset_wanted(self) -> None:
        path = ask_folder(self, Dialog.DATASET, "Choose a data set")
        if path is not None:
            self.dataset.setText(str(path))

    def _on_output_wanted(self) -> None:
        path = ask_folder(self, Dialog.RESULTS, "Choose a folder for the results")
        if path is not None:
            self.output.setText(str(path))

    def _on_maps_wanted(self) -> None:
        path = ask_folder(self, Dialog.MAPS, "Choose the folder of the maps")
        if path is not None:
            self.maps.setText(str(path))


def _row(line: QLineEdit, browse: QPushButton) -> QWidget:
    """Return a field with the button that fills it."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(line, stretch=1)
    layout.addWidget(browse)
    return row
