"""The Scores dock: a prediction against a truth, live."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QApplication,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QProgressBar,
    QWidget,
)
from superqt.utils import qthrottled

from napari_semxai.algorithms.masks.foreground import OFFERED, RULES, parse_rule
from napari_semxai.controllers.scores.comparison_table import table_lines
from napari_semxai.types.quantities import area_text, length_text
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_open, ask_save
from napari_semxai.widgets.common.forms import (
    MASK_FILTER,
    ScrolledDock,
    button,
    group,
    set_bar,
)
from napari_semxai.widgets.common.layer_combo import LayerCombo
from napari_semxai.widgets.common.status import StatusText
from napari_semxai.widgets.scores.comparison_panel import ComparisonPanel

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel

    from napari_semxai.controllers.scores.comparison_table import ComparisonTableController
    from napari_semxai.controllers.scores.evaluate import EvaluateController
    from napari_semxai.layers.mask.comparison import Comparison
    from napari_semxai.state.explanation import ExplanationMaskSettings
    from napari_semxai.state.session import Readout, Session
    from napari_semxai.types import MaskSize, Scores
    from napari_semxai.widgets.common.forms import Connections

SCORES = (
    ("dice", "Dice", "2 TP / (2 TP + FP + FN); both masks empty: 1"),
    ("iou", "IoU", "TP / (TP + FP + FN), the Jaccard index; both masks empty: 1"),
    ("precision", "Precision", "TP / (TP + FP); undefined for an empty prediction"),
    ("recall", "Recall", "TP / (TP + FN); undefined for an empty truth"),
    ("accuracy", "Accuracy", "(TP + TN) / all; high for an empty mask when defects are small"),
)
TABLE_MILLISECONDS = 60
"""The tables follow sliders and strokes at this pace; the pair above follows every motion."""

_STEPS = 1000
_NOTHING = "Choose a prediction and a truth of the same size."


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
        Follows the chosen layers.
    table : ComparisonTableController
        Compares everything.
    """

    tau_picked = Signal(str, float)
    """A person clicked this threshold: a field of `ExplanationMaskSettings`, and its value."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        evaluate: EvaluateController,
        comparison: Comparison,
        table: ComparisonTableController,
    ) -> None:
        super().__init__()
        self._session, self._evaluate, self._comparison = session, evaluate, comparison
        self._table = table
        self._stale = True
        self.prediction = LayerCombo(viewer, Labels, "The mask to score")
        self.truth = LayerCombo(viewer, Labels, "The ground truth to score it against")
        self.values = {name: QLabel("–") for name, _, _ in SCORES}
        self.bars = {name: QProgressBar() for name, _, _ in SCORES}
        self.counts, self.size_text = StatusText(), StatusText(2)
        self.load = button("Load truth…", "Load a truth mask of the image's size from a file")
        self.keep = button(
            "Keep in table", "Keep this prediction in the table when another is chosen"
        )
        self.copy = button("Copy scores", "Copy all scores as a table")
        self.save = button("Save scores…", "Save all scores and the Dice curves as CSV")
        self.panel = ComparisonPanel()
        self._refresh = qthrottled(self._on_refresh_due, TABLE_MILLISECONDS, leading=False)
        self._lay_out()
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._on_pair_changed()
        self._on_readout_changed(session.readout)
        self._on_size_changed()
        self.panel.set_comparison(session.comparison)
        self._show_taus(session.explanation.mask_settings)

    def release(self) -> None:
        """Disconnect from the viewer and the session."""
        self._refresh.cancel()
        self.prediction.release()
        self.truth.release()
        super().release()

    def load_truth(self) -> None:
        """Ask for a mask file to compare with."""
        path = ask_open(self, Dialog.TRUTH, "Load a truth mask", MASK_FILTER)
        if path is not None:
            self._evaluate.load_truth(path, ask=partial(self._ask_foreground, path))

    def _ask_foreground(self, path: Path, why: str) -> None:
        """Ask what is foreground in a mask that could be read in two ways."""
        question = f"{why}\n\nWhich pixels are the defect?  ({RULES})"
        text, agreed = QInputDialog.getItem(self, "Load a truth mask", question, OFFERED)
        if not agreed:
            return
        try:
            rule = parse_rule(text)
        except ValueError as error:
            self._ask_foreground(path, str(error))
        else:
            self._evaluate.load_truth(path, rule)

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
        pair = ["\t".join(names), "\t".join(values)]
        comparison = self._session.comparison
        rest = ["", *table_lines(comparison, "\t")] if comparison.masks else []
        return "\n".join([*pair, *rest]) + "\n"

    def save_csv(self) -> None:
        """Ask for a file and write all scores to it."""
        path = ask_save(self, Dialog.SCORES, "Save the scores", "scores.csv", "CSV (*.csv)")
        if path is not None:
            self._table.save(path)

    def _on_painted(self) -> None:
        """Compare what has changed while nobody looked."""
        if self._stale:
            self._refresh()

    def _lay_out(self) -> None:
        pickers, table = QWidget(), QWidget()
        form, grid = QFormLayout(pickers), QGridLayout(table)
        picked, end = QHBoxLayout(), QWidget()
        picked.addWidget(self.prediction, stretch=1)
        picked.addWidget(self.keep)
        buttons = QHBoxLayout(end)
        buttons.addWidget(self.copy)
        buttons.addWidget(self.save)
        form.addRow("Prediction", picked)
        form.addRow("Truth", self.truth)
        for row, (name, title, tip) in enumerate(SCORES):
            label = QLabel(title)
            self.bars[name].setRange(0, _STEPS)
            self.bars[name].setTextVisible(False)
            self.bars[name].setMaximumHeight(12)
            self.values[name].setMinimumWidth(52)
            for column, part in enumerate((label, self.values[name], self.bars[name])):
                part.setToolTip(tip)
                grid.addWidget(part, row, column)
        for layout in (form, grid, buttons):
            layout.setContentsMargins(0, 0, 0, 0)
        everything = group("All masks of this image", self.panel)
        self.add((pickers, self.load, table, self.counts, self.size_text, end, everything))

    def _outside_table(self) -> Connections:
        events, explanation = self._session.events, self._session.explanation.events
        return (
            (events.readout, self._on_readout_changed),
            (events.size, self._on_size_changed),
            (events.pixel_size, self._on_size_changed),
            (self._comparison.pair_changed, self._on_pair_changed),
            (self._comparison.changed, self._refresh),
            (events.comparison, self.panel.set_comparison),
            (events.automatic, self._refresh),
            (explanation.masks, self._refresh),
            (explanation.heatmaps, self._refresh),
            (explanation.mask_settings, self._on_mask_settings_changed),
        )

    def _inside_table(self) -> Connections:
        return (
            (self.prediction.picked, self._comparison.set_prediction),
            (self.prediction.refreshed, self._on_pair_changed),
            (self.truth.picked, self._comparison.set_truth),
            (self.truth.refreshed, self._on_pair_changed),
            (self.load.clicked, self.load_truth),
            # Qt tells nobody when a tab comes to the front.
            (self.painted, self._on_painted),
            (self.keep.clicked, self._on_keep_wanted),
            (self.copy.clicked, self._on_copy_wanted),
            (self.save.clicked, self.save_csv),
            (self.panel.curve.picked, self.tau_picked),
        )

    def _on_pair_changed(self) -> None:
        self.prediction.set_layer(self._comparison.prediction)
        self.truth.set_layer(self._comparison.truth)

    def _on_readout_changed(self, readout: Readout | None) -> None:
        for name, _, _ in SCORES:
            value = math.nan if readout is None else getattr(readout.scores, name)
            # Undefined is not 0: a dash, and an empty bar.
            known = not math.isnan(value)
            self.values[name].setText(f"{value:.4f}" if known else "–")
            # Not `setValue`, which paints at once: five bars at every stroke.
            set_bar(self.bars[name], round(value * _STEPS) if known else 0)
        self.counts.setText(_NOTHING if readout is None else _counts(readout.scores))

    def _on_size_changed(self) -> None:
        self.size_text.setText(size_text(self._session.size, self._session.pixel_size))

    def _on_refresh_due(self) -> None:
        # The table judges every mask anew: behind another tab it waits until it is looked at.
        self._stale = not self.on_screen
        if self._stale:
            return
        masks, automatic = self._comparison.judged(), self._session.automatic
        # Until then it is the defect mask itself, and would stand there twice.
        if automatic is not None and self._session.edited:
            masks["automatic mask"] = automatic.truth.mask
        self._table.refresh(masks, self._comparison.judge())

    def _on_mask_settings_changed(self, settings: ExplanationMaskSettings) -> None:
        self._show_taus(settings)
        self._refresh()

    def _show_taus(self, settings: ExplanationMaskSettings) -> None:
        # Through colours, concepts have a delta instead.
        concepts = {} if settings.paper else {"concept_tau": settings.concept_tau}
        self.panel.curve.set_taus({"tau": settings.tau, **concepts})

    def _on_keep_wanted(self) -> None:
        self._comparison.keep(self._comparison.prediction)

    def _on_copy_wanted(self) -> None:
        QApplication.clipboard().setText(self.text())


def size_text(size: MaskSize, pixel_size: float | None) -> str:
    """Return area, width, height and equivalent diameter in px, and in the lengths that fit.

    They are of the whole mask, however many defects it has.

    Parameters
    ----------
    size : MaskSize
        In pixels.
    pixel_size : float or None
        Edge of a pixel in metres.
    """
    lengths = size.width, size.height, size.equivalent_diameter
    text = "Mask: {:,} px, {} × {} px, ⌀ {:.1f} px".format(size.area, *lengths)
    if pixel_size is None:
        return text
    width, height, diameter = (length_text(length * pixel_size) for length in lengths)
    return f"{text}\n{area_text(size.area * pixel_size**2)}, {width} × {height}, ⌀ {diameter}"


def _counts(scores: Scores) -> str:
    return f"TP {scores.tp:,}   FP {scores.fp:,}   FN {scores.fn:,}   TN {scores.tn:,}"
