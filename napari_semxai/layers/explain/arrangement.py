"""Which explanations are on show, and where each of them lies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_semxai.controllers.explain.sources import NamedMap
from napari_semxai.layers.owned_layers import EXPLANATION, ROLE
from napari_semxai.layers.placement import Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_semxai.controllers.explain.sources import MapSource
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


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is on show.

    Attributes
    ----------
    maps : dict of str to tuple of (NamedMap, Tile)
        By family, in the order in which they are drawn.
    tiles : dict of str to Tile
        Where the first of a family lies, and its masks; families not on show are left out.
    copies : tuple of Tile
        Where copies of the image lie.
    """

    maps: dict[str, tuple[tuple[NamedMap, Tile], ...]] = field(default_factory=dict)
    tiles: dict[str, Tile] = field(default_factory=dict)
    copies: tuple[Tile, ...] = ()


def arrange(
    sources: Sequence[MapSource], explanation: Explanation, *, side_by_side: bool
) -> Arrangement:
    """Lay the explanations over the image, or each on a tile of its own.

    Side by side, what is looked at lies over the image itself. Otherwise the first of each family
    does, or that of one family alone.
    """
    groups = {source.family: source.layers(explanation) for source in sources}
    alone = explanation.alone
    if not any(groups.get(alone, ())[:1]):
        # What is not there hides nothing.
        alone = ""
    if not side_by_side:
        shown = {name: own[:1] for name, own in groups.items() if not alone or name == alone}
        laid = {name: [((0, 0), maps) for maps in own if maps] for name, own in shown.items()}
        return _arranged(laid, ())
    # What is looked at alone lies over the image itself.
    order = sorted(groups, key=lambda name: name != alone)
    wanted = [(name, maps) for name in order for maps in groups[name] if maps]
    tiles = _grid(len(wanted))
    laid = {name: [] for name in groups}
    for (name, maps), tile in zip(wanted, tiles, strict=True):
        laid[name].append((tile, maps))
    return _arranged(laid, tuple(tiles[1:]))


def _arranged(
    laid: dict[str, list[tuple[Tile, list[NamedMap]]]], copies: tuple[Tile, ...]
) -> Arrangement:
    maps = {
        name: tuple((one, tile) for tile, group in own for one in group)
        for name, own in laid.items()
    }
    return Arrangement(maps, {name: own[0][0] for name, own in laid.items() if own}, copies)


def _grid(number: int) -> list[Tile]:
    """Return rows and columns of a nearly square grid."""
    columns = max(1, math.ceil(math.sqrt(number)))
    return [divmod(place, columns) for place in range(number)]
