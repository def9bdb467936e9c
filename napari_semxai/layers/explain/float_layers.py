"""Float maps over the current image: transparent where there is nothing."""

from __future__ import annotations

from functools import lru_cache
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image, Points
from napari.utils.colormaps import Colormap, ensure_colormap
from psygnal import Signal
from superqt.utils import qdebounced

from napari_semxai.controllers.explain.sources import hex_color
from napari_semxai.layers.files import ROLE
from napari_semxai.layers.owned_layers import (
    EXPLANATION,
    refresh_pixels,
    set_visible,
    staying_active,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_semxai.controllers.explain.sources import NamedMap
    from napari_semxai.layers.layout import Layout
    from napari_semxai.layers.mask.step_layers import ReferenceLayers
    from napari_semxai.layers.placement import Tile

CLASSIFIER = "classifier_sha256"
"""Entry of a layer's metadata: digest of the weights that an explanation is of."""
DIFFERENCE = "difference, first − second"
OPACITY = 0.65
_FADE = 0.35
_TINT = 0.4
"""How opaque a concept is at its maximum, within `OPACITY`: several let the picture through."""
_STEPS = np.linspace(0, 1, 12)
_TITLE, _TITLE_SIZE = "#e69f00", 8
_LETTER = 9.0
"""Width of a letter of a title on the screen in pixels."""
_LEAST_LETTERS = 8
_ABOVE: Tile = (-1, 0)
"""Where titles lie: what does not lie on the picture is in sight in a fitted view."""


class LegendEntry(NamedTuple):
    """What a legend says of a map on show: its name, its colours, its minimum and maximum."""

    name: str
    colors: tuple[str, ...]
    maximum: float
    minimum: float = 0.0


class FloatLayers:
    """One Image layer for each role, used again for the next image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    layout : Layout
        Lays them on their tiles.
    references : ReferenceLayers
        Lie over the picture, too, below these layers.
    """

    legend_changed = Signal(tuple)
    """Emitted with a `LegendEntry` for each map on show, one event-loop turn later."""

    def __init__(self, viewer: ViewerModel, layout: Layout, references: ReferenceLayers) -> None:
        self._viewer, self._layout, self._references = viewer, layout, references
        self._picture: Image | None = None
        self._layers: dict[str, Image] = {}
        self._keys: dict[str, Hashable] = {}
        self._names: dict[str, str] = {}
        self._ranks: WeakKeyDictionary[Image, int] = WeakKeyDictionary()
        self.legend: tuple[LegendEntry, ...] = ()
        # Several maps come in one turn.
        self._legend_soon = qdebounced(self._tell_legend, timeout=0)

    def release(self) -> None:
        """Change the layers no longer."""
        self._legend_soon.cancel()

    def begin(self, picture: Image | None) -> None:
        """Lay all layers over another image's picture, hidden until they show something."""
        self._picture = picture
        for role in self._layers:
            self.hide(role)

    def forget(self, gone: Layer) -> None:
        """Drop a layer that was removed by hand."""
        self._layers = {role: layer for role, layer in self._layers.items() if layer is not gone}
        self._legend_soon()

    def hide(self, role: str) -> None:
        """Show nothing in the layer of a role."""
        self._keys.pop(role, None)
        if role in self._layers:
            set_visible(self._layers[role], False)
            self._layout.lay(self._layers[role])
            self._legend_soon()

    def clear(self, role: str, tile: tuple[int, int] = (0, 0)) -> None:
        """Show nothing in the layer of a role, which stays visible, on a tile of the grid.

        Hiding it would make napari lay out all overlays of all layers: several times slower.
        """
        layer = self._layers.get(role)
        if layer is None:
            return
        self._layout.lay(layer, tile)
        if self._keys.pop(role, None) is None:
            return
        layer.metadata.pop(CLASSIFIER, None)
        layer.data.fill(np.nan)
        refresh_pixels(layer)
        self._legend_soon()

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that have a layer."""
        return tuple(self._layers)

    def show(self, shown: NamedMap, tile: tuple[int, int] = (0, 0)) -> Image:
        """Show a map in the layer of its role, made where there is none.

        Parameters
        ----------
        shown : NamedMap
            The map, in its own unit; transparent where 0, less, or NaN.
        tile : tuple of int
            Row and column in the grid of pictures side by side; (0, 0) lies over the image.
        """
        role, layer = shown.role, self._layers.get(shown.role)
        colormap = _colormap_of(shown)
        if layer is None:
            layer = self._add(shown, colormap, tile)
        elif self._keys.get(role) != shown.key:
            _set_values(layer, *_drawn(shown))
        self._raise(layer, shown.rank)
        self._keys[role], self._names[role] = shown.key, shown.name
        layer.metadata[CLASSIFIER] = shown.classifier
        if layer.name != shown.name:
            layer.name = shown.name
        if layer.colormap.name != colormap.name:
            layer.colormap = colormap
        self._layout.lay(layer, tile)
        self._legend_soon()
        set_visible(layer, True)
        return layer

    def _tell_legend(self) -> None:
        shown = {role: self._layers[role] for role in self._keys if role in self._layers}
        # A name that another layer has had until this turn was given with a number behind it.
        for role, layer in shown.items():
            if layer.name != self._names[role]:
                layer.name = self._names[role]
        order = sorted(shown.values(), key=self._ranks.__getitem__)
        legend = tuple(_entry(layer) for layer in order)
        if legend != self.legend:
            self.legend = legend
            self.legend_changed.emit(legend)

    def _add(self, shown: NamedMap, colormap: Colormap, tile: tuple[int, int]) -> Image:
        values, limits = _drawn(shown)
        layer = Image(
            values,
            name=shown.name,
            colormap=colormap,
            contrast_limits=limits,
            opacity=OPACITY,
            blending="translucent",
            metadata={ROLE: EXPLANATION},
        )
        self._layout.lay(layer, tile)
        with staying_active(self._viewer):
            self._viewer.layers.insert(self._index_for(shown.rank), layer)
        self._layers[shown.role] = layer
        self._ranks[layer] = shown.rank
        return layer

    def _raise(self, layer: Image, rank: int) -> None:
        """Lay a layer over picture and reference, which may have come on top of it since."""
        index = self._viewer.layers.index(layer)
        if index < self._ground:
            self._viewer.layers.move(index, self._index_for(rank))

    @property
    def _ground(self) -> int:
        """The place of the topmost of the picture and what lies on it below all maps, or -1."""
        if self._picture is None:
            return -1
        index: Callable[[Layer], int] = self._viewer.layers.index
        return max(map(index, (self._picture, *self._references.layers)))

    def _index_for(self, rank: int) -> int:
        """Return the place above the ground and just below all layers of lower rank."""
        layers, ground = self._viewer.layers, self._ground
        known: dict[int, int] = {
            layers.index(layer): self._ranks[layer] for layer in self._layers.values()
        }
        lower = [index for index, other in known.items() if ground < index and other < rank]
        return min(lower) if lower else max([*known, ground]) + 1


class TileTitles:
    """The name of each map above its tile, where there are several tiles.

    Names are cut to the width that their tiles have on the screen, and left out where that is too
    narrow.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where their layer goes.
    layout : Layout
        Knows where tiles lie.
    """

    def __init__(self, viewer: ViewerModel, layout: Layout) -> None:
        self._viewer, self._layout = viewer, layout
        self._layer: Points | None = None
        self._titles: dict[Tile, str] = {}
        viewer.scene.camera.events.zoom.connect(self._on_zoomed)

    def release(self) -> None:
        """Follow the view no longer."""
        self._viewer.scene.camera.events.zoom.disconnect(self._on_zoomed)

    def show(self, maps: Mapping[str, Iterable[tuple[NamedMap, Tile]]]) -> None:
        """Name the maps of each family, concepts of one tile by their family."""
        titles: dict[Tile, str] = {}
        for family, laid in maps.items():
            for shown, tile in laid:
                name = DIFFERENCE if shown.signed else shown.name
                titles[tile] = f"{family}s" if tile in titles else name
        self._titles = titles if len(titles) > 1 else {}
        if self._titles:
            self._name()
        elif self._layer is not None:
            set_visible(self._layer, False)

    def forget(self, gone: Layer) -> None:
        """Drop the layer where it was removed by hand."""
        self._layer = None if gone is self._layer else self._layer

    def _strings(self) -> list[str]:
        """Return the titles as they fit above their tiles in the present view."""
        layout = self._layout
        width = layout.tile_shape[1] * layout.placement.edge * self._viewer.scene.camera.zoom
        return [*(fitted(title, int(width / _LETTER)) for title in self._titles.values()), ""]

    def _name(self) -> None:
        if self._layer is None:
            self._layer = Points(
                np.zeros((0, 2)),
                name="titles",
                face_color="transparent",
                border_color="transparent",
                metadata={ROLE: EXPLANATION},
            )
            self._layout.lay(self._layer, _ABOVE)
            with staying_active(self._viewer):
                self._viewer.add_layer(self._layer)
        origin = self._layout.corner(_ABOVE)
        corners = [self._layout.corner(tile) - origin for tile in self._titles]
        # napari knows which points are in view of a layer that is visible only: until then it
        # would look for titles of as many points as there were.
        self._layer.text.string = {"constant": ""}
        # A point without a title keeps room for those of the first row in a fitted view.
        self._layer.data = np.array([*corners, (self._layout.tile_shape[0], 0)])
        self._layout.lay(self._layer, _ABOVE)
        set_visible(self._layer, True)
        self._layer.text = {
            "string": self._strings(),
            "color": _TITLE,
            "size": _TITLE_SIZE,
            "anchor": "upper_left",
        }

    def _on_zoomed(self) -> None:
        if self._layer is None or not self._titles:
            return
        strings = self._strings()
        if strings != self._layer.text.values.tolist():
            self._layer.text.string = strings


def fitted(text: str, letters: int) -> str:
    """Return a text in at most two lines of so many letters; "" where these are too few."""
    if letters < _LEAST_LETTERS:
        return ""
    first, *rest = wrap(text, letters, break_long_words=False, break_on_hyphens=False)
    lines = [first, *([" ".join(rest)] if rest else [])]
    return "\n".join(_one_line(line, letters) for line in lines)


def _one_line(text: str, letters: int) -> str:
    """Return a text of at most so many letters, with something of every word of it."""
    for longest in range(letters, 2, -1):
        line = " ".join(shortened(word, longest) for word in text.split(" "))
        if len(line) <= letters:
            return line
    return shortened(text, letters)


def shortened(text: str, letters: int) -> str:
    """Return at most so many letters of a text, of its beginning and its end."""
    if len(text) <= letters:
        return text
    end = max(letters - 1, 2) // 2
    return f"{text[: max(letters - 1, 2) - end]}…{text[-end:]}"


def _entry(layer: Image) -> LegendEntry:
    # The darkest is nearly transparent on the image.
    steps = np.round(255 * layer.colormap.map(_STEPS)[:, :3]).astype(int).tolist()
    colors = tuple(dict.fromkeys(map(hex_color, steps)))
    low, high = map(float, layer.contrast_limits)
    return LegendEntry(layer.name, colors, high, low)


def _set_values(layer: Image, data: NDArray[np.float32], limits: tuple[float, float]) -> None:
    if layer.data.shape == data.shape:
        # A new array would be sliced anew, with thumbnail and histogram: several times slower.
        np.copyto(layer.data, data)
        refresh_pixels(layer)
    else:
        layer.data = data
    if tuple(layer.contrast_limits) != limits:
        layer.contrast_limits_range = layer.contrast_limits = limits


def _limits(values: NDArray[np.float32]) -> tuple[float, float]:
    # Without any evidence there is still a range to show.
    return 0.0, max(float(np.fmax.reduce(values, axis=None)), float(np.finfo(np.float32).tiny))


def _drawn(shown: NamedMap) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Return what a layer holds of a map, and the ends of its colours."""
    values = shown.values()
    return (values, (-1.0, 1.0)) if shown.signed else (with_holes(values), _limits(values))


def _colormap_of(shown: NamedMap) -> Colormap:
    if shown.signed:
        return difference_colormap()
    return heat_colormap() if shown.color is None else concept_colormap(shown.color)


def with_holes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a map with NaN, which napari leaves out, where it holds nothing."""
    holes: NDArray[np.float32] = np.where(values > 0, values, np.float32(np.nan))
    return holes


@lru_cache(maxsize=1)
def heat_colormap() -> Colormap:
    """Return a perceptually uniform map of heat that fades out towards 0."""
    colors = ensure_colormap("inferno").map(np.linspace(0.25, 1.0, 128))
    colors[:, 3] = np.clip(np.linspace(0, 1 / _FADE, 128), 0, 1)
    return Colormap(colors, name="semxai heat")


@lru_cache(maxsize=1)
def difference_colormap() -> Colormap:
    """Return a map from blue over nothing to orange, which colour-blind people tell apart."""
    ends = np.array([[0.0, 0.45, 0.70], [0.90, 0.62, 0.0]])
    share = np.linspace(-1, 1, 129)
    colors = np.column_stack([ends[(share > 0).astype(int)], np.clip(np.abs(share) / _FADE, 0, 1)])
    return Colormap(colors, name="semxai difference")


@lru_cache(maxsize=64)
def concept_colormap(color: tuple[int, int, int]) -> Colormap:
    """Return a map from transparent to a tint of one colour."""
    colors = np.ones((128, 4))
    colors[:, :3] = np.asarray(color) / 255
    colors[:, 3] = np.linspace(0, _TINT, 128)
    return Colormap(colors, name="semxai concept #{:02x}{:02x}{:02x}".format(*color))
