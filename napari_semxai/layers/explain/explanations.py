"""Heat maps, concepts and their masks as layers over the current image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal
from superqt.utils import qdebounced

from napari_semxai.controllers.explain.heatmaps import heat_names
from napari_semxai.controllers.explain.masks import concept_name
from napari_semxai.controllers.project.image_opener import is_same_file
from napari_semxai.layers.explain.arrangement import Arrangement, ImageCopies, arrange
from napari_semxai.layers.explain.float_layers import (
    FloatLayers,
    FloatMap,
    concept_colormap,
    heat_colormap,
)
from napari_semxai.layers.explain.masks import ExplanationMaskLayers
from napari_semxai.state.explanation import HEAT_MAP

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_semxai.layers.explain.arrangement import Tile
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.explanation import FitImage, MaskSettings
    from napari_semxai.state.session import Session
    from napari_semxai.types import Heatmap, SemImage


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
        self._floats = FloatLayers(viewer, layers.layout)
        self._masks = ExplanationMaskLayers(layers, session.explanation)
        self._copies = ImageCopies(viewer, session, layers.layout)
        self._heat = heat_colormap()
        self.look = Look()
        self._concepts_soon = qdebounced(self.show_concepts, timeout=0)
        events = session.explanation.events
        self._connections = (
            (layers.mask_layer_changed, self._on_image_layer_changed),
            (events.heatmaps, self._on_heatmaps_changed),
            (events.concepts, self._on_concepts_changed),
            (events.alone, self._show),
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
        self._concepts_soon.cancel()
        self._floats.release()

    def set_look(self, look: Look) -> None:
        """Choose what is on show."""
        spread, self.look = look.side_by_side != self.look.side_by_side, look
        self._show()
        self._floats.set_color_bars(look.color_bars)
        if spread:
            self._viewer.reset_view()
        self.look_changed.emit(look)

    def show_concepts(self) -> None:
        """Show the session's concepts, and what makes place for them."""
        self._show_concepts()
        if self._interlocked:
            self._show_heatmaps()

    def toggle(self) -> None:
        """Show or hide all explanations."""
        self.set_look(replace(self.look, visible=not self.look.visible))

    def _on_image_layer_changed(self) -> None:
        self._copies.remove()
        self._floats.begin(self._layers.image_layer)
        self._on_focus_changed()

    def _on_heatmaps_changed(self) -> None:
        self._show_heatmaps()
        if self._interlocked:
            self._show_concepts()

    def _on_concepts_changed(self) -> None:
        # A turn of the event loop after the heat map: together they are too many layers for one.
        self._concepts_soon()

    def _on_mask_settings_changed(self, new: MaskSettings, old: MaskSettings) -> None:
        if new.concepts != old.concepts:
            self._show_concepts()

    @property
    def _interlocked(self) -> bool:
        """Whether heat maps and concepts make place for each other."""
        return self.look.side_by_side or self._explanation.alone != ""

    def _arranged(self) -> Arrangement:
        if not self.look.visible or self._layers.image_layer is None:
            return Arrangement()
        return arrange(self._explanation, side_by_side=self.look.side_by_side)

    def _show(self) -> None:
        self._show_heatmaps()
        self._show_concepts()
        self._show_masks()

    def _show_heatmaps(self) -> None:
        arranged, wanted = self._arranged(), set()
        self._copies.lay(self._layers.image_layer, arranged.copies)
        names = heat_names(self._explanation.heatmaps.all, with_class=True)
        for number, (heatmap, tile) in enumerate(arranged.heatmaps):
            role = HEAT_MAP if number == 0 else f"{HEAT_MAP} {number + 1}"
            wanted.add(role)
            found = FloatMap(
                names[heatmap],
                heatmap,
                heat_values(heatmap),
                self._heat,
                classifier=heatmap.sha256,
            )
            self._floats.show(role, found, tile)
        self._hide_others(HEAT_MAP, wanted)

    def _show_concepts(self) -> None:
        concepts, tile = self._explanation.concepts, self._arranged().concepts
        wanted = set()
        if concepts is not None and tile is not None:
            chosen = self._explanation.mask_settings.concepts
            # The most important one lies on top.
            for number in sorted(chosen & set(range(len(concepts.maps))), reverse=True):
                name, color = concept_name(number), tuple(concepts.colors[number].tolist())
                wanted.add(name)
                found = FloatMap(
                    name,
                    concepts,
                    concepts.maps[number],
                    concept_colormap(color),
                    number + 1,
                    concepts.sha256,
                )
                self._floats.show(name, found, tile)
        self._hide_others("concept", wanted, tile or (0, 0))

    def _hide_others(self, kind: str, wanted: set[str], tile: Tile = (0, 0)) -> None:
        for role in self._floats.roles:
            if not role.startswith(kind) or role in wanted:
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
        self._masks.forget(event.value)


def heat_values(heatmap: Heatmap) -> NDArray[np.float32]:
    """Return a map in the unit of its method, shape (M, N).

    A mean over several layers, each scaled to its own range first, has no unit: from 0 to 1.
    """
    unit = heatmap.raw_maximum if len(heatmap.layers) < 2 else 1.0
    return heatmap.values * np.float32(unit)


def _is_of(image: SemImage | None, wanted: FitImage) -> bool:
    if image is None or image is wanted:
        return image is not None
    # A project reads an image of its own again.
    path, page = (wanted, 0) if isinstance(wanted, Path) else (wanted.path, wanted.page)
    if image.path is None or path is None:
        return False
    return image.page == page and is_same_file(image.path, path)
