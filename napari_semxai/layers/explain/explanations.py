"""Heat maps, concepts and their masks as layers: which are on show, and where each lies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from psygnal import Signal
from superqt.utils import qdebounced

from napari_semxai.controllers.explain.explain import make_sources
from napari_semxai.controllers.explain.sources import NamedMap
from napari_semxai.controllers.project.images import is_page
from napari_semxai.layers.explain.float_layers import CLASSIFIER, FloatLayers, TileTitles
from napari_semxai.layers.files import ROLE
from napari_semxai.layers.owned_layers import EXPLANATION, role_colormap, staying_active
from napari_semxai.layers.placement import Tile
from napari_semxai.state.explanation import HEAT_MAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels, Layer

    from napari_semxai.controllers.explain.sources import MapSource
    from napari_semxai.layers.explain.float_layers import LegendEntry
    from napari_semxai.layers.layout import Layout
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.explanation import Explanation, ExplanationMaskSettings, FitImage
    from napari_semxai.state.session import Session
    from napari_semxai.types import SemImage

_MASK_OPACITY = 0.3


@dataclass(frozen=True, slots=True)
class Look:
    """What of the explanations is on show.

    Attributes
    ----------
    visible : bool
        Anything at all.
    masks : bool
        The extracted masks.
    side_by_side : bool
        Every heat map, and the concepts, on a copy of the image of its own.
    """

    visible: bool = True
    masks: bool = True
    side_by_side: bool = False


class ExplanationLayers:
    """Show the session's explanations in a viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    session : Session
        What they show.
    layers : SessionLayers
        Knows the picture of the image, and holds the masks.
    """

    look_changed = Signal(Look)
    """What is on show is another choice."""

    def __init__(self, viewer: ViewerModel, session: Session, layers: SessionLayers) -> None:
        self._viewer, self._layers = viewer, layers
        self._session, self._explanation = session, session.explanation
        self._floats = FloatLayers(viewer, layers.layout, layers.references)
        self.legend_changed = self._floats.legend_changed
        self._sources = make_sources()
        self._masks = ExplanationMaskLayers(layers, session.explanation, self._sources)
        self._copies = ImageCopies(viewer, session, layers.layout)
        self._titles = TileTitles(viewer, layers.layout)
        self.look = Look()
        # Deferred by one event-loop turn: with the heat map they are too many layers for one.
        self._others_soon = qdebounced(self.show_others, timeout=0)
        others = (source.field for source in self._sources if source.family != HEAT_MAP)
        events = session.explanation.events
        self._connections = (
            (layers.mask_layer_changed, self._on_image_layer_changed),
            (events.heatmaps, self._on_heatmaps_changed),
            *((getattr(events, name), self._on_others_changed) for name in others),
            # Concepts have the names of their bank.
            (events.bank, self._on_others_changed),
            (events.alone, self._show),
            (events.compare, self._show),
            (events.mask_settings, self._on_mask_settings_changed),
            (events.masks, self._show_masks),
            (events.focus, self._on_focus_changed),
            (viewer.layers.events.removed, self._on_layer_removed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Show the session no longer; the layers stay."""
        for signal, slot in self._connections:
            signal.disconnect(slot)
        self._others_soon.cancel()
        self._floats.release()
        self._titles.release()

    @property
    def legend(self) -> tuple[LegendEntry, ...]:
        """Each map on show, as `legend_changed` has told last."""
        return self._floats.legend

    def set_look(self, look: Look) -> None:
        """Choose what is on show."""
        spread, self.look = look.side_by_side != self.look.side_by_side, look
        self._show()
        if spread:
            self._viewer.reset_view()
        self.look_changed.emit(look)

    def show_others(self) -> None:
        """Show concepts and all that is no heat map, and what makes place for them."""
        self._show_maps(heat=self._interlocked, others=True)

    def toggle(self) -> None:
        """Show or hide all explanations."""
        self.set_look(replace(self.look, visible=not self.look.visible))

    def _on_image_layer_changed(self) -> None:
        self._copies.remove()
        self._floats.begin(self._layers.image_layer)
        self._on_focus_changed()

    def _on_heatmaps_changed(self) -> None:
        self._show_maps(heat=True, others=self._interlocked)

    def _on_others_changed(self) -> None:
        self._others_soon()

    def _on_mask_settings_changed(
        self, new: ExplanationMaskSettings, old: ExplanationMaskSettings
    ) -> None:
        if new.concepts != old.concepts:
            self._show_maps(heat=False, others=True)

    @property
    def _interlocked(self) -> bool:
        """Whether heat maps and concepts make place for each other."""
        return self.look.side_by_side or self._explanation.alone != ""

    def _arranged(self) -> Arrangement:
        if not self.look.visible or self._layers.image_layer is None:
            return Arrangement()
        return arrange(self._sources, self._explanation, side_by_side=self.look.side_by_side)

    def _show(self) -> None:
        self._show_maps(heat=True, others=True)
        self._show_masks()

    def _show_maps(self, *, heat: bool, others: bool) -> None:
        """Show the heat maps, or those of all other families, and hide what is not on show."""
        arranged = self._arranged()
        self._titles.show(arranged.maps)
        # After the titles: the view is fitted to all.
        self._copies.lay(self._layers.image_layer, arranged.copies)
        for source in self._sources:
            if not (heat if source.family == HEAT_MAP else others):
                continue
            maps = arranged.maps.get(source.family, ())
            for shown, tile in maps:
                self._floats.show(shown, tile)
            tile = arranged.tiles.get(source.family, (0, 0))
            self._hide_others(source, {shown.role for shown, _ in maps}, tile)

    def _hide_others(self, source: MapSource, wanted: set[str], tile: Tile) -> None:
        for role in self._floats.roles:
            if not source.owns(role) or role in wanted:
                continue
            # What stands beside the image goes away with its tile.
            if self.look.visible and not role.startswith(f"{HEAT_MAP} "):
                self._floats.clear(role, tile)
            else:
                self._floats.hide(role)

    def _show_masks(self) -> None:
        self._masks.show(self._arranged(), masks=self.look.visible and self.look.masks)

    def _on_focus_changed(self) -> None:
        focus, picture = self._explanation.focus, self._layers.image_layer
        image = self._session.image
        if focus is None or picture is None or not _is_of(image, focus.image):
            return
        self._viewer.reset_view()
        row0, column0, row1, column1 = focus.box
        centre = np.array([(row0 + row1 - 1) / 2, (column0 + column1 - 1) / 2])
        world = self._layers.layout.placement.world(centre)
        camera = self._viewer.scene.camera
        camera.center = (*camera.center[:-2], *world)
        camera.zoom *= 2
        self._explanation.focus = None

    def _on_layer_removed(self, event: Any) -> None:
        self._floats.forget(event.value)
        self._copies.forget(event.value)
        self._titles.forget(event.value)
        self._masks.forget(event.value)


