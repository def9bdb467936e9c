"""Tools that take the mouse on the canvas: SAM clicks and boxes, and a line that is measured."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_semxai.layers.owned_layers import staying_active
from napari_semxai.state.review import ClickState
from napari_semxai.types import colors

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_semxai.controllers.edit.clicks import ClickController
    from napari_semxai.controllers.edit.preview import ClickPreview
    from napari_semxai.layers.layout import Layout
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.review import Clicks, Offer
    from napari_semxai.state.session import Session


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
        for layer in (self._points, self._box):
            self._layout.lay(layer)
            with staying_active(self._viewer):
                _put_over(self._viewer, layer, mask)
            layer.visible = True
        self._points.current_size = max(3.0, min(mask.data.shape) / 60)
        self._edge_width = max(1.0, min(mask.data.shape) / 250)

    def hide(self) -> None:
        """Show nothing."""
        if "_points" in self.__dict__:
            self._points.visible = self._box.visible = False

    def show_points(
        self, points: tuple[tuple[float, float], ...], foreground: tuple[bool, ...]
    ) -> None:
        """Show clicks (row, column): green on the object, orange crosses beside it."""
        # In napari the middle of pixel (0, 0) lies at 0, in prompts its corner does.
        self._points.data = np.array(points).reshape(-1, 2) - 0.5
        if points:
            self._points.face_color = [
                colors.FOREGROUND_CLICK if each else colors.BACKGROUND_CLICK for each in foreground
            ]
            self._points.symbol = ["disc" if each else "cross" for each in foreground]

    def show_box(self, box: tuple[float, float, float, float] | None) -> None:
        """Show a box (row0, column0, row1, column1), or none."""
        if len(self._box.data):
            # Of an empty layer, too, it would take as long as the network's answer.
            self._box.data = []
        if box is not None:
            self._box.add_rectangles(
                [np.array(box).reshape(2, 2) - 0.5],
                face_color="transparent",
                edge_color=colors.FOREGROUND_CLICK,
                edge_width=self._edge_width,
            )


DRAG_PIXELS = 5
"""Screen pixels from which a click is a box."""
REST_MILLISECONDS = 80
"""How long the pointer rests before a click there is previewed."""
_LEVEL = 0.1


class ClickTool:
    """Hand clicks on the defect mask to `clicks`, and show the prompts and what is offered.

    A click is foreground, with Shift or the right button background, a drag is a box.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the prompts are shown.
    session : Session
        Knows whether the tool is active.
    layers : SessionLayers
        Knows the defect mask.
    clicks : ClickController
        Told about clicks and boxes.
    preview : ClickPreview
        Told where the pointer rests.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        layers: SessionLayers,
        clicks: ClickController,
        preview: ClickPreview,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._layers = layers
        self._clicks, self._preview = clicks, preview
        self._pointer: tuple[float, ...] = ()
        self._rest = QTimer(singleShot=True, interval=REST_MILLISECONDS)
        self._rest.timeout.connect(self._on_rest)
        self._marks = PromptLayers(viewer, layers.layout)
        self._mouse = layers.mouse
        self._shown = session.clicks.prompts
        self._connections = (
            (session.events.clicks, self._on_clicks_changed),
            (layers.mask_layer_changed, self._on_mask_layer_changed),
            (layers.mouse.owner_changed, self._on_owner_changed),
            (viewer.events.mouse_over_canvas, self._on_pointer_left),
        )
        for signal, slot in self._connections:
            signal.connect(slot)
        viewer.mouse_drag_callbacks.append(self._on_drag)
        viewer.mouse_move_callbacks.append(self._on_move)

    def release(self) -> None:
        """Listen and show no longer."""
        self._follow(None)
        for signal, slot in self._connections:
            signal.disconnect(slot)
        self._viewer.mouse_drag_callbacks.remove(self._on_drag)
        self._viewer.mouse_move_callbacks.remove(self._on_move)
        self._rest.stop()

    def _on_move(self, _viewer: object, event: Any) -> None:
        if self._session.clicks.active and not event.is_dragging:
            self._pointer = event.position
            self._rest.start()

    def _on_rest(self) -> None:
        layer = self._layers.mask_layer
        if layer is None or not self._session.clicks.active:
            return
        place = self._pixel(layer, self._pointer)
        if self._inside(layer, place):
            self._preview.point(*place)
        else:
            self._preview.end()

    def _on_pointer_left(self) -> None:
        if not self._viewer.mouse_over_canvas:
            self._rest.stop()
            self._preview.end()

    def _on_drag(self, _viewer: object, event: Any) -> Generator[None, None, None]:
        layer = self._layers.mask_layer
        active = self._session.clicks.active and not self._mouse.moving
        if layer is None or not active or event.button not in (1, 2):
            return
        foreground = event.button == 1 and "Shift" not in event.modifiers
        start, pressed = self._pixel(layer, event.position), np.asarray(event.pos)
        image, moved = self._session.image, False
        self._rest.stop()
        yield
        # Of another image this would be a box on that one.
        while event.type == "mouse_move" and image is self._session.image:
            # On the screen, not in the image: a hand trembles the same at any zoom.
            moved = moved or bool(np.abs(np.asarray(event.pos) - pressed).max() > DRAG_PIXELS)
            if moved and event.button == 1:
                self._marks.show_box((*start, *self._pixel(layer, event.position)))
            yield
        if image is not self._session.image:
            return
        if moved and event.button == 1:
            self._clicks.box(*start, *self._pixel(layer, event.position))
        elif not moved and self._inside(layer, start):
            self._clicks.click(*start, foreground=foreground)

    def _pixel(self, layer: Labels, position: tuple[float, ...]) -> tuple[float, float]:
        """Where a click is, in the network's coordinates: pixel (0, 0) spans 0 to 1."""
        row, column = layer.world_to_data(position)[-2:]
        return float(row) + 0.5, float(column) + 0.5

    def _inside(self, layer: Labels, place: tuple[float, float]) -> bool:
        rows, columns = layer.data.shape
        return bool(0 <= place[0] < rows and 0 <= place[1] < columns)

    def _on_clicks_changed(self, clicks: Clicks, before: Clicks) -> None:
        layer = self._layers.mask_layer
        if clicks.active != before.active:
            self._follow(layer if clicks.active else None)
        # While the network answers, drawing marks would only keep its answer waiting.
        if clicks.state != ClickState.ANSWERING and clicks.prompts is not self._shown:
            self._show_prompts()
        if clicks.offer is not before.offer:
            self._show_offer(clicks.offer)

    def _on_mask_layer_changed(self) -> None:
        if self._session.clicks.active:
            self._follow(self._layers.mask_layer)

    def _follow(self, layer: Labels | None) -> None:
        """Take the mouse of a mask layer, until another tool takes it."""
        if layer is None:
            self._mouse.give_back(self)
            self._marks.hide()
            return
        self._marks.begin(layer)
        layer.visible = True
        self._layers.select_mask()
        self._mouse.take(layer, self)

    def _on_owner_changed(self, owner: object) -> None:
        if owner is not self:
            self._clicks.activate(False)

    def _show_offer(self, offer: Offer | None) -> None:
        """Show an answer that is not in the mask, filled: it may reach the image's edges."""
        owned = self._layers.owned
        if offer is None:
            owned.hide("offer")
        else:
            owned.show("offer", "SAM answer, not applied", (colors.PREVIEW,), offer.after)

    def _show_prompts(self) -> None:
        prompts = self._shown = self._session.clicks.prompts
        self._marks.show_points(prompts.points, prompts.foreground)
        self._marks.show_box(prompts.box)


