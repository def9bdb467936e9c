"""The Research dock: sweeps and figures of the current image, and runs over a data set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QTabWidget, QVBoxLayout, QWidget

from napari_semxai.algorithms.explanations.localisation import best_in_words
from napari_semxai.controllers.explain.concept_sources import concept_name
from napari_semxai.controllers.scores.comparison_table import MASK_COLUMNS
from napari_semxai.reports.figures import (
    concepts_figure,
    curves_figure,
    overlay_figure,
    steps_figure,
    sweep_figure,
    table_figure,
)
from napari_semxai.state.explanation import HEAT_MAP
from napari_semxai.types import CAM_METHODS
from napari_semxai.widgets.common.figure_view import FigureView
from napari_semxai.widgets.common.forms import ScrolledDock, button, page
from napari_semxai.widgets.common.status import Passage
from napari_semxai.widgets.research.run_panel import RunPanel
from napari_semxai.widgets.scores.comparison_panel import score_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from napari_semxai.algorithms.explanations.localisation import ThresholdCurve
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.research.research import ResearchController
    from napari_semxai.controllers.research.runs import RunController
    from napari_semxai.controllers.scores.threshold_curves import ThresholdCurvesController
    from napari_semxai.controllers.segment.segment import SegmentController
    from napari_semxai.state.research import ImageSweep
    from napari_semxai.state.session import Session
    from napari_semxai.widgets.common.forms import Connections

_NOTHING = "Generate candidates, and choose a truth in Scores."
_NO_CURVES = "Compute an explanation, and choose a truth in Scores."


class ReportFigures(QWidget):
    """Draws the steps of Algorithm 1, the heat map, concepts or scores when asked.

    Parameters
    ----------
    session : Session
        What is drawn.
    jobs : Jobs
        Draws.
    """

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session = session
        self._figures: dict[str, Callable[[], Callable[[], Figure] | None]] = {
            "Steps of Algorithm 1": self._steps,
            "Heat map": self._heat_map,
            "Concepts": self._concepts,
            "Table of scores": self._table,
        }
        self.kind = QComboBox()
        self.kind.addItems(list(self._figures))
        self.kind.setToolTip("What to draw for the current image")
        self.draw = button("Draw figure", "Draw a figure of the current state")
        self.figure = FigureView(jobs, "figure")
        row = QHBoxLayout()
        row.addWidget(self.kind, stretch=1)
        row.addWidget(self.draw)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.figure)
        self.draw.clicked.connect(self._on_draw_wanted)

    def release(self) -> None:
        """Let go of a drawing that is not there yet."""
        self.figure.release()

    def _on_draw_wanted(self) -> None:
        # Takes what is shown now; the drawing itself runs in a thread, where the session must
        # not be read.
        make = self._figures[self.kind.currentText()]()
        self.figure.set_figure(make)
        if make is None:
            self.figure.message.setText("The current image has nothing of this kind yet.")

    def _steps(self) -> Callable[[], Figure] | None:
        image, automatic = self._session.image, self._session.automatic
        if image is None or automatic is None:
            return None
        return partial(
            steps_figure, image.gray, automatic.pool, automatic.truth, self._session.pixel_size
        )

    def _heat_map(self) -> Callable[[], Figure] | None:
        image, explanation = self._session.image, self._session.explanation
        heatmap = explanation.heatmaps.active
        if image is None or heatmap is None or heatmap.values.shape != image.gray.shape:
            return None
        titles = {method.name: method.title for method in CAM_METHODS}
        title = f"{titles.get(heatmap.method, heatmap.method)}, {heatmap.class_name}"
        mask = explanation.masks.masks.get(HEAT_MAP)
        return partial(overlay_figure, image.gray, heatmap.values, title=title, mask=mask)

    def _table(self) -> Callable[[], Figure] | None:
        masks = self._session.comparison.masks
        if not masks:
            return None
        rows = [
            (row.name, *(score_text(getattr(row.scores, name)) for name in MASK_COLUMNS))
            for row in masks
        ]
        return partial(table_figure, [("mask", *MASK_COLUMNS), *rows])

    def _concepts(self) -> Callable[[], Figure] | None:
        image, explanation = self._session.image, self._session.explanation
        if image is None or explanation.concepts is None:
            return None
        # A concept keeps its colour of the layers, whichever of them are shown.
        colors = explanation.concepts.colors.tolist()
        names = {concept_name(number): (r, g, b) for number, (r, g, b) in enumerate(colors)}
        found = explanation.masks.masks
        concepts = [(name, found[name], names[name]) for name in names if name in found]
        return partial(concepts_figure, image.gray, concepts) if concepts else None


class CurvesPanel(QWidget):
    """Asks for the curves and shows them; a click on one takes its threshold.

    Parameters
    ----------
    jobs : Jobs
        Draws.
    """

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self.draw = button(
            "Sweep τ and δ", "Score every threshold of the explanations against the truth"
        )
        self.best = Passage(4, _NO_CURVES)
        self.figure = FigureView(jobs, "thresholds")
        self.figure.setToolTip("Click a point to use its τ or δ; δ switches to paper mode")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.draw, self.best, self.figure):
            layout.addWidget(part)

    def set_curves(self, curves: tuple[ThresholdCurve, ...]) -> None:
        """Show these curves."""
        self.best.setText(best_in_words(curves) or _NO_CURVES)
        self.figure.set_figure(partial(curves_figure, curves) if curves else None)

    def release(self) -> None:
        """Let go of a drawing that is not there yet."""
        self.figure.release()


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
