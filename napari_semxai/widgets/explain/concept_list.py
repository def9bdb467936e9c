"""All concepts of a bank: legend, importances and gallery in one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.controllers.explain.concept_sources import concept_name
from napari_semxai.layers.explain.float_layers import DIFFERENCE
from napari_semxai.types.colors import chip
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qtpy.QtGui import QMouseEvent, QPaintEvent, QResizeEvent

    from napari_semxai.layers.explain.float_layers import LegendEntry
    from napari_semxai.types import ConceptBank, FloatArray

_CROP, _FRAME, _SWATCH, _NAME = 34, 2, 12, 110
_LINES, _NAMED = 3, 4
"""Lines of the legend, and from how many concepts on only their numbers stand in it."""
_MIDDLE = Qt.TextElideMode.ElideMiddle
_LEGEND_TIP = (
    "Heat maps: from 0 to their maximum, in the method's own unit. Concepts: their share of the "
    "variance of the class score"
)


class CropStrip(QWidget):
    """Crops in a row, framed in the concept's colour."""

    picked = Signal(int)
    """Emitted with the number of the crop a person clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._color = QColor()
        self._crops: tuple[NDArray[np.uint8], ...] = ()
        self._pictures: list[QPixmap] = []
        self.setFixedHeight(_CROP)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("Click a crop to open its image at that place")

    def sizeHint(self) -> QSize:
        """Return the preferred size."""
        return QSize(_CROP * len(self._crops), _CROP)

    def set_crops(self, crops: NDArray[np.uint8], color: QColor) -> None:
        """Show crops of shape (c, p, p), best first."""
        # Scaled when they are first painted: most concepts are below the edge of the dock.
        self._crops, self._color, self._pictures = tuple(crops), color, []
        self.updateGeometry()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the crops."""
        self._pictures = self._pictures or [_pixmap(crop) for crop in self._crops]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(QPen(self._color, _FRAME))
        for number, picture in enumerate(self._pictures):
            place = QRectF(number * self._step + 1, 1, self._step - 3, self._step - 3)
            painter.drawPixmap(place, picture, QRectF(picture.rect()))
            painter.drawRect(place)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Pick the crop under the mouse."""
        number = int(QPointF(event.pos()).x() / self._step)
        if 0 <= number < len(self._crops):
            self.picked.emit(number)

    @property
    def _step(self) -> float:
        width: float = self.width() / max(len(self._crops), 1)
        return min(float(_CROP), width)


class ImportanceBar(QWidget):
    """A bar from 0 to the largest importance, in the concept's colour."""

    def __init__(self) -> None:
        super().__init__()
        self._color, self._share = QColor(), 0.0
        self.setFixedHeight(_SWATCH)
        self.setToolTip("Total Sobol index: share of the variance of the class score")

    def set_color(self, color: QColor) -> None:
        """Draw in another colour."""
        self._color = color
        self.update()

    def set_share(self, share: float) -> None:
        """Show a share of the largest importance, 0 to 1."""
        self._share = share
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bar."""
        painter = QPainter(self)
        painter.fillRect(QRectF(0, 0, self.width() * self._share, self.height()), self._color)
        painter.end()


class ConceptRow(QWidget):
    """Tick a concept to show it; click a crop to go there.

    Parameters
    ----------
    number : int
        Of the concept, from 0.
    """

    toggled = Signal(int, bool)
    """Emitted with the concept's number and whether it is ticked."""
    crop_picked = Signal(int, int)
    """Emitted with the numbers of the concept and of the crop."""
    named = Signal(int, str)
    """Emitted with the concept's number and what a person calls it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self.name = QLineEdit()
        self.name.setPlaceholderText("name")
        self.name.setToolTip("What this concept shows, in your words; kept with the concepts")
        # Only a click goes there: the keys of the window are letters.
        self.name.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.name.setMaximumWidth(_NAME)
        self.box = QCheckBox(concept_name(number))
        self.box.setToolTip("Show this concept and include it in the masks")
        self.bar, self.value = ImportanceBar(), QLabel("–")
        self.strip, self._swatch = CropStrip(), QLabel()
        line = QHBoxLayout()
        line.addWidget(self._swatch)
        line.addWidget(self.box)
        line.addWidget(self.name)
        line.addWidget(self.bar, stretch=1)
        line.addWidget(self.value)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(1)
        layout.addLayout(line)
        layout.addWidget(self.strip)
        self.box.toggled.connect(self._on_box_toggled)
        self.strip.picked.connect(self._on_crop_picked)
        self.name.editingFinished.connect(self._on_name_finished)

    def set_concept(self, color: tuple[int, int, int], crops: NDArray[np.uint8]) -> None:
        """Show a concept of another bank: its colour, and crops of shape (c, p, p), best first."""
        shown_color = QColor(*color)
        picture = QPixmap(_SWATCH, _SWATCH)
        picture.fill(shown_color)
        self._swatch.setPixmap(picture)
        self.bar.set_color(shown_color)
        self.strip.set_crops(crops, shown_color)

    def set_name(self, name: str) -> None:
        """Show what a person calls the concept, without telling."""
        self.name.setText(name)

    def set_shown(self, shown: bool) -> None:
        """Tick or untick the concept, without telling."""
        with signals_blocked(self.box):
            self.box.setChecked(shown)

    def set_importance(self, importance: float, largest: float) -> None:
        """Show an importance; NaN is not known yet."""
        known = not math.isnan(importance)
        self.value.setText(f"{importance:.3f}" if known else "–")
        share = importance / largest if known and largest > 0 else 0.0
        self.bar.set_share(min(max(share, 0.0), 1.0))

    def _on_box_toggled(self, checked: bool) -> None:
        self.toggled.emit(self._number, checked)

    def _on_name_finished(self) -> None:
        self.named.emit(self._number, self.name.text())

    def _on_crop_picked(self, number: int) -> None:
        self.crop_picked.emit(self._number, number)


def _pixmap(crop: NDArray[np.uint8]) -> QPixmap:
    pixels = np.ascontiguousarray(crop)
    rows, columns = pixels.shape
    image = QImage(pixels.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(image)


class Legend(StatusText):
    """The maps on show: colours, name, and their maximum or importance.

    A heat map has a line of its own, in which its name is shortened; the tooltip has all.
    """

    def __init__(self) -> None:
        # Two heat maps that are compared, and how they differ.
        super().__init__(_LINES)
        self._entries: tuple[LegendEntry, ...] = ()
        self._shares: dict[str, float] = {}
        self._show()

    def set_entries(self, entries: tuple[LegendEntry, ...]) -> None:
        """Name these maps."""
        self._entries = entries
        self._show()

    def set_importances(self, importances: FloatArray) -> None:
        """Show these importances beside their concepts; NaN is not known."""
        self._shares = {concept_name(n): share for n, share in enumerate(importances.tolist())}
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much of the names as fits into the new width."""
        super().resizeEvent(event)
        self._show()

    def _show(self) -> None:
        maps = [entry for entry in self._entries if len(entry.colors) > 1]
        concepts = [entry for entry in self._entries if len(entry.colors) == 1]
        # Names of concepts share what room the lines of heat maps leave.
        short = len(concepts) > _NAMED
        lines = [self._map_line(entry) for entry in joined(maps)]
        if len(lines) + bool(concepts) > _LINES:
            left_out = len(lines) + bool(concepts) - _LINES + 1
            lines[-left_out:] = [f"and {left_out} more"]
        chips = " ".join(_chip(entry, self._shares, short=short) for entry in concepts)
        self.setText("<br>".join([*lines, chips] if chips else lines))
        said = [f"{one.name}: {one.minimum:.3g} to {one.maximum:.3g}" for one in maps]
        self.setToolTip("\n".join([*said, _LEGEND_TIP]))

    def _map_line(self, entry: LegendEntry) -> str:
        ends = f"{entry.minimum:.3g}\u00a0", f"\u00a0{entry.maximum:.3g}"
        metrics = self.fontMetrics()
        taken = metrics.horizontalAdvance(" ".join(ends) + "\u00a0" * len(entry.colors))
        called = DIFFERENCE if entry.minimum < 0 else entry.name
        name = metrics.elidedText(called, _MIDDLE, max(self.width() - taken - 12, 60))
        bar = "".join(f'<span style="background-color:{c}">&nbsp;</span>' for c in entry.colors)
        return f"{name.replace(' ', '&nbsp;')} {ends[0]}{bar}{ends[1]}"


