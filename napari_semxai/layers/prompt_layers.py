"""Clicks and boxes as layers over the picture."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points, Shapes

from napari_semxai.types import colors

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_semxai.layers.layout import Layout


class PromptLayers:
    """One layer of clicks and one with a box, kept over the images: napari adds layers slowly.

    They are made when the tool is taken first: napari's first layer brings in pandas.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    layout : Layout
        Lays them on the picture.
    """

    def __init__(self, viewer: ViewerModel, layout: Layout) -> None:
        self._viewer, self._layout = viewer, layout
        self._edge_width = 1.0

    @cached_property
    def _points(self) -> Points:
        return Points(
            ndim=2, name="SAM clicks", border_color="white", opacity=1.0, blending="translucent"
        )

    @cached_property
    def _box(self) -> Shapes:
        return Shapes(ndim=2, name="SAM box", opacity=1.0)

    def begin(self, mask: Labels) -> None:
        """Lay the layers over a mask and show them, empty."""
        active = self._viewer.layers.selection.active
        for layer in (self._points, self._box):
            self._layout.lay(layer)
            if layer not in self._viewer.layers:
                self._viewer.add_layer(layer)
                layer.editable = False
            layer.visible = True
        self._points.current_size = max(3.0, min(mask.data.shape) / 60)
        self._edge_width = max(1.0, min(mask.data.shape) / 250)
        self._viewer.layers.selection.active = active

    def hide(self) -> None:
        """Show nothing."""
        self._points.visible = self._box.visible = False

    def show_points(
        self, points: tuple[tuple[float, float], ...], foreground: tuple[bool, ...]
    ) -> None:
        """Show clicks (row, column): green on the object, orange crosses beside it."""
        self._points.data = np.array(points).reshape(-1, 2) - 0.5
        if points:
            self._points.face_color = [
                colors.FOREGROUND_CLICK if each else colors.BACKGROUND_CLICK for each in foreground
            ]
            self._points.symbol = ["disc" if each else "cross" for each in foreground]

    def show_box(self, box: tuple[float, float, float, float] | None) -> None:
        """Show a box (row0, column0, row1, column1), or none."""
        self._box.data = []
        if box is not None:
            self._box.add_rectangles(
                [np.array(box).reshape(2, 2) - 0.5],
                face_color="transparent",
                edge_color=colors.FOREGROUND_CLICK,
                edge_width=self._edge_width,
            )
