"""Follow a Labels layer: its pixels, whoever changes them, and the tool that is used on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from napari.components._viewer_mouse_bindings import double_click_to_zoom
from napari.utils.interactions import mouse_release_callbacks
from psygnal import Signal

from napari_semxai.algorithms.masks.metrics import LiveMask, MaskChange, bounding_box, changed_box
from napari_semxai.layers.owned_layers import role_colormap
from napari_semxai.types import IGNORED, colors, mask_labels

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask


class MaskWatch:
    """A live mask that follows one Labels layer, and the only one to write into it.

    napari tells a painted box with ``labels_update``; undo, redo and direct writes only with
    ``set_data``, after which the changed box is looked for.

    Parameters
    ----------
    layer : napari.layers.Labels
        A two-dimensional layer; non-zero is foreground.
    marks : bool
        As in `LiveMask`.
    """

    changed = Signal(LiveMask, MaskChange)
    """Any change, with the mask that has taken it."""
    edited = Signal(MaskChange)
    """A change that did not come through `write`."""
    replaced = Signal()
    """The layer got data of another shape, and `live` is new."""

    def __init__(self, layer: Labels, *, marks: bool = False) -> None:
        self.layer, self._marks = layer, marks
        self.live = LiveMask(layer.data, marks=marks)
        self._connections = (
            (layer.events.labels_update, self._on_box_painted),
            (layer.events.set_data, self._on_data_set),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Follow the layer no longer."""
        for signal, slot in self._connections:
            signal.disconnect(slot)

    def write(self, mask: BoolMask) -> None:
        """Write a mask into the layer, outside its undo history; what is ignored stays.

        Parameters
        ----------
        mask : ndarray of bool, shape (M, N)
            The new values.
        """
        ignored = self.live.ignored
        if ignored is not None:
            mask = mask & ~ignored
        box = changed_box(self.live.mask, mask)
        if box is None:
            return
        values = mask_labels(mask[box], None if ignored is None else ignored[box])
        self.layer.data[box] = values
        # Our own write must not come back as an edit of the person's.
        with self.layer.events.set_data.blocker(self._on_data_set):
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)
        self._take(self.live.update(box, values))

    def write_undoable(self, mask: BoolMask, ignored: BoolMask | None = None) -> None:
        """Write mask and ignored pixels into the layer, as one edit that undo takes back.

        Parameters
        ----------
        mask : ndarray of bool, shape (M, N)
            The new values.
        ignored : ndarray of bool, shape (M, N), optional
            Instead of the pixels that are ignored now.
        """
        before = self.live.labels
        after = mask_labels(mask, self.live.ignored if ignored is None else ignored)
        box = bounding_box(before != after)
        if box is None:
            return
        # Several calls, one for each value, but one step of napari's undo.
        offset = tuple(side.start for side in box)
        with self.layer.block_history():
            for value in (1, 0, IGNORED):
                rows, columns = ((after[box] == value) & (before[box] != value)).nonzero()
                self.layer.data_setitem((rows + offset[0], columns + offset[1]), value)

    def _on_box_painted(self, event: Any) -> None:
        # The event's own data is what is displayed; with contours that is not the mask.
        rows, columns = (
            slice(int(start), int(start) + length)
            for start, length in zip(event.offset, event.data.shape, strict=True)
        )
        self._take_edit(self.live.update((rows, columns), self._data[rows, columns]))

    def _on_data_set(self, event: Any) -> None:
        if self._data.shape != self.live.mask.shape:
            self.live = LiveMask(self._data, marks=self._marks)
            self.replaced.emit()
            return
        self._take_edit(self.live.sync(self._data))

    def _take_edit(self, change: MaskChange | None) -> None:
        if change is not None:
            self._take(change)
            self.edited.emit(change)

    def _take(self, change: MaskChange | None) -> None:
        if change is not None:
            self.changed.emit(self.live, change)

    @property
    def _data(self) -> NDArray[np.uint8]:
        data: NDArray[np.uint8] = self.layer.data
        return data


BRUSH_STEP = 1.2
"""How much larger one press of a key makes the brush."""
_OPACITIES = (0.3, 0.55, 0.8, 1.0)
_OUTLINE = 2
_TINT = "99"
"""Alpha of what is ignored, below the layer's own opacity: the picture is to be seen."""
_USUAL = {"mode": "pan_zoom", "contour": 0, "opacity": _OPACITIES[1]}