def joined(maps: Sequence[LegendEntry]) -> list[LegendEntry]:
    """Return one entry for all maps that have the same colours and ends."""
    groups: dict[tuple[object, ...], list[LegendEntry]] = {}
    for entry in maps:
        groups.setdefault((entry.colors, entry.minimum, entry.maximum), []).append(entry)
    return [
        group[0]
        if len(group) == 1
        else group[0]._replace(name=f"{len(group)} heat maps, each to its maximum:")
        for group in groups.values()
    ]


def _chip(entry: LegendEntry, shares: dict[str, float], *, short: bool) -> str:
    # What a person calls a concept stands behind its number.
    number, _, called = entry.name.partition(": ")
    share = shares.get(number, math.nan)
    said = "" if math.isnan(share) else f"&nbsp;{share:.0%}"
    name = called or number.rpartition(" ")[2] if short else entry.name
    return f"{chip(name.replace(' ', '&nbsp;'), entry.colors[0])}{said}"


class ConceptList(QWidget):
    """One row for each concept, the most important one first; `legend` is placed by the dock."""

    toggled = Signal(int, bool)
    """Emitted with the number of a concept and whether it is ticked."""
    crop_picked = Signal(int, int)
    """Emitted with the numbers of a concept and of one of its crops."""
    named = Signal(int, str)
    """Emitted with the number of a concept and what a person calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[ConceptRow] = []
        self._bank: ConceptBank | None = None
        self.legend = Legend()
        # Seen only where the dock places it.
        self.legend.setParent(self)
        self.legend.hide()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        # Rows of fewer concepts stay where they are, and do not spread over the room of more.
        self._column.setAlignment(Qt.AlignmentFlag.AlignTop)

    def set_bank(self, bank: ConceptBank | None) -> None:
        """Show the concepts of another bank."""
        if bank is self._bank:
            return
        self._bank = bank
        number = 0 if bank is None else len(bank.importances)
        # A list that got shorter would let a dock that is scrolled to its end jump.
        self.setMinimumHeight(max(self.minimumHeight(), self.sizeHint().height()))
        for row in self.rows[number:]:
            self._column.removeWidget(row)
            row.deleteLater()
        # Rows are used again: a new one takes as long as a layer of its concept.
        self.rows = self.rows[:number]
        while len(self.rows) < number:
            self._add(ConceptRow(len(self.rows)))
        if bank is not None:
            for row, color, crops in zip(self.rows, bank.colors, bank.crops, strict=True):
                row.set_concept(tuple(color.tolist()), crops)
            for number, row in enumerate(self.rows):
                row.set_name(bank.name(number))

    def set_shown(self, shown: frozenset[int]) -> None:
        """Tick these concepts."""
        for number, row in enumerate(self.rows):
            row.set_shown(number in shown)

    def set_importances(self, importances: FloatArray | None) -> None:
        """Show these importances, the bars relative to the largest."""
        if importances is None or len(importances) != len(self.rows):
            importances = np.full(len(self.rows), np.nan)
        self.legend.set_importances(importances)
        largest = float(np.fmax.reduce(importances, initial=0.0))
        for row, importance in zip(self.rows, importances, strict=True):
            row.set_importance(float(importance), largest)

    def _add(self, row: ConceptRow) -> None:
        row.toggled.connect(self.toggled)
        row.crop_picked.connect(self.crop_picked)
        row.named.connect(self.named)
        self._column.addWidget(row)
        self.rows.append(row)
