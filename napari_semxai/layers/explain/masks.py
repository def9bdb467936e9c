"""The masks that are taken from explanations, as layers on the tiles of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.layers.explain.float_layers import CLASSIFIER
from napari_semxai.layers.owned_layers import role_colormap
from napari_semxai.state.explanation import HEAT_MAP, PICTURE
from napari_semxai.types import colors

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

    from napari_semxai.layers.explain.arrangement import Arrangement, Tile
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.explanation import Explanation
    from napari_semxai.types import BoolMask, ConceptMaps

HEAT_MASK, PICTURE_MASK, CONCEPT_MASKS = "heat map mask", "picture mask", "concept masks"


class ExplanationMaskLayers:
    """One Labels layer for the heat map's mask, the picture's, and those of all concepts.

    Parameters
    ----------
    layers : SessionLayers
        Knows the picture of the image, and holds the masks.
    explanation : Explanation
        What is shown.
    """

    def __init__(self, layers: SessionLayers, explanation: Explanation) -> None:
        self._layers, self._explanation = layers, explanation
        self._made: dict[str, Labels] = {}

    def show(self, arranged: Arrangement, *, masks: bool) -> None:
        """Show the masks of what is on show, or none of them."""
        if self._layers.image_layer is None:
            return
        if not masks:
            for role in self._made:
                self._layers.owned.hide(role)
            self.place(arranged)
            return
        found, heatmap = self._explanation.masks, self._explanation.heatmaps.active
        shown = found.masks
        heat = shown.get(HEAT_MAP) if arranged.heatmaps else None
        self._show_one(HEAT_MASK, heat, colors.HEAT, "" if heatmap is None else heatmap.sha256)
        self._show_one(PICTURE_MASK, shown.get(PICTURE), colors.PICTURE, "")
        concepts = self._explanation.concepts
        if concepts is None or found.labels is None or not shown or arranged.concepts is None:
            self._empty(CONCEPT_MASKS)
        elif self._layers.owned.is_new(CONCEPT_MASKS, found.labels):
            self._show_labels(concepts)
        self.place(arranged)

    def place(self, arranged: Arrangement) -> None:
        """Lay each mask over what it was taken from."""
        tiles: dict[str, Tile] = {}
        if arranged.heatmaps:
            tiles[HEAT_MASK] = arranged.heatmaps[0][1]
        if arranged.concepts is not None:
            tiles[CONCEPT_MASKS] = arranged.concepts
        for role, layer in self._made.items():
            self._layers.layout.lay(layer, tiles.get(role, (0, 0)))

    def forget(self, gone: Layer) -> None:
        """Drop a layer that was removed."""
        self._made = {role: layer for role, layer in self._made.items() if layer is not gone}

    def _show_one(self, role: str, mask: BoolMask | None, color: str, classifier: str) -> None:
        owned = self._layers.owned
        if mask is None:
            self._empty(role)
        elif owned.is_new(role, mask):
            self._made[role] = layer = owned.show(role, role, (color,), mask)
            layer.metadata[CLASSIFIER] = classifier

    def _empty(self, role: str) -> None:
        self._layers.owned.clear(role)
        if role in self._made:
            self._made[role].metadata.pop(CLASSIFIER, None)

    def _show_labels(self, concepts: ConceptMaps) -> None:
        labels = self._explanation.masks.labels
        if labels is None:
            return
        palette = tuple("#{:02x}{:02x}{:02x}".format(*color) for color in concepts.colors.tolist())
        layer = self._layers.owned.show(CONCEPT_MASKS, CONCEPT_MASKS, palette, labels)
        self._made[CONCEPT_MASKS] = layer
        layer.metadata[CLASSIFIER] = concepts.sha256
        if layer.metadata.get("palette") != palette:
            layer.metadata["palette"] = palette
            layer.colormap = role_colormap(*palette)