class MaskTool:
    """What a person paints the mask with and how it is shown; both stay over images."""

    tint_changed = Signal()
    """What is ignored is shown, or hidden."""

    def __init__(self) -> None:
        self._layer: Labels | None = None
        self._kept: dict[str, Any] = dict(_USUAL)
        self._brush: float | None = None
        self._given = 0.0
        self._label = 1
        self.shown = True
        """Whether what is ignored is to be seen."""

    def take(self, layer: Labels) -> None:
        """Go on with the layer of another mask."""
        self.leave()
        self._layer = layer
        # Until somebody chooses a brush it goes by the image.
        self._given = self._brush or max(3, round(min(layer.data.shape) / 60))
        for name, value in {**self._kept, "brush_size": self._given}.items():
            # napari would draw the layer anew.
            if str(getattr(layer, name)) != str(value):
                setattr(layer, name, value)
        self._on_label_changed()
        layer.events.selected_label.connect(self._on_label_changed)
        layer.events.mode.connect(self._on_mode_changed)

    @property
    def palette(self) -> tuple[str, str]:
        """Colours of the mask and of what is ignored, in a thin tint, or not at all."""
        return colors.DEFECT, f"{colors.IGNORED}{_TINT}" if self.shown else "transparent"

    def mark(self, ignoring: bool) -> None:
        """Mark what is to be ignored from now on, or draw the mask."""
        if ignoring and not self.shown:
            self.toggle_ignored()
        self._label = IGNORED if ignoring else 1
        self._on_label_changed()

    def toggle_ignored(self) -> None:
        """Show what is ignored, or hide it; it counts for nothing either way."""
        self.shown = not self.shown
        if self._layer is not None:
            self._layer.colormap = role_colormap(*self.palette)
        self.tint_changed.emit()

    def leave(self) -> None:
        """End the stroke under way: the button may be down still when the image changes."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        layer.events.selected_label.disconnect(self._on_label_changed)
        layer.events.mode.disconnect(self._on_mode_changed)
        mouse_release_callbacks(layer, SimpleNamespace(type="mouse_release"))
        layer._overlays["polygon"].points = []
        self._kept |= {"contour": layer.contour, "opacity": layer.opacity}
        if layer.brush_size != self._given:
            self._brush = layer.brush_size

    def toggle_outline(self) -> None:
        """Show the mask as an outline, or filled."""
        if self._layer is not None:
            self._layer.contour = 0 if self._layer.contour else _OUTLINE

    def next_opacity(self) -> None:
        """Show the mask more opaque, after that least."""
        if self._layer is not None:
            more = (step for step in _OPACITIES if step > self._layer.opacity + 0.01)
            self._layer.opacity = next(more, _OPACITIES[0])

    def scale_brush(self, factor: float) -> None:
        """Make the brush larger or smaller, by a pixel at least."""
        if self._layer is not None:
            size = round(self._layer.brush_size)
            step = max(1, round(abs(size * factor - size)))
            self._layer.brush_size = max(1, size + (step if factor > 1 else -step))

    def _on_mode_changed(self) -> None:
        self._protect()
        # A hidden layer has no tool, and gets its own back when it is shown.
        if self._layer is not None and self._layer.visible:
            mode = str(self._layer.mode)
            # The next image is not to be dragged away.
            self._kept["mode"] = "pan_zoom" if mode == "transform" else mode

    def _on_label_changed(self) -> None:
        """Keep the brush at the label that is drawn: napari's X and − make it an eraser."""
        if self._layer is not None and self._layer.selected_label != self._label:
            self._layer.selected_label = self._label
        self._protect()

    def _protect(self) -> None:
        """Let a tool change only its own label; what is to be ignored takes the mask's pixels."""
        if self._layer is not None:
            self._layer.preserve_labels = self._label == 1 or self._layer.mode == "erase"


class TakenMouse:
    """The mouse on the mask layer in the hand of one tool: drags move the view no longer.

    One tool has it at a time. It is lost to the next tool, or to one of napari's, and the view
    moves while Space is held.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose double click, which zooms, would come between two quick clicks.
    """

    owner_changed = Signal(object)
    """The tool that has the mouse now; None for napari's own."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None
        self.owner: object = None
        self.moving = False
        """Whether Space is held."""

    def take(self, layer: Labels, owner: object) -> None:
        """Take the mouse on a layer for a tool."""
        self._let_go()
        self._layer, before, self.owner = layer, self.owner, owner
        layer.mode = "pan_zoom"
        layer.mouse_pan = self.moving
        layer.bind_key("Space", self._hold_to_move, overwrite=True)
        layer.events.mode.connect(self._on_mode_changed)
        doubles = self._viewer.mouse_double_click_callbacks
        if double_click_to_zoom in doubles:
            doubles.remove(double_click_to_zoom)
        if before is not owner:
            self.owner_changed.emit(owner)

    def give_back(self, owner: object = None) -> None:
        """Let drags move the view again; not where another tool than `owner` has the mouse."""
        if self.owner is not None and owner in (None, self.owner):
            self._let_go()
            self._viewer.mouse_double_click_callbacks.insert(0, double_click_to_zoom)
            self.owner = None
            self.owner_changed.emit(None)

    def _let_go(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            layer.events.mode.disconnect(self._on_mode_changed)
            layer.bind_key("Space", None)
            layer.mouse_pan = layer.mode == "pan_zoom"

    def _hold_to_move(self, layer: Labels) -> Generator[None, None, None]:
        """Let drags move the view while Space is held, as napari does for its own tools."""
        self.moving = layer.mouse_pan = True
        yield
        self.moving = False
        layer.mouse_pan = layer is not self._layer

    def _on_mode_changed(self) -> None:
        self.give_back()
