"""The masks that are taken from explanations, as layers on the tiles of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.layers.explain.float_layers import CLASSIFIER
from napari_semxai.layers.owned_layers import role_colormap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels, Layer

    from napari_semxai.controllers.explain.sources import MapSource
    from napari_semxai.layers.explain.arrangement import Arrangement
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.explanation import Explanation


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
        self._made[role] = layer = owned.show(role, role, palette, labels)
        layer.metadata[CLASSIFIER] = source.classifier(self._explanation)
        # Setting a colour map draws the layer again: only where the colours are others.
        if layer.metadata.get("palette", palette) != palette:
            layer.colormap = role_colormap(*palette)
        layer.metadata["palette"] = palette
