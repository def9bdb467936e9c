"""Masks from explanations: their thresholds, where they go; maps read out of pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.state.explanation import ExplanationMaskSettings
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_open
from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.numbers import NumberSlider, whole_field
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.state.explanation import ExplanationMasks, ExplanationPicture

_WARNING = (
    "⚠ Masks come from rendered colours, as published. Red in the JET map falls again at the "
    "peak, so τ > 0.5 selects a ring without it. δ compares nominal colours; only concepts 1 to 5 "
    "have a published colour, others give no mask. Without paper mode the exact maps are used."
)
# From black to white: 255 times the root of 3. A larger δ takes every pixel.
_FARTHEST = 441.0
_SIDES = ("top", "left", "bottom", "right")


class MasksPanel(QWidget):
    """τ and δ, and what to do with the masks they give."""

    changed = Signal(dict)
    """Emitted with the fields of `ExplanationMaskSettings` that a person changed."""
    send_wanted = Signal(str)
    """Emitted with the name of the mask to bring into the mask editor."""
    sam_wanted = Signal(str)
    """Emitted with the name of the mask to give to SAM."""

    def __init__(self) -> None:
        super().__init__()
        defaults = ExplanationMaskSettings()
        self.tau = NumberSlider(
            0,
            1,
            default=defaults.tau,
            decimals=3,
            tip="τ: threshold as a share of the heat map's maximum",
        )
        self.concept_tau = NumberSlider(
            0,
            1,
            default=defaults.concept_tau,
            decimals=3,
            tip="τ: threshold as a share of each concept map's maximum",
        )
        self.delta = NumberSlider(
            0,
            _FARTHEST,
            default=defaults.delta,
            decimals=1,
            tip="δ: tolerance in 8-bit colour values (Algorithm 3)",
        )
        self.paper = QCheckBox("Paper mode (rendered colours)")
        self.paper.setToolTip("Algorithms 2 and 3 exactly as published")
        self.warning = StatusText()
        self.mask = QComboBox()
        self.mask.setToolTip("The mask that the buttons below use")
        self.send = button(
            "Replace mask", "Replace the defect mask by this one, as one undoable edit"
        )
        self.sam = button(
            "Prompt SAM",
            "Add what SAM 2 makes of this mask to the defect mask, as one undoable edit",
        )
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

    def set_settings(self, settings: ExplanationMaskSettings) -> None:
        """Show settings, without telling."""
        for slider, value in (
            (self.tau, settings.tau),
            (self.concept_tau, settings.concept_tau),
            (self.delta, settings.delta),
        ):
            # The slider that moved is ahead of the session: set to its own value it would jump
            # back.
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
            # By name: masks come and go with what is explained, and places change.
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
            self.area.setText(f"{count:,} px, {count / mask.size:.2%} of the image")

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


class PicturePanel(QWidget):
    """Load a picture, crop it, and name its concept colours."""

    load_wanted = Signal(object, str)
    """Emitted with a path and "gradcam" or "craft"."""
    changed = Signal(object)
    """Emitted with another `ExplanationPicture`, or None to drop it."""

    def __init__(self) -> None:
        super().__init__()
        self._picture: ExplanationPicture | None = None
        self.gradcam = button(
            "Grad-CAM picture…",
            "Open a rendered heat map; Algorithm 2 makes a mask from it with τ",
        )
        self.craft = button(
            "CRAFT picture…", "Open rendered concepts; Algorithm 3 makes masks from them with δ"
        )
        self.drop = button("Remove picture", "Remove the picture")
        self.name = StatusText(2)
        tip = "edge of the heat map within the picture, in pixels"
        self.crop = {
            side: whole_field(0, 100_000, f"{side.capitalize()} {tip}") for side in _SIDES
        }
        self.colors = QLineEdit()
        self.colors.setToolTip("Concept colours, most important first, as #rrggbb")
        self._lay_out()
        self.set_picture(None)
        self.gradcam.clicked.connect(self._on_gradcam_wanted)
        self.craft.clicked.connect(self._on_craft_wanted)
        self.drop.clicked.connect(self._on_drop_wanted)
        self.colors.editingFinished.connect(self._on_changed)
        for box in self.crop.values():
            box.valueChanged.connect(self._on_changed)

    def set_picture(self, picture: ExplanationPicture | None) -> None:
        """Show a picture, without telling."""
        self._picture = picture
        for part in (self.crops, self.drop):
            part.setEnabled(picture is not None)
        self.colors.setEnabled(picture is not None and picture.method == "craft")
        if picture is None:
            self.name.setText("")
            return
        rows, columns = picture.rgb.shape[:2]
        self.name.setText(f"{picture.name}: {columns} × {rows} px; crop it to the heat map:")
        crop = picture.crop or (0, 0, rows, columns)
        for box, value in zip(self.crop.values(), crop, strict=True):
            with signals_blocked(box):
                box.setValue(value)
        with signals_blocked(self.colors):
            self.colors.setText(
                " ".join("#{:02x}{:02x}{:02x}".format(*color) for color in picture.colors)
            )

    def _lay_out(self) -> None:
        layout, row = QFormLayout(self), QHBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        self.crops = QWidget()
        sides = QGridLayout(self.crops)
        sides.setContentsMargins(0, 0, 0, 0)
        for place, box in enumerate(self.crop.values()):
            sides.addWidget(box, place // 2, place % 2)
        row.addWidget(self.gradcam)
        row.addWidget(self.craft)
        layout.addRow(row)
        layout.addRow(self.name)
        layout.addRow(self.crops)
        layout.addRow(self.colors)
        layout.addRow(self.drop)

    def _on_changed(self) -> None:
        picture = self._picture
        if picture is None:
            return
        rows, columns = picture.rgb.shape[:2]
        top, left, bottom, right = (box.value() for box in self.crop.values())
        # Each field is told alone, so that two of them may contradict each other for a moment:
        # at least one pixel is left.
        top, left = min(top, rows - 1), min(left, columns - 1)
        crop = (top, left, min(max(bottom, top + 1), rows), min(max(right, left + 1), columns))
        # A text without any colour is being typed, or a mistake: no mask at all would come of
        # it.
        colors = parse_colors(self.colors.text()) or picture.colors
        self.changed.emit(replace(picture, crop=crop, colors=colors))

    def _on_gradcam_wanted(self) -> None:
        self._ask("gradcam")

    def _on_craft_wanted(self) -> None:
        self._ask("craft")

    def _ask(self, method: str) -> None:
        title, files = (
            "Open a rendered explanation of this image",
            "Pictures (*.png *.jpg *.tif *.bmp)",
        )
        path = ask_open(self, Dialog.PICTURE, title, files)
        if path is not None:
            self.load_wanted.emit(path, method)

    def _on_drop_wanted(self) -> None:
        self.changed.emit(None)


def parse_colors(text: str) -> tuple[tuple[int, int, int], ...]:
    """Return the colours of a text of #rrggbb; what is not one is left out."""
    found = []
    for word in text.replace(",", " ").split():
        digits = word.removeprefix("#")
        if len(digits) == 6 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            found.append((int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)))
    return tuple(found)