class Ruler:
    """Measures a line that is dragged once over the picture, for example over its scale bar.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the line is drawn.
    layers : SessionLayers
        Knows the layer whose pixels count, and who has its mouse.
    """

    active_changed = Signal(bool)
    measured = Signal(object)
    """Length of the line in pixels; None when it is gone, with its image."""

    def __init__(self, viewer: ViewerModel, layers: SessionLayers) -> None:
        self._viewer, self._layers = viewer, layers
        self._taken: Labels | None = None
        layers.mouse.owner_changed.connect(self._on_owner_changed)
        layers.mask_layer_changed.connect(self._on_mask_layer_changed)
        viewer.mouse_drag_callbacks.append(self._on_drag)

    @cached_property
    def _line(self) -> Shapes:
        return Shapes(ndim=2, name="Ruler", opacity=1.0)

    def release(self) -> None:
        """Listen no longer."""
        self.activate(False)
        self._layers.mouse.owner_changed.disconnect(self._on_owner_changed)
        self._layers.mask_layer_changed.disconnect(self._on_mask_layer_changed)
        self._viewer.mouse_drag_callbacks.remove(self._on_drag)

    def activate(self, wanted: bool) -> None:
        """Take the mouse for one line, or give it back."""
        layer, self._taken = self._layers.mask_layer, None
        if wanted and layer is not None:
            self._begin(layer)
            self._layers.mouse.take(layer, self)
            self._taken = layer
        else:
            self._layers.mouse.give_back(self)
        self.active_changed.emit(self._taken is not None)

    def _on_drag(self, _viewer: object, event: Any) -> Generator[None, None, None]:
        layer = self._taken
        if layer is None or event.button != 1:
            return
        start = np.array(layer.world_to_data(event.position)[-2:])
        yield
        while event.type == "mouse_move":
            self._show(start, _straight(start, layer.world_to_data(event.position)[-2:]))
            yield
        # The release: on a busy machine there is no move to where it is.
        end = _straight(start, layer.world_to_data(event.position)[-2:])
        length = float(np.hypot(*(end - start)))
        # A click is no line.
        if length >= 1 and self._taken is layer:
            self._show(start, end)
            self.activate(False)
            self.measured.emit(length)

    def _begin(self, mask: Labels) -> None:
        """Lay an empty line over the picture; not in a drag: napari's first layer takes long."""
        self._layers.layout.lay(self._line)
        _put_over(self._viewer, self._line, mask)
        self._line.data = []
        self._line.visible = True
        # napari makes what is added the active layer, which then has the mouse.
        self._layers.select_mask()

    def _show(self, *ends: NDArray[np.float64]) -> None:
        self._line.data = []
        width = max(1.0, float(np.hypot(*(ends[1] - ends[0]))) / 50)
        self._line.add_lines([np.stack(ends)], edge_color=colors.PREVIEW, edge_width=width)

    def _on_mask_layer_changed(self) -> None:
        if self._taken is not None:
            self.activate(False)
        if "_line" in self.__dict__:
            self._line.visible = False
        self.measured.emit(None)

    def _on_owner_changed(self, owner: object) -> None:
        if owner is not self and self._taken is not None:
            self.activate(False)


def _put_over(viewer: ViewerModel, marks: Points | Shapes, mask: Labels) -> None:
    """Let marks lie over a mask; those of an earlier image lie below the picture of this one."""
    layers = viewer.layers
    if marks not in layers:
        viewer.add_layer(marks)
        marks.editable = False
    elif layers.index(marks) < layers.index(mask):
        layers.move(layers.index(marks), len(layers))


def _straight(start: NDArray[np.float64], place: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the end of a line, level or upright where a hand has nearly drawn it so."""
    end = np.array(place)
    along = end - start
    across = int(np.abs(along).argmin())
    if abs(along[across]) < _LEVEL * abs(along[1 - across]):
        end[across] = start[across]
    return end
