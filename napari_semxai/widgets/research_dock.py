"""The Research dock: sweeps of the current image, and runs over a data set."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QWidget,
)

from napari_semxai.reports.sweep import sweep_figure
from napari_semxai.widgets.figure_view import FigureView
from napari_semxai.widgets.parts import ScrolledDock, button, group, note
from napari_semxai.widgets.report_figures import ReportFigures

if TYPE_CHECKING:
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.research import ResearchController
    from napari_semxai.controllers.runs import RunController
    from napari_semxai.controllers.segment import SegmentController
    from napari_semxai.state.session import ImageSweep, RunState, Session
    from napari_semxai.widgets.parts import Connections

RUNS = {
    "suggest α, β": ("sweep",),
    "score the masks of Algorithm 1": ("evaluate", "--method", "paper"),
    "make masks": ("mask",),
}
_PICTURES = ("sweep.png", "scores.png")
_NOTHING = "Needs candidates, and a truth in the Scores dock."


class ResearchDock(ScrolledDock):
    """Sweep this image; start, follow and open runs over many.

    Parameters
    ----------
    session : Session
        What is shown.
    research, runs, segment
        The controllers that are called.
    jobs : Jobs
        Draws.
    """

    def __init__(
        self,
        session: Session,
        research: ResearchController,
        runs: RunController,
        segment: SegmentController,
        jobs: Jobs,
    ) -> None:
        super().__init__()
        self._session, self._research = session, research
        self._runs, self._segment = runs, segment
        self._suggested: tuple[float, float] | None = None
        self._create(jobs)
        self._lay_out()
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._on_sweep_changed(session.sweep)
        self._on_run_changed(session.run)

    def release(self) -> None:
        """Disconnect from the session."""
        self.figure.release()
        self.figures.release()
        super().release()

    def open_result(self) -> None:
        """Show what the run left in its folder."""
        run = self._session.run
        if run is None:
            return
        self._suggested = None
        words = ""
        if (run.output / "sweep.json").is_file():
            values = json.loads((run.output / "sweep.json").read_text("utf-8"))
            self._suggested = values["alpha"], values["beta"]
            words = values["advice"]
        elif (run.output / "table.md").is_file():
            words = (run.output / "table.md").read_text("utf-8")
        self.result.setPlainText(words or f"Results are in {run.output}")
        self.result.setVisible(True)
        self.apply.setVisible(self._suggested is not None)
        pictures = [run.output / name for name in _PICTURES if (run.output / name).is_file()]
        self.picture.setVisible(bool(pictures))
        if pictures:
            width = max(self.widget().width() - 40, 200)
            self.picture.setPixmap(QPixmap(str(pictures[0])).scaledToWidth(width))

    def _create(self, jobs: Jobs) -> None:
        self.sweep = button("Sweep α and β", "Score every α and β against the truth")
        self.advice, self.state = note(_NOTHING), note()
        self.figure = FigureView(jobs, "sweep")
        self.figure.setToolTip("Click a point to use its α and β")
        self.figures = ReportFigures(self._session, jobs)
        self.kind = QComboBox()
        self.kind.addItems(list(RUNS))
        self.kind.setToolTip("What to do with the images")
        self.dataset, self.output = QLineEdit(), QLineEdit()
        self.dataset.setToolTip("A project, a Carinthia-S download, or folders images and masks")
        self.output.setToolTip("Where the results go; a stopped run goes on from there")
        self.browse = button("…", "Choose the data set")
        self.browse_output = button("…", "Choose the folder of the results")
        self.jobs = QSpinBox()
        self.jobs.setRange(1, 64)
        self.jobs.setToolTip("Processes")
        self.start = button("Start", "Run it beside napari, as the semxai command does")
        self.stop = button("Stop", "End the run; what is done stays")
        self.open = button("Open the result", "Show what the run has found")
        self.apply = button("Use the suggested α and β", "Set them in Mask candidates")
        self.log, self.result = QPlainTextEdit(), QPlainTextEdit()
        for text in (self.log, self.result):
            text.setReadOnly(True)
            text.setMaximumHeight(120)
        self.picture = QLabel()
        for part in (self.result, self.apply, self.picture):
            part.setVisible(False)

    def _lay_out(self) -> None:
        runs = QWidget()
        form = QFormLayout(runs)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("run", self.kind)
        for name, line, browse in (
            ("data set", self.dataset, self.browse),
            ("results", self.output, self.browse_output),
        ):
            row = QHBoxLayout()
            row.addWidget(line, stretch=1)
            row.addWidget(browse)
            form.addRow(name, row)
        form.addRow("processes", self.jobs)
        buttons = QHBoxLayout()
        for part in (self.start, self.stop, self.open):
            buttons.addWidget(part)
        form.addRow(buttons)
        for part in (self.state, self.log, self.result, self.apply, self.picture):
            form.addRow(part)
        self.add(
            (
                group("This image", self.sweep, self.advice, self.figure),
                group("Validated images", runs),
                group("Figures for a report", self.figures),
            )
        )

    def _outside_table(self) -> Connections:
        events = self._session.events
        return (
            (events.sweep, self._on_sweep_changed),
            (events.run, self._on_run_changed),
        )

    def _inside_table(self) -> Connections:
        return (
            (self.sweep.clicked, self._research.sweep),
            (self.figure.picked, self._on_picked),
            (self.browse.clicked, self._on_dataset_wanted),
            (self.browse_output.clicked, self._on_output_wanted),
            (self.start.clicked, self._on_started),
            (self.stop.clicked, self._runs.stop),
            (self.open.clicked, self.open_result),
            (self.apply.clicked, self._on_applied),
        )

    def _on_sweep_changed(self, sweep: ImageSweep | None) -> None:
        self.advice.setText(_NOTHING if sweep is None else sweep.advice)
        make = None if sweep is None else partial(sweep_figure, sweep.result, sweep.plane)
        self.figure.set_figure(make)

    def _on_picked(self, panel: str, alpha: float, beta: float) -> None:
        sweep = self._session.sweep
        if sweep is not None:
            self._use(*sweep.result.nearest(alpha, beta))

    def _use(self, alpha: float, beta: float) -> None:
        self._segment.set_algorithm(alpha=alpha, beta=beta)

    def _on_run_changed(self, run: RunState | None) -> None:
        running = run is not None and run.state == "running"
        self.start.setEnabled(not running)
        self.stop.setEnabled(running)
        self.open.setEnabled(run is not None and run.state == "done")
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
        command = [name, dataset, *rest, "-o", output, "--jobs", str(self.jobs.value())]
        self._runs.start(command, Path(output))

    def _on_applied(self) -> None:
        if self._suggested is not None:
            self._use(*self._suggested)

    def _on_dataset_wanted(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose a data set")
        if name:
            self.dataset.setText(name)

    def _on_output_wanted(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose a folder for the results")
        if name:
            self.output.setText(name)
