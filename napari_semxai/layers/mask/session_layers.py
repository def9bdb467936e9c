"""The layers of one session: image, defect mask and automatic mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_semxai.layers.files import DEFECT, ROLE, SAY
from napari_semxai.layers.layout import Layout
from napari_semxai.layers.mask.mask_watch import MaskTool, MaskWatch, TakenMouse
from napari_semxai.layers.mask.step_layers import IgnoredLayer, ReferenceLayers, StepLayers
from napari_semxai.layers.owned_layers import OwnedLayers, set_visible
from napari_semxai.types import colors, mask_labels

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.state.review import OtherMasks
    from napari_semxai.state.session import Automatic, LoadedTruth, Proposal, Session
    from napari_semxai.types import SemImage


@dataclass(frozen=True, slots=True)
class Plane:
    """One two-dimensional picture of an Image layer.

    Attributes
    ----------
    layer : napari.layers.Image
        The layer.
    index : tuple of int
        Steps along the leading axes; empty for a two-dimensional layer.
    """

    layer: Image
    index: tuple[int, ...] = ()

    @property
    def page(self) -> int:
        """Page within the layer's file: files hold the last leading axis fastest."""
        leading = self.pyramid_base.shape[: len(self.index)]
        return int(np.ravel_multi_index(self.index, leading)) if self.index else 0

    def turned(self, step: int) -> tuple[int, ...]:
        """Return the index of the plane `step` pages on."""
        leading = self.pyramid_base.shape[: len(self.index)]
        return tuple(map(int, np.unravel_index(self.page + step, leading)))

    @property
    def pixels(self) -> NDArray[Any]:
        """The values, shape (M, N), (M, N, 3) or (M, N, 4)."""
        return np.asarray(self.pyramid_base[self.index])

    @property
    def pyramid_base(self) -> Any:
        """All of the layer's data, in full resolution."""
        return self.layer.data[0] if self.layer.multiscale else self.layer.data


class Planes:
    """Remember which plane of which layer shows an image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers are.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._images: list[tuple[Plane, SemImage]] = []
        self._added: WeakSet[Image] = WeakSet()
        self._queue: dict[bool, Image] = {}
        """The layers that show a queue in turn: one for grey pictures, one for colour."""

    def adopt(self, plane: Plane, image: SemImage) -> None:
        """Use a plane of a layer as the picture of `image` instead of adding a layer."""
        self._images = [(known, value) for known, value in self._images if known != plane]
        self._images.append((plane, image))

    def forget(self, layer: object) -> None:
        """Drop a layer that was removed."""
        self._images = [known for known in self._images if known[0].layer is not layer]

    def image_of(self, plane: Plane) -> SemImage | None:
        """Return the image that a plane shows, if it was opened before."""
        return next((image for known, image in self._images if known == plane), None)

    def plane_of(self, layer: Image) -> Plane:
        """Return the plane of `layer` that is displayed now."""
        leading = self._viewer.dims.current_step[-layer.ndim : -2] if layer.ndim > 2 else ()
        return Plane(layer, tuple(int(step) for step in leading))

    def layer_of(self, image: SemImage, queued: bool = False) -> Image:
        """Return the layer that shows `image`, added where there is none.

        Parameters
        ----------
        image : SemImage
            The image.
        queued : bool
            Whether it comes from a queue, whose images are shown by one layer in turn.
        """
        for plane, known in self._images:
            if known is image and plane.layer in self._viewer.layers:
                return plane.layer
        rgb = image.pixels.ndim == 3
        spare = self._queue.get(rgb)
        if queued and spare is not None and spare in self._viewer.layers:
            layer = spare
            layer.data, layer.name = image.pixels, image.name
        else:
            self._close_pages(image)
            # napari draws what is added before anybody can lay it with the others.
            units = (self._viewer.layers.extent.units or ())[-2:] or None
            layer = self._viewer.add_image(image.pixels, name=image.name, rgb=rgb, units=units)
            self._added.add(layer)
        if queued:
            self._lay_in_queue(layer, rgb)
        if not rgb:
            layer.contrast_limits = _contrast(image)
        self.adopt(Plane(layer), image)
        return layer

    def _lay_in_queue(self, layer: Image, rgb: bool) -> None:
        """Lay a picture beside the queue's other one: mask and SAM marks stay on top of both."""
        layers, other = self._viewer.layers, self._queue.get(not rgb)
        if self._queue.get(rgb) is not layer and other is not None and other in layers:
            layers.move(layers.index(layer), layers.index(other))
        self._queue[rgb] = layer

    def show_only(self, picture: Image) -> None:
        """Hide the pictures of other images, which may lie above `picture`."""
        for plane, _ in self._images:
            set_visible(plane.layer, plane.layer is picture)

    def _close_pages(self, image: SemImage) -> None:
        """Remove the layer of another page, so that turning pages leaves one layer a file."""
        for plane, known in list(self._images):
            same_file = known.path is not None and known.path == image.path
            if same_file and plane.layer in self._added:
                self._added.discard(plane.layer)
                self._viewer.layers.remove(plane.layer)


