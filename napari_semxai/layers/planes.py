"""Two-dimensional pictures within Image layers, and which image each one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from napari.layers import Image

from napari_semxai.layers.owned_layers import set_visible

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_semxai.types import SemImage


@dataclass(frozen=True, slots=True)
class Plane:
    """One two-dimensional picture of an Image layer.

    Attributes
    ----------
    layer : napari.layers.Image
        The layer.
    index : tuple of int
        Steps along the leading axes; empty for a two-dimensional layer.
    """

    layer: Image
    index: tuple[int, ...] = ()

    @property
    def page(self) -> int:
        """Page within the layer's file."""
        return self.index[0] if self.index else 0

    @property
    def pixels(self) -> NDArray[Any]:
        """The values, shape (M, N), (M, N, 3) or (M, N, 4)."""
        data = self.layer.data[0] if self.layer.multiscale else self.layer.data
        return np.asarray(data[self.index])


class Planes:
    """Remember which plane of which layer shows an image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers are.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._images: list[tuple[Plane, SemImage]] = []
        self._added: WeakSet[Image] = WeakSet()
        self._queue: Image | None = None

    def adopt(self, plane: Plane, image: SemImage) -> None:
        """Use a plane of a layer as the picture of `image` instead of adding a layer."""
        self._images = [(known, value) for known, value in self._images if known != plane]
        self._images.append((plane, image))

    def forget(self, layer: object) -> None:
        """Drop a layer that was removed."""
        self._images = [known for known in self._images if known[0].layer is not layer]

    def image_of(self, plane: Plane) -> SemImage | None:
        """Return the image that a plane shows, if it was opened before."""
        return next((image for known, image in self._images if known == plane), None)

    def plane_of(self, layer: Image) -> Plane:
        """Return the plane of `layer` that is displayed now."""
        leading = self._viewer.dims.current_step[-layer.ndim : -2] if layer.ndim > 2 else ()
        return Plane(layer, tuple(int(step) for step in leading))

    def layer_of(self, image: SemImage, queued: bool = False) -> Image:
        """Return the layer that shows `image`, added where there is none.

        Parameters
        ----------
        image : SemImage
            The image.
        queued : bool
            Whether it comes from a queue, whose images are shown by one layer in turn.
        """
        for plane, known in self._images:
            if known is image and plane.layer in self._viewer.layers:
                return plane.layer
        rgb = image.pixels.ndim == 3
        spare = self._queue
        if queued and spare is not None and spare in self._viewer.layers and spare.rgb == rgb:
            layer = spare
            layer.data, layer.name = image.pixels, image.name
        else:
            self._close_pages(image)
            layer = self._viewer.add_image(image.pixels, name=image.name, rgb=rgb)
            self._added.add(layer)
        if queued:
            self._queue = layer
        if not rgb:
            layer.contrast_limits = _contrast(image)
        self.adopt(Plane(layer), image)
        return layer

    def show_only(self, picture: Image) -> None:
        """Hide the pictures of other images, which may lie above `picture`."""
        for plane, _ in self._images:
            set_visible(plane.layer, plane.layer is picture)

    def _close_pages(self, image: SemImage) -> None:
        """Remove the layer of another page, so that turning pages leaves one layer a file."""
        for plane, known in list(self._images):
            same_file = known.path is not None and known.path == image.path
            if same_file and plane.layer in self._added:
                self._added.discard(plane.layer)
                self._viewer.layers.remove(plane.layer)


def _contrast(image: SemImage) -> tuple[float, float]:
    if image.pixels.dtype == np.uint8:
        return 0.0, 255.0
    step = max(1, min(image.pixels.shape[:2]) // 512)
    values = image.pixels[::step, ::step].astype(np.float64)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, (0.5, 99.5))
    # The limits differ, also of a constant picture of large values.
    return float(low), float(max(high, low + 1e-6 * max(1.0, abs(low))))
