"""Follow the pixels of a Labels layer, whoever changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_semxai.algorithms.masks.metrics import LiveMask, MaskChange, changed_box

if TYPE_CHECKING:
    import numpy as np
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
    """

    changed = Signal(LiveMask, MaskChange)
    """Any change, with the mask that has taken it."""
    edited = Signal()
    """A change that did not come through `write`."""
    replaced = Signal()
    """The layer got data of another shape, and `live` is new."""

    def __init__(self, layer: Labels) -> None:
        self.layer = layer
        self.live = LiveMask(layer.data)
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
        """Write a mask into the layer, outside its undo history.

        Parameters
        ----------
        mask : ndarray of bool, shape (M, N)
            The new values.
        """
        box = changed_box(self.live.mask, mask)
        if box is None:
            return
        self.layer.data[box] = mask[box]
        # Our own write must not come back as an edit of the person's.
        with self.layer.events.set_data.blocker(self._on_data_set):
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)
        self._take(self.live.update(box, mask[box]))

    def write_undoable(self, mask: BoolMask) -> None:
        """Write a mask into the layer as one edit that undo takes back."""
        box = changed_box(self.live.mask, mask)
        if box is None:
            return
        # Two calls, for added and removed pixels, but one step of napari's undo.
        offset = tuple(side.start for side in box)
        with self.layer.block_history():
            for value, pixels in ((1, mask[box]), (0, ~mask[box])):
                rows, columns = (pixels & (self.live.mask[box] != mask[box])).nonzero()
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
            self.live = LiveMask(self._data)
            self.replaced.emit()
            return
        self._take_edit(self.live.sync(self._data))

    def _take_edit(self, change: MaskChange | None) -> None:
        if change is not None:
            self._take(change)
            self.edited.emit()

    def _take(self, change: MaskChange | None) -> None:
        if change is not None:
            self.changed.emit(self.live, change)

    @property
    def _data(self) -> NDArray[np.uint8]:
        data: NDArray[np.uint8] = self.layer.data
        return data
