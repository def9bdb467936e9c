"""Dice of the current image's explanations over their thresholds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_semxai.algorithms.explanations.localisation import best_in_words
from napari_semxai.reports.sweep import curves_figure
from napari_semxai.widgets.common.figure_view import FigureView
from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.status import Passage

if TYPE_CHECKING:
    from napari_semxai.algorithms.explanations.localisation import ThresholdCurve
    from napari_semxai.controllers.jobs import Jobs

_NOTHING = "Compute an explanation, and choose a truth in Scores."


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
        self.best = Passage(4, _NOTHING)
        self.figure = FigureView(jobs, "thresholds")
        self.figure.setToolTip("Click a point to use its τ or δ; δ switches to paper mode")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.draw, self.best, self.figure):
            layout.addWidget(part)

    def set_curves(self, curves: tuple[ThresholdCurve, ...]) -> None:
        """Show these curves."""
        self.best.setText(best_in_words(curves) or _NOTHING)
        self.figure.set_figure(partial(curves_figure, curves) if curves else None)

    def release(self) -> None:
        """Let go of a drawing that is not there yet."""
        self.figure.release()
