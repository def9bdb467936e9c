"""Where all layers of a viewer lie: as the current image's picture does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from psygnal import Signal

from napari_semxai.layers.placement import Placement, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_semxai.layers.placement import Tile

_MOVES = ("scale", "units", "rotate", "shear", "translate", "affine")
_AROUND = 2.0
"""How much more than a part is seen when it is looked at."""
_LEAST_SEEN = 8
"""Edge in pixels of the smallest part that fills the view: smaller ones are seen as dots."""
_EXTENT = "_get_scene_parameters"


class Layout:
    """The one place of the current image, and every layer on it.

    The layers of this package lie on the picture, or on a tile beside it. napari draws and
    measures wrongly where units differ, also those of hidden layers, so all others are laid in
    the picture's units as well: lengths stay what they are, layers in pixels lie pixel for pixel
    on the picture. Another image's layer gets its own place back when that image is shown.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers are.
    """

    measured = Signal(object)
    """A person moved or calibrated the picture: edge of a pixel in metres, or None."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.picture: Image | None = None
        self._placement: Placement | None = None
        self._tiles: WeakKeyDictionary[Layer, Tile] = WeakKeyDictionary()
        self._placements: WeakKeyDictionary[Layer, Placement] = WeakKeyDictionary()
        self._put: WeakKeyDictionary[Layer, Placement] = WeakKeyDictionary()
        self._moving = False
        self._shape: tuple[int, ...] | None = None
        viewer.layers.events.inserted.connect(self._on_layer_inserted)
        # Told before a new layer is drawn, when napari would say that its units differ.
        viewer.dims.events.units.connect(self._on_moved)
        self._fit = Fit(viewer, self._layers_to_fit)

    @property
    def placement(self) -> Placement:
        """Where the picture lies."""
        # Made on first use: a window without a picture need not wait for the units' registry.
        if self._placement is None:
            self._placement = Placement()
        return self._placement

    @property
    def is_fitted(self) -> bool:
        """Whether nobody has moved the view since all of the image was last shown."""
        return self._fit.is_fitted

    def release(self) -> None:
        """Move nothing any more."""
        self.begin(None, None)
        self._viewer.layers.events.inserted.disconnect(self._on_layer_inserted)
        self._viewer.dims.events.units.disconnect(self._on_moved)
        self._fit.release()

    def begin(
        self, picture: Image | None, metres: float | None, *, keep_view: bool = False
    ) -> None:
        """Lay everything on another image's picture, and fit the view to it.

        Parameters
        ----------
        picture : napari.layers.Image or None
            Shows the image; None leaves everything where it lies.
        metres : float or None
            Edge of a pixel.
        keep_view : bool
            Whether an image of the size of the one before is seen where that was.
        """
        before, self.picture = self.picture, picture
        # The picture's own layer may have been there before, with the pixels of that image.
        shape, self._shape = self._shape, _shape(picture)
        place = self.placement
        if before is not None:
            for name in _MOVES:
                getattr(before.events, name).disconnect(self._on_moved)
        if picture is None:
            return
        # What lay beside the previous image lies there no more, or it would count in this view.
        for layer in list(self._tiles):
            self._tiles[layer] = (0, 0)
        self._lay_all(self.placement_of(picture).sized(metres))
        for name in _MOVES:
            getattr(picture.events, name).connect(self._on_moved)
        if keep_view and shape == self._shape:
            self._follow(place)
        else:
            self._fit.fit()

    def has_picture(self) -> bool:
        """Return whether the picture is in the viewer, from which a person may remove it."""
        return self.picture in self._viewer.layers

    def set_pixel_size(self, metres: float | None) -> None:
        """Take another edge of a pixel in metres; the view stays where it is on the image."""
        if self.picture is not None:
            self._change(self.placement_of(self.picture).sized(metres))

    def look_at(self, box: tuple[int, int, int, int] | None) -> None:
        """Show a part of the picture (row0, column0, row1, column1) large; None for all of it."""
        if box is None or self.picture is None:
            self._fit.fit()
            return
        corners = [(box[row] - 0.5, box[column] - 0.5) for row in (0, 2) for column in (1, 3)]
        world = self.placement.world(corners)
        low, high = world.min(axis=0), world.max(axis=0)
        edge = (high - low).clip(min=_LEAST_SEEN * self.placement.edge)
        camera = self._viewer.scene.camera
        camera.center = (*camera.center[:-2], *((low + high) / 2).tolist())
        camera.zoom = float(min(np.array(self._viewer.canvas.size) / edge)) / _AROUND

    def lay(self, layer: Layer, tile: Tile = (0, 0)) -> None:
        """Lay a layer of this package on a tile; the image itself is tile (0, 0)."""
        self._tiles[layer] = tile
        self._place(layer)

    def keep_fitted(self) -> None:
        """Fit the view anew where tiles have come to lie beyond one that showed all of them."""
        self._fit.keep()

    def corner(self, tile: Tile) -> NDArray[np.float64]:
        """Return the pixel (row, column) of the picture at which a tile begins."""
        shape = np.array(_shape(self.picture), float)
        # Two lines of text have room between two rows of tiles.
        gap = np.ceil(shape.max() / np.array([10, 20]))
        corner: NDArray[np.float64] = (shape + gap) * tile
        return corner

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """Rows and columns of a tile."""
        return _shape(self.picture) or (0, 0)

    def placement_of(self, layer: Layer) -> Placement:
        """Return where a layer was put by whoever made or moved it."""
        now = Placement.of(layer)
        if now != self._put.get(layer):
            self._placements[layer] = now
        return self._placements[layer]

    def _lay_all(self, placement: Placement) -> None:
        self._placement = placement
        with self._ignoring_moves():
            for layer in {*self._viewer.layers, *self._tiles}:
                self._place(layer)

    def _place(self, layer: Layer) -> None:
        if self.picture is None:
            return
        with self._ignoring_moves():
            placed = self.placement_of(layer)
            put(layer, self._wanted(layer, placed))
            self._put[layer] = Placement.of(layer)

    def _wanted(self, layer: Layer, placed: Placement) -> Placement:
        tile = self._tiles.get(layer)
        if layer is self.picture:
            return self.placement
        if tile is not None:
            return self.placement.shifted(self.corner(tile))
        # What others made of this image without a word of its size belongs on top of it.
        if placed.is_default and _shape(layer) == _shape(self.picture):
            return self.placement
        return placed.beside(self.placement)

    def _change(self, placement: Placement) -> None:
        """Take another place of the same image and keep what is seen."""
        before = self.placement
        if placement != before:
            self._lay_all(placement)
            self._follow(before)

    def _follow(self, before: Placement) -> None:
        """Keep what was seen while the picture lay where it was `before`."""
        centre = before.pixel(self._viewer.scene.camera.center[-2:])
        world = tuple(self.placement.world(centre).tolist())
        self._fit.follow(before.edge / self.placement.edge, world)

    @contextmanager
    def _ignoring_moves(self) -> Iterator[None]:
        self._moving, before = True, self._moving
        try:
            yield
        finally:
            self._moving = before

    def _on_moved(self) -> None:
        """Follow a picture that was moved, or take a layer of other units along."""
        if self.picture is None or self._moving:
            return
        if Placement.of(self.picture) == self._put.get(self.picture):
            self._lay_all(self.placement)
            return
        before, now = self.placement, self.placement_of(self.picture)
        if (now.scale, now.units) == (before.scale, before.units):
            # While it is dragged, it must be seen to move.
            self._lay_all(now)
        else:
            self._change(now)
        if now.pixel_size != before.pixel_size:
            self.measured.emit(now.pixel_size)

    def _on_layer_inserted(self, event: Any) -> None:
        self._place(event.value)

    def _layers_to_fit(self) -> list[Layer] | None:
        """Return the picture and what lies beside it; None without a picture."""
        if self.picture is None or self.picture not in self._viewer.layers:
            return None
        beside = [
            layer
            for layer, tile in self._tiles.items()
            if tile != (0, 0) and layer.visible and layer in self._viewer.layers
        ]
        return [self.picture, *beside]


