"""The Research dock: sweeps of the current image, and runs over a data set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QTabWidget

from napari_semxai.reports.sweep import sweep_figure
from napari_semxai.widgets.common.figure_view import FigureView
from napari_semxai.widgets.common.forms import ScrolledDock, button, page
from napari_semxai.widgets.common.status import Passage
from napari_semxai.widgets.research.curves_panel import CurvesPanel
from napari_semxai.widgets.research.report_figures import ReportFigures
from napari_semxai.widgets.research.run_panel import RunPanel

if TYPE_CHECKING:
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.research.research import ResearchController
    from napari_semxai.controllers.research.runs import RunController
    from napari_semxai.controllers.scores.threshold_curves import ThresholdCurvesController
    from napari_semxai.controllers.segment.segment import SegmentController
    from napari_semxai.state.research import ImageSweep
    from napari_semxai.state.session import Session
    from napari_semxai.widgets.common.forms import Connections

_NOTHING = "Generate candidates, and choose a truth in Scores."


class ResearchDock(ScrolledDock):
    """Sweep this image; start, follow and open runs over many.

    Parameters
    ----------
    session : Session
        What is shown.
    research, curves, segment
        The controllers that are called.
    runs : RunController
        Starts runs.
    jobs : Jobs
        Draws.
    """

    def __init__(
        self,
        session: Session,
        research: ResearchController,
        curves: ThresholdCurvesController,
        segment: SegmentController,
        *,
        runs: RunController,
        jobs: Jobs,
    ) -> None:
        super().__init__()
        self._session, self._research = session, research
        self._curves, self._segment = curves, segment
        self.sweep = button("Sweep α and β", "Score every α and β against the truth")
        self.advice = Passage(4, _NOTHING)
        self.figure = FigureView(jobs, "sweep")
        self.figure.setToolTip("Click a point to use its α and β")
        self.curves = CurvesPanel(jobs)
        self.run = RunPanel(session, runs, research, jobs)
        self.figures = ReportFigures(session, jobs)
        # A page each, with the figure last: nothing lies below it that could move.
        self.pages = QTabWidget()
        for title, tip, parts in (
            ("Image", "Sweep α and β of this image", (self.sweep, self.advice, self.figure)),
            ("Thresholds", "Dice over τ and δ of its explanations", (self.curves,)),
            ("Data set", "Runs over validated images", (self.run,)),
            ("Figures", "Figures for a report", (self.figures,)),
        ):
            self.pages.setTabToolTip(self.pages.addTab(page(*parts), title), tip)
        self.add((self.pages,))
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._on_sweep_changed(session.sweep)
        self.curves.set_curves(session.curves)

    def release(self) -> None:
        """Disconnect from the session."""
        for part in (self.figure, self.curves, self.run, self.figures):
            part.release()
        super().release()

    def _outside_table(self) -> Connections:
        events = self._session.events
        return ((events.sweep, self._on_sweep_changed), (events.curves, self.curves.set_curves))

    def _inside_table(self) -> Connections:
        return (
            (self.sweep.clicked, self._research.sweep),
            (self.figure.picked, self._on_picked),
            (self.curves.draw.clicked, self._curves.draw),
            (self.curves.figure.picked, self._on_threshold_picked),
            (self.run.point_picked, self._on_point_picked),
        )

    def _on_sweep_changed(self, sweep: ImageSweep | None) -> None:
        self.advice.setText(_NOTHING if sweep is None else sweep.advice)
        make = None if sweep is None else partial(sweep_figure, sweep.result, sweep.plane)
        self.figure.set_figure(make)

    def _on_picked(self, panel: str, alpha: float, beta: float) -> None:
        sweep = self._session.sweep
        if sweep is not None:
            self._on_point_picked(*sweep.result.nearest(alpha, beta))

    def _on_point_picked(self, alpha: float, beta: float) -> None:
        self._segment.set_algorithm(alpha=alpha, beta=beta)

    def _on_threshold_picked(self, panel: str, threshold: float, dice: float) -> None:
        self._curves.use(panel, threshold)
