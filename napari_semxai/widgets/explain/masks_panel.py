"""Masks from explanations: thresholds that act while they move, and where a mask can go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QHBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.numbers import NumberSlider
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.state.explanation import ExplanationMasks, MaskSettings

_WARNING = (
    "⚠ Masks come from rendered colours, as published. Red in the JET map falls again at the "
    "peak, so τ > 0.5 selects a ring without it. δ compares nominal colours; only concepts 1 to 5 "
    "have a published colour, others give no mask. Without paper mode the exact maps are used."
)
_FARTHEST = 441.0


class MasksPanel(QWidget):
    """τ and δ, and what to do with the masks they give."""

    changed = Signal(dict)
    """Emitted with the fields of `MaskSettings` that a person changed."""
    send_wanted = Signal(str)
    """Emitted with the name of the mask to bring into the mask editor."""
    sam_wanted = Signal(str)
    """Emitted with the name of the mask to give to SAM."""

    def __init__(self) -> None:
        super().__init__()
        self.tau = NumberSlider(
            0, 1, decimals=3, tip="τ: threshold as a share of the heat map's maximum"
        )
        self.concept_tau = NumberSlider(
            0, 1, decimals=3, tip="τ: threshold as a share of each concept map's maximum"
        )
        self.delta = NumberSlider(
            0, _FARTHEST, decimals=1, tip="δ: tolerance in 8-bit colour values (Algorithm 3)"
        )
        self.paper = QCheckBox("Paper mode (rendered colours)")
        self.paper.setToolTip("Algorithms 2 and 3 exactly as published")
        self.warning = StatusText()
        self.mask = QComboBox()
        self.mask.setToolTip("The mask that the buttons below use")
        self.send = button(
            "Replace mask", "Replace the defect mask by this one, as one undoable edit"
        )
        self.sam = button("Prompt SAM", "Refine this mask with SAM 2")
        self.area = StatusText()
        self._masks: ExplanationMasks | None = None
        self._lay_out()
        self.tau.valueChanged.connect(self._on_tau_moved)
        self.concept_tau.valueChanged.connect(self._on_concept_tau_moved)
        self.delta.valueChanged.connect(self._on_delta_moved)
        self.paper.toggled.connect(self._on_paper_toggled)
        self.mask.activated.connect(self._show_area)
        self.send.clicked.connect(self._on_send_wanted)
        self.sam.clicked.connect(self._on_sam_wanted)

    def set_settings(self, settings: MaskSettings) -> None:
        """Show settings, without telling."""
        for slider, value in (
            (self.tau, settings.tau),
            (self.concept_tau, settings.concept_tau),
            (self.delta, settings.delta),
        ):
            if slider.value() != value:
                with signals_blocked(slider):
                    slider.setValue(value)
        with signals_blocked(self.paper):
            self.paper.setChecked(settings.paper)
        self.warning.setText(_WARNING if settings.paper else "")

    def set_masks(self, masks: ExplanationMasks) -> None:
        """Offer these masks."""
        self._masks = masks
        names = list(masks.masks)
        if [self.mask.itemText(place) for place in range(self.mask.count())] != names:
            chosen = self.mask.currentText()
            with signals_blocked(self.mask):
                self.mask.clear()
                self.mask.addItems(names)
                self.mask.setCurrentIndex(max(self.mask.findText(chosen), 0))
        for part in (self.mask, self.send, self.sam):
            part.setEnabled(bool(names))
        self._show_area()

    def _lay_out(self) -> None:
        layout, row = QFormLayout(self), QHBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.send)
        row.addWidget(self.sam)
        layout.addRow("τ, heat map", self.tau)
        layout.addRow("τ, concepts", self.concept_tau)
        layout.addRow(self.paper)
        layout.addRow(self.warning)
        layout.addRow("δ, colours", self.delta)
        layout.addRow("Mask", self.mask)
        layout.addRow(self.area)
        layout.addRow(row)

    def _show_area(self) -> None:
        mask = None if self._masks is None else self._masks.masks.get(self.mask.currentText())
        if mask is None:
            self.area.setText("No explanation yet")
        else:
            count = np.count_nonzero(mask)
            self.area.setText(f"{count} px, {count / mask.size:.2%} of the image")

    def _on_tau_moved(self, value: float) -> None:
        self.changed.emit({"tau": value})

    def _on_concept_tau_moved(self, value: float) -> None:
        self.changed.emit({"concept_tau": value})

    def _on_delta_moved(self, value: float) -> None:
        self.changed.emit({"delta": value})

    def _on_paper_toggled(self, paper: bool) -> None:
        self.changed.emit({"paper": paper})

    def _on_send_wanted(self) -> None:
        self.send_wanted.emit(self.mask.currentText())

    def _on_sam_wanted(self) -> None:
        self.sam_wanted.emit(self.mask.currentText())