def _shape(layer: Layer | None) -> tuple[int, ...] | None:
    """Return rows and columns of a layer of pixels."""
    shape = getattr(getattr(layer, "data", None), "shape", None)
    if shape is None or len(shape) < 2:
        return None
    return tuple(shape[-3:-1] if getattr(layer, "rgb", False) else shape[-2:])


class Fit:
    """Let Home, *Fit to view* and figures count some layers only, and keep them fitted.

    napari counts all layers, also hidden ones of other images, and has no setting for it. Without
    the method that is replaced here, it does so still.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose view.
    wanted : callable
        Returns the layers that count, or None for all.
    """

    def __init__(self, viewer: ViewerModel, wanted: Callable[[], list[Layer] | None]) -> None:
        self._viewer, self._wanted = viewer, wanted
        self._napari_extent: Callable[..., Any] | None = getattr(viewer, _EXTENT, None)
        self._named = False
        self._view: tuple[object, ...] = ()
        if self._napari_extent is not None:
            viewer.__dict__[_EXTENT] = self._extent
        viewer.events.reset_view.connect(self._on_fitted)
        viewer.canvas.events.size.connect(self._on_canvas_resized)

    def release(self) -> None:
        """Leave the view to napari."""
        self._viewer.__dict__.pop(_EXTENT, None)
        self._viewer.events.reset_view.disconnect(self._on_fitted)
        self._viewer.canvas.events.size.disconnect(self._on_canvas_resized)

    def fit(self) -> None:
        """Show all of the layers that count."""
        self._viewer.fit_to_view()

    def keep(self) -> None:
        """Show all of the layers that count where all was shown and some now lie outside."""
        if not self.is_fitted or self._wanted() is None:
            return
        camera, (low, high) = self._viewer.scene.camera, self._extent()[0][:, -2:]
        half = np.array(self._viewer.canvas.size) / camera.zoom / 2
        if np.any(np.maximum(high - camera.center[-2:], camera.center[-2:] - low) > half):
            self.fit()

    def follow(self, zoom: float, centre: tuple[float, ...]) -> None:
        """Change the view along with the world, so that the same is seen."""
        camera, fitted = self._viewer.scene.camera, self.is_fitted
        camera.center = (*camera.center[:-2], *centre)
        camera.zoom *= zoom
        if fitted:
            self._on_fitted()

    def _extent(self, *, layers: Any = None) -> Any:
        self._named = layers is not None
        wanted = layers if self._named else self._wanted()
        if self._named or not wanted or self._viewer.dims.ndisplay != 2:
            return self._napari_extent(layers=wanted)  # type: ignore[misc]
        # napari would make a list of layers of them, which takes longer than all else here.
        ends = np.array([layer._extent_augmented.world[:, -2:] for layer in wanted])
        low, high = ends[:, 0].min(0), ends[:, 1].max(0)
        return np.array([low, high]), high - low, low

    def _on_fitted(self) -> None:
        camera = self._viewer.scene.camera
        self._view = () if self._named else (camera.center, camera.zoom, camera.angles)

    @property
    def is_fitted(self) -> bool:
        """Whether nobody has moved the view since all was last shown."""
        camera = self._viewer.scene.camera
        return self._view == (camera.center, camera.zoom, camera.angles)

    def _on_canvas_resized(self) -> None:
        # Docks that open, or a window that grows, would else cut the picture or leave it small.
        if self.is_fitted and self._wanted() is not None:
            self.fit()
