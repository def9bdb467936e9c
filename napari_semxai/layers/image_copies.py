"""Copies of the current image for what lies beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_semxai.layers.owned_layers import EXPLANATION, ROLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_semxai.layers.arrangement import Tile
    from napari_semxai.layers.layout import Layout
    from napari_semxai.state.session import Session


class ImageCopies:
    """One Image layer for each tile of a grid but the first.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    session : Session
        Has the current image.
    layout : Layout
        Lays the layers on their tiles.
    """

    def __init__(self, viewer: ViewerModel, session: Session, layout: Layout) -> None:
        self._viewer, self._session, self._layout = viewer, session, layout
        self._layers: list[Image] = []

    def lay(self, picture: Image | None, tiles: Sequence[Tile]) -> None:
        """Show the image on these tiles beside its picture."""
        for layer in self._layers[len(tiles) :]:
            self._viewer.layers.remove(layer)
        if picture is None:
            return
        for number, tile in enumerate(tiles):
            if number >= len(self._layers):
                self._layers.append(self._add(picture, number, tile))
            self._layout.lay(self._layers[number], tile)

    def remove(self) -> None:
        """Show no copy any more."""
        for layer in list(self._layers):
            self._viewer.layers.remove(layer)

    def forget(self, gone: Layer) -> None:
        """Drop a layer that was removed."""
        self._layers = [layer for layer in self._layers if layer is not gone]

    def _add(self, picture: Image, number: int, tile: Tile) -> Image:
        pixels = self._session.image.pixels if self._session.image is not None else picture.data
        active = self._viewer.layers.selection.active
        layer = Image(
            pixels,
            name=f"image, copy {number + 1}",
            rgb=picture.rgb,
            metadata={ROLE: EXPLANATION},
            colormap=None if picture.rgb else picture.colormap,
            contrast_limits=None if picture.rgb else picture.contrast_limits,
        )
        self._layout.lay(layer, tile)
        self._viewer.layers.insert(self._viewer.layers.index(picture) + 1, layer)
        self._viewer.layers.selection.active = active
        return layer
