"""Which image is worked on: a layer of the viewer, or a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_semxai.widgets.common.file_dialogs import Dialog, ask_open
from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.layer_combo import LayerCombo

if TYPE_CHECKING:
    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.session import Session
    from napari_semxai.types import SemImage
    from napari_semxai.widgets.common.forms import Connections


class ImagePicker(QWidget):
    """Pick an Image layer or open a file.

    Parameters
    ----------
    session : Session
        What is shown.
    images : ImageController
        The controller that is called.
    layers : SessionLayers
        Knows the viewer, and which layer shows the current image.
    """

    def __init__(self, session: Session, images: ImageController, layers: SessionLayers) -> None:
        super().__init__()
        self._viewer, self._session = layers.viewer, session
        self._images, self._layers = images, layers
        self.layer = LayerCombo(self._viewer, Image, "The SEM image to work on")
        self.open = button("Open…", "Open an SEM image file (TIFF, PNG, JPEG, BMP)")
        self.previous = button("◀", "Previous page of the file")
        self.page, self.following = QLabel(), button("▶", "Next page of the file")
        self.page.setAlignment(Qt.AlignmentFlag.AlignCenter)
        metrics = self.page.fontMetrics()
        self.page.setMinimumWidth(metrics.horizontalAdvance("88 / 88"))
        for turn in (self.previous, self.following):
            turn.setFixedWidth(metrics.horizontalAdvance("◀◀◀"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.layer, stretch=1)
        for part in (self.previous, self.page, self.following, self.open):
            row.addWidget(part)
        self.set_image(session.image)

    def outside_table(self) -> Connections:
        """Return what to connect to things that outlive this widget."""
        return (
            (self._session.events.image, self.set_image),
            (self._viewer.dims.events.current_step, self._on_step_changed),
        )

    def inside_table(self) -> Connections:
        """Return what to connect of its own parts."""
        return (
            (self.open.clicked, self.open_file),
            (self.previous.clicked, self._on_previous_wanted),
            (self.following.clicked, self._on_next_wanted),
            (self.layer.picked, self.open_layer),
            (self.layer.refreshed, self.refresh),
        )

    def set_image(self, image: SemImage | None) -> None:
        """Show the layer of the current image, and which page of its file it is."""
        self.layer.set_layer(self._layers.image_layer)
        count = 1 if image is None else image.page_count
        page = 0 if image is None else image.page
        self.page.setText(f"{page + 1} / {count}")
        self.page.setToolTip(f"Page {page + 1} of {count}")
        self.previous.setEnabled(page > 0)
        self.following.setEnabled(page < count - 1)

    def refresh(self) -> None:
        """Follow the layers on offer; without an image the newest becomes the current one."""
        self.layer.set_layer(self._layers.image_layer)
        offered = self.layer.layers
        if self._session.image is None and offered:
            self.open_layer(offered[-1])

    def open_file(self) -> None:
        """Ask for an image file and open it."""
        files = "Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp)"
        path = ask_open(self, Dialog.IMAGE, "Open an SEM image", files)
        if path is not None:
            self._images.open_file(path)

    def open_layer(self, layer: Image | None) -> None:
        """Make the displayed plane of an Image layer the current image."""
        if layer is None:
            return
        planes = self._layers.planes
        plane = planes.plane_of(layer)
        known = planes.image_of(plane)
        if known is not None:
            self._images.show(known)
            return
        source = layer.source.path
        self._images.open_array(
            plane.pixels,
            layer.name,
            partial(planes.adopt, plane),
            path=None if source is None else Path(source),
            page=plane.page,
            pixel_size=self._layers.layout.own(layer).pixel_size,
        )

    def _on_previous_wanted(self) -> None:
        self._turn_page(-1)

    def _on_next_wanted(self) -> None:
        self._turn_page(1)

    def _turn_page(self, step: int) -> None:
        layer = self._layers.image_layer
        if layer is not None and layer.ndim > 2:
            # napari opened the whole file as one layer: its slider stands for the pages.
            index = self._layers.planes.plane_of(layer).turned(step)
            first = self._viewer.dims.ndim - layer.ndim
            self._viewer.dims.set_current_step(range(first, first + len(index)), index)
        else:
            self._images.turn_page(step)

    def _on_step_changed(self) -> None:
        layer = self._layers.image_layer
        if layer is not None and layer.ndim > 2:
            self.open_layer(layer)
