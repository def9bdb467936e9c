"""Heat maps, concepts and their masks as layers over the current image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_semxai.controllers.explanation_masks import concept_name
from napari_semxai.layers import colors
from napari_semxai.layers.float_layers import (
    FloatLayers,
    FloatMap,
    concept_colormap,
    heat_colormap,
    tile_place,
)
from napari_semxai.layers.owned_layers import EXPLANATION, ROLE
from napari_semxai.state.explanation import HEAT_MAP, PICTURE
from napari_semxai.types import CAM_METHODS

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_semxai.layers.session_layers import SessionLayers
    from napari_semxai.state.explanation import ExplanationMasks, FitImage, MaskSettings
    from napari_semxai.state.session import Session
    from napari_semxai.types import Heatmap, SemImage

HEAT_MASK, PICTURE_MASK, CONCEPT_MASKS = "heat map mask", "picture mask", "concept masks"
_TITLES = {method.name: method.title for method in CAM_METHODS}


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
        Every heat map on a copy of the image of its own.
    color_bars : bool
        A colour bar with real values for each map.
    """

    visible: bool = True
    masks: bool = True
    side_by_side: bool = False
    color_bars: bool = True


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
        self._floats = FloatLayers(viewer)
        self._copies: list[Image] = []
        self._heat = heat_colormap()
        self.look = Look()
        events = session.explanation.events
        self._connections = (
            (layers.mask_layer_changed, self._on_image_layer_changed),
            (session.events.pixel_size, self._on_pixel_size_changed),
            (events.heatmaps, self._show_heatmaps),
            (events.concepts, self._show_concepts),
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

    def set_look(self, look: Look) -> None:
        """Choose what is on show."""
        spread, self.look = look.side_by_side != self.look.side_by_side, look
        self._show_heatmaps()
        self._show_concepts()
        self._show_masks()
        self._floats.set_color_bars(look.color_bars)
        if spread:
            self._viewer.reset_view()
        self.look_changed.emit(look)

    def toggle(self) -> None:
        """Show or hide all explanations."""
        self.set_look(replace(self.look, visible=not self.look.visible))

    def _on_image_layer_changed(self) -> None:
        self._remove_copies()
        self._floats.begin(self._layers.image_layer)
        self._on_focus_changed()

    def _on_pixel_size_changed(self) -> None:
        self._floats.place()
        self._show_heatmaps()

    def _show_heatmaps(self) -> None:
        shown = self._heatmaps_on_show()
        tiles = _tiles(len(shown))
        self._lay_copies(tiles[1:])
        for number, (heatmap, tile) in enumerate(zip(shown, tiles, strict=True)):
            values = heatmap.values * np.float32(heatmap.raw_maximum)
            found = FloatMap(heat_title(heatmap), heatmap, values, self._heat)
            self._floats.show(_heat_role(number), found, tile)
        wanted = {_heat_role(number) for number in range(len(shown))}
        self._hide_others(HEAT_MAP, wanted)

    def _heatmaps_on_show(self) -> list[Heatmap]:
        heatmaps = self._explanation.heatmaps
        if not self.look.visible or self._layers.image_layer is None:
            return []
        active = [] if heatmaps.active is None else [heatmaps.active]
        if not self.look.side_by_side:
            return active
        return active + [found for found in heatmaps.all if found is not heatmaps.active]

    def _on_mask_settings_changed(self, new: MaskSettings, old: MaskSettings) -> None:
        if new.concepts != old.concepts:
            self._show_concepts()

    def _show_concepts(self) -> None:
        concepts = self._explanation.concepts
        wanted = set()
        if concepts is not None and self.look.visible and self._layers.image_layer is not None:
            chosen = self._explanation.mask_settings.concepts
            # The most important one lies on top.
            for number in sorted(chosen & set(range(len(concepts.maps))), reverse=True):
                name, color = concept_name(number), tuple(concepts.colors[number].tolist())
                wanted.add(name)
                colormap = concept_colormap(color)
                values = concepts.maps[number]
                self._floats.show(name, FloatMap(name, concepts, values, colormap, number + 1))
        self._hide_others("concept", wanted)

    def _hide_others(self, kind: str, wanted: set[str]) -> None:
        for role in self._floats.roles:
            if not role.startswith(kind) or role in wanted:
                continue
            # What stands beside the image goes away with its tile.
            if self.look.visible and not role.startswith(f"{HEAT_MAP} "):
                self._floats.clear(role)
            else:
                self._floats.hide(role)

    def _show_masks(self) -> None:
        found, look = self._explanation.masks, self.look
        owned = self._layers.owned
        if self._layers.image_layer is None:
            return
        shown = found.masks if look.visible and look.masks else {}
        for role, name, color in (
            (HEAT_MASK, HEAT_MAP, colors.HEAT),
            (PICTURE_MASK, PICTURE, colors.PICTURE),
        ):
            if name not in shown:
                owned.hide(role)
            elif owned.is_new(role, shown[name]):
                owned.show(role, role, (color,), shown[name])
        if found.labels is None or not shown:
            owned.hide(CONCEPT_MASKS)
        elif owned.is_new(CONCEPT_MASKS, found.labels):
            self._show_labels(found)

    def _show_labels(self, found: ExplanationMasks) -> None:
        concepts = self._explanation.concepts
        if concepts is None or found.labels is None:
            return
        palette = tuple("#{:02x}{:02x}{:02x}".format(*color) for color in concepts.colors.tolist())
        layer = self._layers.owned.show(CONCEPT_MASKS, CONCEPT_MASKS, palette, found.labels)
        if layer.metadata.get("palette") != palette:
            layer.metadata["palette"] = palette
            layer.colormap = colors.role_colormap(*palette)

    def _lay_copies(self, tiles: list[tuple[int, int]]) -> None:
        """Show the image itself under each heat map that stands beside it."""
        picture = self._layers.image_layer
        for layer in self._copies[len(tiles) :]:
            self._viewer.layers.remove(layer)
        if picture is None:
            return
        for number, tile in enumerate(tiles):
            if number >= len(self._copies):
                self._copies.append(self._add_copy(picture, number))
            for name, value in tile_place(picture, tile).items():
                setattr(self._copies[number], name, value)

    def _add_copy(self, picture: Image, number: int) -> Image:
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
        self._viewer.layers.insert(self._viewer.layers.index(picture) + 1, layer)
        self._viewer.layers.selection.active = active
        return layer

    def _remove_copies(self) -> None:
        for layer in list(self._copies):
            self._viewer.layers.remove(layer)

    def _on_focus_changed(self) -> None:
        focus, picture = self._explanation.focus, self._layers.image_layer
        image = self._session.image
        if focus is None or picture is None or not _is_of(image, focus.image):
            return
        self._viewer.reset_view()
        row0, column0, row1, column1 = focus.box
        centre = np.array([(row0 + row1 - 1) / 2, (column0 + column1 - 1) / 2])
        world = np.asarray(picture.translate[-2:]) + np.asarray(picture.scale[-2:]) * centre
        camera = self._viewer.scene.camera
        camera.center = (*camera.center[:-2], *world)
        camera.zoom *= 2
        self._explanation.focus = None

    def _on_layer_removed(self, event: Any) -> None:
        self._floats.forget(event.value)
        self._copies = [layer for layer in self._copies if layer is not event.value]


def heat_title(heatmap: Heatmap) -> str:
    """Return what a heat map is called: its method and its class."""
    inside = ", inside the mask" if heatmap.inside_mask else ""
    return f"{_TITLES.get(heatmap.method, heatmap.method)}: {heatmap.class_name}{inside}"


def _heat_role(number: int) -> str:
    return HEAT_MAP if number == 0 else f"{HEAT_MAP} {number + 1}"


def _tiles(number: int) -> list[tuple[int, int]]:
    """Return rows and columns of a nearly square grid."""
    columns = max(1, math.ceil(math.sqrt(number)))
    return [divmod(place, columns) for place in range(number)]


def _is_of(image: SemImage | None, wanted: FitImage) -> bool:
    if isinstance(wanted, Path):
        return image is not None and image.path == wanted
    return image is wanted
