"""Which image is worked on: a layer of the viewer, or a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from napari_semxai.widgets.layer_combo import LayerCombo
from napari_semxai.widgets.parts import button

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_semxai.controllers.images import ImageController
    from napari_semxai.layers.session_layers import SessionLayers
    from napari_semxai.state.session import Session
    from napari_semxai.types import SemImage
    from napari_semxai.widgets.parts import Connections


class ImagePicker(QWidget):
    """Pick an Image layer or open a file.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose Image layers are on offer.
    session : Session
        What is shown.
    images : ImageController
        The controller that is called.
    layers : SessionLayers
        Knows which layer shows the current image.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        images: ImageController,
        layers: SessionLayers,
    ) -> None:
        super().__init__()
        self._viewer, self._session = viewer, session
        self._images, self._layers = images, layers
        self.layer = LayerCombo(viewer, Image, "The SEM image to work on")
        self.open = button("Open…", "Open an SEM image file (TIFF, PNG, JPEG, BMP)")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.layer, stretch=1)
        row.addWidget(self.open)

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
            (self.layer.picked, self.open_layer),
            (self.layer.refreshed, self.refresh),
        )

    def set_image(self, _image: SemImage | None) -> None:
        """Show the layer of the current image."""
        self.layer.set_layer(self._layers.image_layer)

    def refresh(self) -> None:
        """Follow the layers on offer; without an image the newest becomes the current one."""
        self.layer.set_layer(self._layers.image_layer)
        offered = self.layer.layers
        if self._session.image is None and offered:
            self.open_layer(offered[-1])

    def open_file(self) -> None:
        """Ask for an image file and open it."""
        name = QFileDialog.getOpenFileName(
            self, "Open an SEM image", "", "Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp)"
        )[0]
        if name:
            self._images.open_file(Path(name))

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
        )

    def _on_step_changed(self) -> None:
        layer = self._layers.image_layer
        if layer is not None and layer.ndim > 2:
            self.open_layer(layer)
