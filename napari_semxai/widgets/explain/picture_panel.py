"""Rendered explanations that were made elsewhere: where the heat map lies, in which colours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLineEdit, QWidget
from superqt.utils import signals_blocked

from napari_semxai.widgets.common.file_dialogs import Dialog, ask_open
from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.numbers import whole_field
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.state.explanation import ExplanationPicture

_SIDES = ("top", "left", "bottom", "right")


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
        sides = QHBoxLayout(self.crops)
        sides.setContentsMargins(0, 0, 0, 0)
        for box in self.crop.values():
            sides.addWidget(box)
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
        top, left = min(top, rows - 1), min(left, columns - 1)
        crop = (top, left, min(max(bottom, top + 1), rows), min(max(right, left + 1), columns))
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