def _contrast(image: SemImage) -> tuple[float, float]:
    if image.pixels.dtype == np.uint8:
        return 0.0, 255.0
    step = max(1, min(image.pixels.shape[:2]) // 512)
    values = image.pixels[::step, ::step].astype(np.float64)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, (0.5, 99.5))
    # The limits differ, also of a constant picture of large values.
    return float(low), float(max(high, low + 1e-6 * max(1.0, abs(low))))


OF_IMAGE = "semxai_image"
BEFORE = "before"
"""Role of the mask as it was before a person's edits."""


class SessionLayers:
    """Show the session in a viewer; strokes on the defect mask go back through `edit`.

    Every image gets a defect mask layer of its own: napari keeps a layer's undo history when
    its data is replaced, so a layer used again could paste one image's pixels into the next.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    session : Session
        What they show.
    edit : EditController
        Told about strokes.
    """

    mask_layer_changed = Signal()
    """The defect mask is now another layer, or none."""
    mask_closed = Signal()
    """A person removed the layer of the defect mask."""
    truth_added = Signal(object)
    """A Labels layer that holds the truth came into the viewer."""

    def __init__(self, viewer: ViewerModel, session: Session, edit: EditController) -> None:
        self.viewer = viewer
        self._session = session
        self._edit = edit
        self.image_layer: Image | None = None
        self._other_roles: tuple[str, ...] = ()
        self._queued = False
        self.watch: MaskWatch | None = None
        self.tool = MaskTool()
        self.mouse = TakenMouse(viewer)
        self.planes = Planes(viewer)
        self.layout = Layout(viewer)
        self.owned = OwnedLayers(viewer, self.layout)
        self._ignored = IgnoredLayer(self.owned, self.tool)
        events = session.events
        self._connections = (
            (events.image, self._on_image_changed),
            (events.automatic, self._on_automatic_changed),
            (events.proposal, self._on_proposal_changed),
            (events.edited, self._on_edited_changed),
            (events.ignoring, self.tool.mark),
            (events.pixel_size, self._on_pixel_size_changed),
            (self.layout.measured, self._on_measured),
            (events.loaded_truth, self._on_truth_loaded),
            (events.others, self._on_others_changed),
            (viewer.layers.events.inserted, self._on_layer_inserted),
            (viewer.layers.events.removed, self._on_layer_removed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)
        self.steps = StepLayers(session, self.owned)
        self.references = ReferenceLayers(viewer, session, self.layout)
        SAY[viewer] = session.say

    def release(self) -> None:
        """Show the session no longer; the layers stay."""
        SAY.pop(self.viewer, None)
        for signal, slot in self._connections:
            signal.disconnect(slot)
        self.steps.release()
        self.references.release()
        self.layout.release()
        self._leave_mask()

    def select_mask(self) -> None:
        """Make the defect mask the layer that is painted."""
        if self.mask_layer is not None:
            self.viewer.layers.selection.active = self.mask_layer

    def take_tool(self, mode: str) -> None:
        """Take one of napari's tools on the defect mask."""
        layer = self.mask_layer
        if layer is not None:
            # napari paints only on a visible, selected layer.
            layer.visible = True
            self.owned.hide(BEFORE)
            self.select_mask()
            # It may be the mode that the layer has already.
            self.mouse.give_back()
            layer.mode = mode

    def toggle_mask(self) -> None:
        """Show or hide the mask."""
        if self.mask_layer is not None:
            self.mask_layer.visible = not self.mask_layer.visible
            self.owned.hide(BEFORE)

    def toggle_before(self) -> None:
        """Show the mask as it was before a person's edits in the place of the mask, or go back."""
        layer, before = self.mask_layer, self._edit.recorder.base
        if layer is None or before is None:
            self._session.say("There is no mask to compare with")
        elif self.owned.hide(BEFORE):
            layer.visible = True
        else:
            self.owned.show(BEFORE, "mask before edits", (colors.AUTOMATIC,), before)
            layer.visible = False

    def undo(self, layer: Labels | None = None, *, again: bool = False) -> None:
        """Undo an edit, or do it again: of this layer, the selected Labels layer, or the mask."""
        active = self.viewer.layers.selection.active
        layer = layer or (active if isinstance(active, Labels) else self.mask_layer)
        if layer is not None:
            # napari tells nothing of what happens to a hidden layer.
            set_visible(layer, True)
            self.owned.hide(BEFORE)
            layer.redo() if again else layer.undo()

    @property
    def mask_layer(self) -> Labels | None:
        """The layer of the defect mask."""
        return None if self.watch is None else self.watch.layer

    def _on_image_changed(self, image: SemImage | None) -> None:
        self._leave_mask()
        queued = self._session.entry is not None
        self.image_layer = None if image is None else self.planes.layer_of(image, queued)
        # Pictures of a queue lie below its mask; over any other one the mask is new, and on top.
        self.owned.start_image(mask_over=self.image_layer if queued and self._queued else None)
        self._queued = queued
        if image is not None and self.image_layer is not None:
            self.planes.show_only(self.image_layer)
            self.layout.begin(
                self.image_layer, self._session.pixel_size, keep_view=self._session.keep_view
            )
            self._show_scale_bar(self._session.pixel_size)
            self._begin_mask(image)
        else:
            self.layout.begin(None, None)
        self.mask_layer_changed.emit()
        for layer in self.viewer.layers:
            self._offer_truth(layer)

    def _begin_mask(self, image: SemImage) -> None:
        current = self._session.current
        stored = None if current is None else current.mask
        mask = np.zeros(image.gray.shape, dtype=bool) if stored is None else stored
        values = mask_labels(mask, self._session.ignored)
        layer = self.owned.add(DEFECT, "defect mask", self.tool.palette, values)
        self.tool.take(layer)
        self.watch = MaskWatch(layer, marks=True)
        self.watch.changed.connect(self._edit.mask_changed)
        self.watch.edited.connect(self._edit.stroked)
        self._ignored.follow(self.watch)
        self._edit.start_mask(self.watch.live)
        self.viewer.layers.selection.active = layer

    def _leave_mask(self) -> None:
        self.tool.leave()
        self._ignored.follow(None)
        if self.watch is not None:
            self.watch.release()
            self.watch = None

    def _on_automatic_changed(self, automatic: Automatic | None) -> None:
        if automatic is None or self._session.image is None:
            return
        if self.watch is None:
            # The mask layer was closed by hand; a new result brings a new one.
            self._begin_mask(self._session.image)
            self.mask_layer_changed.emit()
        mask = automatic.truth.mask
        if self._session.edited:
            if self.owned.is_new("automatic", mask):
                layer = self.owned.show("automatic", "automatic mask", (colors.AUTOMATIC,), mask)
                layer.contour = 2
        elif self.watch is not None and self.owned.is_new(DEFECT, mask):
            self.watch.write(mask)

    def _on_edited_changed(self, edited: bool) -> None:
        if not edited:
            self.owned.hide("automatic")

    def _on_proposal_changed(self, proposal: Proposal | None) -> None:
        if proposal is not None and self.watch is not None:
            self.watch.write_undoable(proposal.mask, proposal.ignored)

    def _on_pixel_size_changed(self, metres: float | None) -> None:
        if self.image_layer is not None:
            self.layout.set_pixel_size(metres)
            self._show_scale_bar(metres)

    def _on_measured(self, metres: float | None) -> None:
        # Like a stroke: napari's layer comes first, the session follows.
        self._session.update_image(pixel_size=metres)

    def _show_scale_bar(self, metres: float | None) -> None:
        self.viewer.canvas.overlays.scale_bar.visible = metres is not None

    def _on_truth_loaded(self, truth: LoadedTruth | None) -> None:
        if truth is not None:
            self.owned.add("truth", f"truth {truth.name}", (colors.TRUTH,), truth.mask).contour = 2

    def _on_others_changed(self, others: OtherMasks | None) -> None:
        """Show other annotators' masks as outlines over one's own, each in a colour."""
        for role in self._other_roles:
            self.owned.hide(role)
        self._other_roles = ()
        if others is None or self._session.image is None:
            return
        self._other_roles = tuple(f"annotator {name}" for name in others.masks)
        for place, mask in enumerate(others.masks.values()):
            role = self._other_roles[place]
            color = colors.SERIES[place % len(colors.SERIES)]
            self.owned.show(role, role, (color,), mask).contour = 2

    def _on_layer_inserted(self, event: object) -> None:
        self._offer_truth(event.value)  # type: ignore[attr-defined]

    def _offer_truth(self, layer: Layer) -> None:
        image = self._session.image
        if image is None or layer.metadata.get(ROLE) != "truth":
            return
        if layer.metadata.get(OF_IMAGE, image.name) == image.name:
            self.truth_added.emit(layer)

    def _on_layer_removed(self, event: object) -> None:
        gone = event.value  # type: ignore[attr-defined]
        self.planes.forget(gone)
        if self.watch is not None and self.watch.layer is gone:
            self._leave_mask()
            self.mask_closed.emit()
            self.mask_layer_changed.emit()
        self.owned.forget(gone)
