"""A figure drawn away from the GUI thread, which can be saved for a report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_semxai.reports.figures import panel_place, png_bytes, save_figure
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_save
from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure
    from qtpy.QtGui import QMouseEvent, QResizeEvent

    from napari_semxai.controllers.jobs import Jobs

_FILTER = "Figures (*.svg *.png *.pdf)"


class FigureView(QWidget):
    """Shows a figure as wide as there is room.

    Parameters
    ----------
    jobs : Jobs
        Draws and saves.
    name : str
        Tells this view's jobs from others', and is the proposed file name.
    """

    picked = Signal(str, float, float)
    """Label of the panel that was clicked, and the data coordinates x and y there."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        super().__init__()
        self._jobs, self._name = jobs, name
        self._make: Callable[[], Figure] | None = None
        self._pixmap = QPixmap()
        self._figure: Figure | None = None
        self.picture = QLabel()
        self.picture.setMinimumWidth(100)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.message = StatusText(2)
        self.save = button("Save figure…", "SVG or PDF with editable text, or PNG at 300 dpi")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.message, stretch=1)
        row.addWidget(self.save)
        layout.addLayout(row)
        # Last: its height is that of what is drawn.
        layout.addWidget(self.picture)
        self.picture.installEventFilter(self)
        self.save.clicked.connect(self.ask_where)
        self.set_figure(None)

    def set_figure(
        self, make: Callable[[], Figure] | None, narrow: Callable[[], Figure] | None = None
    ) -> None:
        """Show what `make` draws; it is called in another thread, again for saving.

        `narrow` draws the same for the width of a dock.
        """
        self._make = make
        self.save.setEnabled(make is not None)
        self._jobs.forget(self._destination)
        if make is None:
            self._on_drawn((None, b""))
            return
        self.message.setText("Drawing …")
        self._jobs.run(
            self._destination, partial(_draw, narrow or make), self._on_drawn, self.message.setText
        )

    @property
    def drawn(self) -> bool:
        """Whether a figure is to be seen."""
        return not self._pixmap.isNull()

    def release(self) -> None:
        """Let go of a drawing that is not there yet."""
        self._jobs.forget(self._destination)

    def ask_where(self) -> None:
        """Ask for a file name and save the figure."""
        path = ask_save(self, Dialog.FIGURE, "Save the figure", f"{self._name}.svg", _FILTER)
        if path is not None:
            self.save_to(path)

    def save_to(self, path: Path) -> None:
        """Save the figure."""
        if self._make is not None:
            self._jobs.run(
                self._destination,
                partial(_save, self._make, path),
                self._on_saved,
                self.message.setText,
            )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Scale the picture to the new width."""
        super().resizeEvent(event)
        self._scale()

    def eventFilter(self, watched: QWidget, event: QEvent) -> bool:
        """Tell clicks on the picture."""
        if event.type() == QEvent.Type.MouseButtonPress and not self._pixmap.isNull():
            self._on_pressed(event)
        return bool(super().eventFilter(watched, event))

    @property
    def _destination(self) -> str:
        return f"figure {self._name}"

    def _on_pressed(self, event: QMouseEvent) -> None:
        # The label may be larger than its picture, which lies in its upper left corner.
        pixmap, corner = self.picture.pixmap(), self.picture.contentsRect().topLeft()
        ratio = pixmap.devicePixelRatio()
        x = (event.pos().x() - corner.x() + 0.5) * ratio / pixmap.width()
        y = 1 - (event.pos().y() - corner.y() + 0.5) * ratio / pixmap.height()
        place = None if self._figure is None else panel_place(self._figure, x, y)
        if place is not None:
            self.picked.emit(*place)

    def _on_drawn(self, drawn: tuple[Figure | None, bytes]) -> None:
        self._figure, picture = drawn
        self._pixmap = QPixmap()
        self._pixmap.loadFromData(picture)
        self.message.setText("")
        self._scale()

    def _on_saved(self, path: Path) -> None:
        self.message.setText(f"Saved {path}")

    def _scale(self) -> None:
        if self._pixmap.isNull():
            self.picture.clear()
            return
        ratio = self.devicePixelRatioF()
        width = round(max(self.width(), self.picture.minimumWidth()) * ratio)
        scaled = self._pixmap.scaledToWidth(width, Qt.TransformationMode.SmoothTransformation)
        scaled.setDevicePixelRatio(ratio)
        self.picture.setPixmap(scaled)


def _draw(make: Callable[[], Figure]) -> tuple[Figure, bytes]:
    figure = make()
    return figure, png_bytes(figure, dpi=130)


# Drawn anew: the picture on the screen is small and has no vectors.
def _save(make: Callable[[], Figure], path: Path) -> Path:
    return save_figure(make(), path)
