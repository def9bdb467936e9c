"""Which explanations are on show, and where each of them lies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from napari.layers import Image

from napari_semxai.layers.owned_layers import EXPLANATION, ROLE
from napari_semxai.types import Heatmap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_semxai.layers.layout import Layout
    from napari_semxai.state.explanation import Explanation
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


Tile: TypeAlias = tuple[int, int]
"""Row and column in a grid of copies of the image; (0, 0) is the image itself."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is on show.

    Attributes
    ----------
    heatmaps : tuple of (Heatmap, Tile)
        The one that is looked at first.
    concepts : Tile or None
        Where the concepts lie; None where they are not on show.
    copies : tuple of Tile
        Where copies of the image lie.
    """

    heatmaps: tuple[tuple[Heatmap, Tile], ...] = ()
    concepts: Tile | None = None
    copies: tuple[Tile, ...] = ()


def arrange(explanation: Explanation, *, side_by_side: bool) -> Arrangement:
    """Lay the explanations over the image, or each on a tile of its own.

    Side by side, what is looked at lies over the image itself. Otherwise the heat map that is
    looked at and the concepts do, or one of them.
    """
    active = explanation.heatmaps.active
    heatmaps = [] if active is None else [active]
    concepts = explanation.concepts is not None
    if not side_by_side:
        shown = () if explanation.hides_heat_map else tuple((one, (0, 0)) for one in heatmaps)
        return Arrangement(shown, (0, 0) if concepts and not explanation.hides_concepts else None)
    heatmaps += [found for found in explanation.heatmaps.all if found is not active]
    tiles = _grid(len(heatmaps) + concepts)
    free, own = tiles, None
    if concepts:
        own = tiles[0 if explanation.hides_heat_map else -1]
        free = [tile for tile in tiles if tile != own]
    return Arrangement(tuple(zip(heatmaps, free, strict=True)), own, tuple(tiles[1:]))


def _grid(number: int) -> list[Tile]:
    """Return rows and columns of a nearly square grid."""
    columns = max(1, math.ceil(math.sqrt(number)))
    return [divmod(place, columns) for place in range(number)]
