"""The Scores dock: a prediction against a truth, live."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QLabel,
    QProgressBar,
    QWidget,
)

from napari_semxai.widgets.layer_combo import LayerCombo
from napari_semxai.widgets.parts import MASK_FILTER, ScrolledDock, button, note, set_bar

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_semxai.controllers.evaluate import EvaluateController
    from napari_semxai.layers.comparison import Comparison
    from napari_semxai.state.session import Readout, Session
    from napari_semxai.types import MaskSize, Scores
    from napari_semxai.widgets.parts import Connections

SCORES = (
    ("dice", "Dice", "2 TP / (2 TP + FP + FN); both masks empty: 1"),
    ("iou", "IoU", "TP / (TP + FP + FN), the Jaccard index; both masks empty: 1"),
    ("precision", "precision", "TP / (TP + FP); undefined for an empty prediction"),
    ("recall", "recall", "TP / (TP + FN); undefined for an empty truth"),
    ("accuracy", "accuracy", "(TP + TN) / all; high for an empty mask when defects are small"),
)
_STEPS = 1000
_NOTHING = "Pick a prediction and a truth of the same size."


class ScoresDock(ScrolledDock):
    """Pickers, numbers and bars.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose Labels layers are on offer.
    session : Session
        What is shown.
    evaluate : EvaluateController
        Reads truth masks.
    comparison : Comparison
        Follows the two chosen layers.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        evaluate: EvaluateController,
        comparison: Comparison,
    ) -> None:
        super().__init__()
        self._session, self._evaluate, self._comparison = session, evaluate, comparison
        self.prediction = LayerCombo(viewer, Labels, "The mask to be judged")
        self.truth = LayerCombo(viewer, Labels, "The mask it is judged by")
        self.values = {name: QLabel("–") for name, _, _ in SCORES}
        self.bars = {name: QProgressBar() for name, _, _ in SCORES}
        self.counts, self.size_text = note(), note()
        self.load = button("Load truth…", "Compare with a mask file of the image's size")
        self.copy = button("Copy", "Copy the scores as a table")
        self._lay_out()
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._on_pair_changed()
        self._on_readout_changed(session.readout)
        self._on_size_changed()

    def release(self) -> None:
        """Disconnect from the viewer and the session."""
        self.prediction.release()
        self.truth.release()
        super().release()

    def load_truth(self) -> None:
        """Ask for a mask file to compare with."""
        name = QFileDialog.getOpenFileName(self, "Load a truth mask", "", MASK_FILTER)[0]
        if name:
            self._evaluate.load_truth(Path(name))

    def text(self) -> str:
        """Return the readout as tab-separated lines."""
        readout = self._session.readout
        if readout is None:
            return ""
        scores = readout.scores
        names = ["prediction", "truth", *(name for name, _, _ in SCORES), "tp", "fp", "fn", "tn"]
        values = [readout.prediction, readout.truth]
        values += [f"{getattr(scores, name):.6f}" for name, _, _ in SCORES]
        values += [str(count) for count in (scores.tp, scores.fp, scores.fn, scores.tn)]
        return "\t".join(names) + "\n" + "\t".join(values) + "\n"

    def _lay_out(self) -> None:
        pickers, table = QWidget(), QWidget()
        form, grid = QFormLayout(pickers), QGridLayout(table)
        form.addRow("prediction", self.prediction)
        form.addRow("truth", self.truth)
        for row, (name, title, tip) in enumerate(SCORES):
            label = QLabel(title)
            self.bars[name].setRange(0, _STEPS)
            self.bars[name].setTextVisible(False)
            self.bars[name].setMaximumHeight(12)
            self.values[name].setMinimumWidth(52)
            for column, part in enumerate((label, self.values[name], self.bars[name])):
                part.setToolTip(tip)
                grid.addWidget(part, row, column)
        for layout in (form, grid):
            layout.setContentsMargins(0, 0, 0, 0)
        self.add((pickers, self.load, table, self.counts, self.size_text, self.copy))

    def _outside_table(self) -> Connections:
        events = self._session.events
        return (
            (events.readout, self._on_readout_changed),
            (events.size, self._on_size_changed),
            (events.pixel_size, self._on_size_changed),
            (self._comparison.pair_changed, self._on_pair_changed),
        )

    def _inside_table(self) -> Connections:
        return (
            (self.prediction.picked, self._comparison.set_prediction),
            (self.prediction.refreshed, self._on_pair_changed),
            (self.truth.picked, self._comparison.set_truth),
            (self.truth.refreshed, self._on_pair_changed),
            (self.load.clicked, self.load_truth),
            (self.copy.clicked, self._on_copy_wanted),
        )

    def _on_pair_changed(self) -> None:
        self.prediction.set_layer(self._comparison.prediction)
        self.truth.set_layer(self._comparison.truth)

    def _on_readout_changed(self, readout: Readout | None) -> None:
        for name, _, _ in SCORES:
            value = math.nan if readout is None else getattr(readout.scores, name)
            known = not math.isnan(value)
            self.values[name].setText(f"{value:.4f}" if known else "–")
            set_bar(self.bars[name], round(value * _STEPS) if known else 0)
        self.counts.setText(_NOTHING if readout is None else _counts(readout.scores))

    def _on_size_changed(self) -> None:
        self.size_text.setText(size_text(self._session.size, self._session.pixel_size))

    def _on_copy_wanted(self) -> None:
        QApplication.clipboard().setText(self.text())


def size_text(size: MaskSize, pixel_size: float | None) -> str:
    """Return area, width, height and equivalent diameter in px, and in µm when possible.

    Parameters
    ----------
    size : MaskSize
        In pixels.
    pixel_size : float or None
        Edge of a pixel in metres.
    """
    lengths = size.width, size.height, size.equivalent_diameter
    text = "defect: {} px, {} × {} px, ⌀ {:.1f} px".format(size.area, *lengths)
    if pixel_size is None:
        return text
    edge = pixel_size * 1e6
    width, height, diameter = (length * edge for length in lengths)
    area = size.area * edge * edge
    return f"{text}\n{area:.4g} µm², {width:.4g} × {height:.4g} µm, ⌀ {diameter:.4g} µm"


def _counts(scores: Scores) -> str:
    return f"TP {scores.tp}   FP {scores.fp}   FN {scores.fn}   TN {scores.tn}"
