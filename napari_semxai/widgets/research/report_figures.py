"""Figures of the current image that can be saved for a report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_semxai.controllers.explain.concept_sources import concept_name
from napari_semxai.controllers.scores.comparison_table import MASK_COLUMNS
from napari_semxai.reports.figures import (
    concepts_figure,
    overlay_figure,
    steps_figure,
    table_figure,
)
from napari_semxai.state.explanation import HEAT_MAP
from napari_semxai.types import CAM_METHODS
from napari_semxai.widgets.common.figure_view import FigureView
from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.scores.comparison_panel import score_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session


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
