"""Polygon and lasso: outlines drawn corner by corner, corrected, then brought into the mask."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from psygnal import Signal
from vispy.scene.visuals import Line, Markers

from napari_semxai.algorithms.masks.click_edits import object_at
from napari_semxai.algorithms.masks.lasso import Outline, edge_path, nearest_edge, straight
from napari_semxai.layers.mask.click_tool import DRAG_PIXELS
from napari_semxai.types import colors

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari._vispy.canvas import VispyCanvas
    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_semxai.algorithms.masks.lasso import Link, Place
    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.session import Session

POLYGON, LASSO = "polygon", "lasso"
_GRAB = 8
"""Screen pixels within which a corner or a line is meant."""
_SNAP = 4
"""Screen pixels by which a corner of a lasso moves to the edge beside it."""
_HELP = (
    "Click corners. Drag one, or a line, to move it; a right click removes a corner. A double "
    "click or Enter brings the outline into the mask, with Shift takes it out. Ctrl and a click "
    "on a defect takes up its outline."
)


class Marks(Protocol):
    """Draws an outline over a layer."""

    def show(self, layer: Labels, path: NDArray[np.float64], corners: NDArray[np.float64]) -> None:
        """Draw a line and corners, both (row, column) in pixels of the layer."""

    def hide(self) -> None:
        """Draw nothing."""


class CanvasMarks:
    """Draws straight into the canvas: a layer of shapes takes 40 ms for each move of the mouse.

    Parameters
    ----------
    canvas : napari._vispy.canvas.VispyCanvas
        Where it is drawn.
    """

    def __init__(self, canvas: VispyCanvas) -> None:
        self._canvas = canvas

    @cached_property
    def _nodes(self) -> tuple[Line, Markers]:
        line = Line(pos=np.zeros((2, 2)), color=colors.PREVIEW, width=2, method="gl")
        corners = Markers(pos=np.zeros((1, 2)))
        for order, node in enumerate((line, corners)):
            # Over all layers.
            node.order = 1_000_000 + order
        return line, corners

    def show(self, layer: Labels, path: NDArray[np.float64], corners: NDArray[np.float64]) -> None:
        """Draw a line and corners, both (row, column) in pixels of the layer."""
        for node, points in zip(self._nodes, (path, corners), strict=True):
            # Beside the layer, in world coordinates: large pictures have textures of fewer pixels.
            node.parent = self._canvas.layer_to_visual[layer].node.parent
            node.visible = len(points) > 1 or (node is self._nodes[1] and len(points) > 0)
            if node.visible:
                drawn = _in_world(layer, points)[:, ::-1].astype(np.float32)
                if node is self._nodes[0]:
                    node.set_data(pos=drawn)
                else:
                    node.set_data(pos=drawn, size=8, face_color="white", edge_color=colors.PREVIEW)

    def hide(self) -> None:
        """Draw nothing."""
        if "_nodes" in self.__dict__:
            for node in self._nodes:
                node.visible, node.parent = False, None


class LassoTool:
    """Outlines on the defect mask, in the hand of a person.

    An outline belongs to its image: whoever comes back in this session finds it unfinished.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose mouse is listened to.
    session : Session
        Knows the image.
    layers : SessionLayers
        Knows the layer of the mask, and who has its mouse.
    edit : EditController
        Takes the mask that an outline makes.
    marks : Marks
        Draws the outline.
    """

    kind_changed = Signal(str)
    """`POLYGON`, `LASSO`, or "" when the tool was put away."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        layers: SessionLayers,
        edit: EditController,
        marks: Marks,
    ) -> None:
        self._viewer, self._session, self._layers = viewer, session, layers
        self._edit, self._marks = edit, marks
        self.kind = ""
        self._outlines: dict[str, Outline] = {}
        self._layer: Labels | None = None
        self._helped = False
        layers.mouse.owner_changed.connect(self._on_owner_changed)
        layers.mask_layer_changed.connect(self._on_mask_layer_changed)
        viewer.mouse_drag_callbacks.append(self._on_drag)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.mouse_double_click_callbacks.append(self._on_double_click)

    def release(self) -> None:
        """Listen and draw no longer."""
        self.activate("")
        self._layers.mouse.owner_changed.disconnect(self._on_owner_changed)
        self._layers.mask_layer_changed.disconnect(self._on_mask_layer_changed)
        self._viewer.mouse_drag_callbacks.remove(self._on_drag)
        self._viewer.mouse_move_callbacks.remove(self._on_move)
        self._viewer.mouse_double_click_callbacks.remove(self._on_double_click)

    @property
    def outline(self) -> Outline:
        """The outline on the current image, perhaps without corners."""
        current = self._session.current
        return self._outlines.setdefault("" if current is None else current.key, Outline())

    def activate(self, kind: str) -> None:
        """Take one of the two tools, or put it away with ""; the outline stays."""
        layer = self._layers.mask_layer
        if kind and layer is None:
            return
        self.kind = kind
        if layer is not None and kind:
            self._follow(layer)
            if not self._helped:
                self._helped = True
                self._session.say(_HELP)
        else:
            self._unfollow()
            self._layers.mouse.give_back(self)
        self.kind_changed.emit(kind)

    def add(self, place: Place) -> None:
        """Put a corner at a place (row, column); a lasso's moves to the edge beside it."""
        if not self.outline.closed:
            self.outline.add(self._snapped(place), self._link)
            self._show()

    def apply(self, *, erase: bool = False) -> None:
        """Bring the outline into the mask as one undoable edit.

        Parameters
        ----------
        erase : bool
            Take its pixels out of the mask instead.
        """
        outline, mask = self.outline, self._edit.drawn
        if mask is None or len(outline.corners) < 3:
            self._session.say("An outline needs three corners")
            return
        result = outline.apply(mask, self._link, erase=erase)
        details = {"corners": [list(corner) for corner in outline.corners], "erase": erase}
        self._edit.draw(result, self.kind or POLYGON, details)
        self.drop()

    def drop(self) -> None:
        """Let the outline go."""
        current = self._session.current
        self._outlines.pop("" if current is None else current.key, None)
        self._show()

    def remove_last(self) -> None:
        """Take the latest corner back."""
        if self.outline.corners and not self.outline.closed:
            self.outline.remove(len(self.outline.corners) - 1, self._link)
            self._show()

    def take_up(self, place: Place) -> None:
        """Go on with the outline of the object at a place (row, column)."""
        mask, (row, column) = self._edit.drawn, map(round, place)
        if mask is None or not (0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]):
            return
        found = object_at(mask, row, column)
        if not found.any():
            self._session.say("There is no defect here whose outline could be corrected")
            return
        current = self._session.current
        self._outlines["" if current is None else current.key] = Outline.around(found)
        self._show()

    @property
    def _link(self) -> Link:
        image = self._session.image
        if self.kind == LASSO and image is not None:
            return partial(edge_path, image.gray)
        return straight

    def _follow(self, layer: Labels) -> None:
        self._unfollow()
        self._layer = layer
        # napari hands keys to the layer that is active.
        layer.visible = True
        self._layers.select_mask()
        self._layers.mouse.take(layer, self)
        for key, action in self._keys().items():
            layer.bind_key(key, action, overwrite=True)
        self._show()

    def _unfollow(self) -> None:
        layer, self._layer = self._layer, None
        self._marks.hide()
        if layer is not None:
            for key in self._keys():
                layer.bind_key(key, None)

    def _keys(self) -> dict[str, Any]:
        return {
            "Enter": lambda _: self.apply(),
            "Shift-Enter": lambda _: self.apply(erase=True),
            "Escape": lambda _: self.drop(),
            "Backspace": lambda _: self.remove_last(),
        }

    def _on_drag(self, _viewer: object, event: Any) -> Generator[None, None, None]:
        layer, image = self._layer, self._session.image
        if layer is None or self._layers.mouse.moving or event.button not in (1, 2):
            return
        outline, place, reach = self.outline, self._place(event), self._pixels(_GRAB)
        corner = outline.corner_at(place, reach)
        if event.button == 2:
            if corner is not None:
                outline.remove(corner, self._link)
                self._show()
            return
        line = None if corner is not None else outline.line_at(place, reach)
        pressed, moved = np.asarray(event.pos), False
        yield
        while event.type == "mouse_move" and image is self._session.image:
            moved = moved or bool(np.abs(np.asarray(event.pos) - pressed).max() > DRAG_PIXELS)
            if moved and line is not None:
                corner, line = outline.insert(line, self._place(event), self._link), None
            if moved and corner is not None:
                outline.move(corner, self._snapped(self._place(event)), self._link)
                self._show()
            yield
        if not moved and image is self._session.image:
            self._click(place, corner, event.modifiers)

    def _click(self, place: Place, corner: int | None, modifiers: Sequence[str]) -> None:
        outline = self.outline
        if "Control" in modifiers:
            self.take_up(place)
        elif corner == 0 and len(outline.corners) > 2 and not outline.closed:
            self.apply(erase="Shift" in modifiers)
        elif corner is None:
            self.add(place)

    def _on_double_click(self, _viewer: object, event: Any) -> None:
        # Its first click has set the last corner.
        if self._layer is not None and len(self.outline.corners) > 2:
            self.apply(erase="Shift" in event.modifiers)

    def _on_move(self, _viewer: object, event: Any) -> None:
        if self._layer is not None and not event.is_dragging:
            self._show(self._place(event))

    def _place(self, event: Any) -> Place:
        if self._layer is None:
            raise RuntimeError("the mouse was followed without a mask")
        row, column = self._layer.world_to_data(event.position)[-2:]
        return float(row), float(column)

    def _pixels(self, on_screen: float) -> float:
        """Return how many pixels of the picture so many of the screen are."""
        scale = 1.0 if self._layer is None else float(self._layer.scale[-1])
        return on_screen / (float(self._viewer.scene.camera.zoom) * scale)

    def _snapped(self, place: Place) -> Place:
        image = self._session.image
        if self.kind != LASSO or image is None:
            return place
        return nearest_edge(image.gray, place, max(1, round(self._pixels(_SNAP))))

    def _show(self, pointer: Place | None = None) -> None:
        """Draw the outline, and what a click at the pointer would add."""
        if self._layer is None:
            return
        outline = self.outline
        path = outline.path()
        if pointer is not None and outline.corners and not outline.closed:
            path = np.concatenate([path, self._link(outline.corners[-1], pointer)])
        self._marks.show(self._layer, path, np.array(outline.corners).reshape(-1, 2))

    def _on_owner_changed(self, owner: object) -> None:
        if owner is not self and self.kind:
            self.activate("")

    def _on_mask_layer_changed(self) -> None:
        layer = self._layers.mask_layer
        if self.kind and layer is not None:
            self._follow(layer)
        elif self.kind:
            self.activate("")


def _in_world(layer: Labels, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where pixels of a layer lie in the world; the layer is placed without shear."""
    origin, one = (np.array(layer.data_to_world(place)) for place in ((0, 0), (1, 1)))
    placed: NDArray[np.float64] = points * (one - origin) + origin
    return placed