def _is_of(image: SemImage | None, wanted: FitImage) -> bool:
    # A project reads an image of its own again.
    return image is not None and (image is wanted or is_page(wanted, image.path, image.page))


class ExplanationMaskLayers:
    """One Labels layer for the masks of each family.

    Parameters
    ----------
    layers : SessionLayers
        Knows the picture of the image, and holds the masks.
    explanation : Explanation
        What is shown.
    sources : sequence of MapSource
        The families.
    """

    def __init__(
        self, layers: SessionLayers, explanation: Explanation, sources: Sequence[MapSource]
    ) -> None:
        self._layers, self._explanation, self._sources = layers, explanation, sources
        self._made: dict[str, Labels] = {}

    def show(self, arranged: Arrangement, *, masks: bool) -> None:
        """Show the masks of what is on show, or none of them."""
        if self._layers.image_layer is None:
            return
        if not masks:
            for role in self._made:
                self._layers.owned.hide(role)
        else:
            for source in self._sources:
                self._show_one(source, arranged)
        self.place(arranged)

    def place(self, arranged: Arrangement) -> None:
        """Lay each mask over what it was taken from."""
        tiles = {s.mask_title: arranged.tiles.get(s.family, (0, 0)) for s in self._sources}
        for role, layer in self._made.items():
            self._layers.layout.lay(layer, tiles[role])

    def forget(self, gone: Layer) -> None:
        """Drop a layer that was removed."""
        self._made = {role: layer for role, layer in self._made.items() if layer is not gone}

    def _show_one(self, source: MapSource, arranged: Arrangement) -> None:
        owned, role = self._layers.owned, source.mask_title
        labels = self._explanation.masks.labels.get(source.family)
        if labels is None or (source.has_layers and source.family not in arranged.tiles):
            owned.clear(role)
            if role in self._made:
                self._made[role].metadata.pop(CLASSIFIER, None)
            return
        if not owned.is_new(role, labels):
            return
        palette = source.palette(self._explanation)
        layer = owned.show(role, role, palette, labels)
        if self._made.get(role) is not layer:
            # Over the tint of its map a mask as opaque as the defect's would hide the picture.
            self._made[role], layer.opacity = layer, _MASK_OPACITY
        layer.metadata[CLASSIFIER] = source.classifier(self._explanation)
        # Setting a colour map draws the layer again: only where the colours are others.
        if layer.metadata.get("palette", palette) != palette:
            layer.colormap = role_colormap(*palette)
        layer.metadata["palette"] = palette


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
        self._layout.keep_fitted()

    def remove(self) -> None:
        """Show no copy any more."""
        for layer in list(self._layers):
            self._viewer.layers.remove(layer)

    def forget(self, gone: Layer) -> None:
        """Drop a layer that was removed."""
        self._layers = [layer for layer in self._layers if layer is not gone]

    def _add(self, picture: Image, number: int, tile: Tile) -> Image:
        pixels = self._session.image.pixels if self._session.image is not None else picture.data
        layer = Image(
            pixels,
            name=f"image, copy {number + 1}",
            rgb=picture.rgb,
            metadata={ROLE: EXPLANATION},
            colormap=None if picture.rgb else picture.colormap,
            contrast_limits=None if picture.rgb else picture.contrast_limits,
        )
        self._layout.lay(layer, tile)
        # Below the picture, over which all explanations lie.
        with staying_active(self._viewer):
            self._viewer.layers.insert(self._viewer.layers.index(picture), layer)
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
        shown = {name: stack[:1] for name, stack in groups.items() if not alone or name == alone}
        laid = {name: [((0, 0), maps) for maps in stack if maps] for name, stack in shown.items()}
        return _arranged(laid, ())
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
        name: tuple((one, tile) for tile, group in stack for one in group)
        for name, stack in laid.items()
    }
    return Arrangement(maps, {name: stack[0][0] for name, stack in laid.items() if stack}, copies)


def _grid(number: int) -> list[Tile]:
    """Return rows and columns of a nearly square grid."""
    columns = max(1, math.ceil(math.sqrt(number)))
    return [divmod(place, columns) for place in range(number)]
