"""The Labels layers that the session itself makes for one image."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_semxai.layers.files import DEFECT, ROLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_semxai.layers.layout import Layout

EXPLANATION = "explanation"
DEFECT_OPACITY = 0.55


class OwnedLayers:
    """One layer for each role, laid over the current image's picture.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    layout : Layout
        Lays them on the picture.
    """

    def __init__(self, viewer: ViewerModel, layout: Layout) -> None:
        self._viewer, self._layout = viewer, layout
        self._layers: dict[str, Labels] = {}
        self._sources: dict[str, object] = {}
        self._spare: Labels | None = None

    def start_image(self, *, mask_over: Image | None = None) -> None:
        """Put away the layers of the previous image.

        Parameters
        ----------
        mask_over : napari.layers.Image, optional
            Where the defect mask lies over this picture, its layer is used again, without its undo
            history: adding and removing a layer takes napari a third of a second.
        """
        layers, self._layers, self._sources = self._layers, {}, {}
        mask, order = layers.get(DEFECT), self._viewer.layers
        over = mask in order and mask_over in order and order.index(mask) > order.index(mask_over)
        self._spare = layers.pop(DEFECT) if over else None
        for layer in layers.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def forget(self, gone: Layer) -> None:
        """Drop a layer that was removed by hand."""
        self._layers = {role: layer for role, layer in self._layers.items() if layer is not gone}
        if self._spare is gone:
            self._spare = None

    def hide(self, role: str) -> bool:
        """Hide the layer of a role; return whether it was to be seen."""
        layer = self._layers.get(role)
        seen = layer is not None and layer.visible
        if layer is not None and seen:
            layer.visible = False
        return seen

    def clear(self, role: str) -> None:
        """Show nothing in the layer of a role, which stays visible.

        Hiding it would make napari lay out all overlays of all layers: many times slower.
        """
        layer = self._layers.get(role)
        if layer is not None and layer.visible and self._sources.pop(role, None) is not None:
            layer.data.fill(0)
            refresh_pixels(layer)

    def is_new(self, role: str, source: object) -> bool:
        """Return whether a visible layer shows something else than `source`, and note it.

        While a slider moves, most motions change neither winner nor candidates.
        """
        shown = self._layers.get(role)
        same = shown is not None and shown.visible and self._sources.get(role) is source
        self._sources[role] = source
        return not same

    def show(
        self, role: str, title: str, palette: tuple[str, ...], values: NDArray[Any]
    ) -> Labels:
        """Show `values` (M, N) in the layer of a role, made where there is none."""
        layer = self._layers.get(role)
        if layer is None:
            return self.add(role, title, palette, values)
        np.copyto(layer.data, values, casting="unsafe")
        if layer.visible:
            refresh_pixels(layer)
        else:
            layer.visible = True
        return layer

    def add(self, role: str, title: str, palette: tuple[str, ...], values: NDArray[Any]) -> Labels:
        """Add a layer for a role; only the defect mask can be painted."""
        if role == DEFECT and self._spare is not None:
            self._layers[role], self._spare = self._spare, None
            return self._use_again(self._layers[role], values)
        layer = Labels(
            values.astype(np.uint8),
            name=title,
            colormap=role_colormap(*palette),
            opacity=DEFECT_OPACITY,
            metadata={ROLE: role},
        )
        self._layout.lay(layer)
        with staying_active(self._viewer):
            self._viewer.add_layer(layer)
        self._layers[role] = layer
        if role != DEFECT:
            layer.editable = False
            self._put_below_mask(layer)
        return layer

    def _use_again(self, layer: Labels, values: NDArray[Any]) -> Labels:
        # Undo must not paste the previous image's pixels: a layer that cannot be edited forgets.
        layer.editable = False
        if layer.data.shape == values.shape:
            # With a new array napari would ask all layers for their size again.
            np.copyto(layer.data, values, casting="unsafe")
            layer.refresh(extent=False)
        else:
            layer.data = values.astype(np.uint8)
        layer.editable = True
        self._layout.lay(layer)
        set_visible(layer, True)
        return layer

    def _put_below_mask(self, layer: Labels) -> None:
        mask = self._layers.get(DEFECT)
        if mask is not None:
            layers = self._viewer.layers
            layers.move(layers.index(layer), layers.index(mask))


@contextmanager
def staying_active(viewer: ViewerModel) -> Iterator[None]:
    """Add layers without taking the tool off the active one.

    napari makes active what is added, and shows its controls, which is a third of what adding
    costs. Without the attribute that is set here, it does so still.
    """
    layers, active = viewer.layers, viewer.layers.selection.active
    layers._activate_on_insert = False
    try:
        yield
    finally:
        layers._activate_on_insert = True
        layers.selection.active = active


def refresh_pixels(layer: Image | Labels) -> None:
    """Show data that were changed in place; size and thumbnail stay as they are."""
    layer.refresh(thumbnail=False, extent=False, highlight=False)


def set_visible(layer: Layer, visible: bool) -> None:
    """Show or hide a layer; napari would draw one anew that is shown already."""
    if layer.visible != visible:
        layer.visible = visible
        if visible:
            # napari measures no layer anew whose data got another size while it was hidden.
            layer._clear_extent()


def role_colormap(*colors: str) -> DirectLabelColormap:
    """Return a label colormap: 0 transparent, 1, 2, … the colours in turn, repeated."""
    table: dict[int | None, str] = {
        value: colors[(value - 1) % len(colors)] for value in range(1, np.iinfo(np.uint8).max + 1)
    }
    return DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", **table})
