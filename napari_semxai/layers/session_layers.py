"""The layers of one session: image, defect mask, automatic mask and the algorithm's steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_semxai.layers import colors
from napari_semxai.layers.mask_watch import MaskWatch

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_semxai.controllers.edit import EditController
    from napari_semxai.state.session import Automatic, LoadedTruth, Proposal, Session
    from napari_semxai.types import BoolMask, SemImage

ROLE = "semxai_role"
OF_IMAGE = "semxai_image"
STEPS = {
    "candidates": ("1 candidates", colors.CANDIDATES),
    "winner": ("2 winner M_k", (colors.WINNER,)),
    "complement": ("3 complement", (colors.COMPLEMENT,)),
}
DEFECT_OPACITY = 0.55


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
        """Page within the layer's file."""
        return self.index[0] if self.index else 0

    @property
    def pixels(self) -> NDArray[Any]:
        """The values, shape (M, N), (M, N, 3) or (M, N, 4)."""
        data = self.layer.data[0] if self.layer.multiscale else self.layer.data
        return np.asarray(data[self.index])


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
    truth_added = Signal(object)
    """A Labels layer that holds the truth came into the viewer."""

    def __init__(self, viewer: ViewerModel, session: Session, edit: EditController) -> None:
        self._viewer = viewer
        self._session = session
        self._edit = edit
        self.image_layer: Image | None = None
        self.watch: MaskWatch | None = None
        self._owned: dict[str, Labels] = {}
        self._sources: dict[str, object] = {}
        self._images: list[tuple[Plane, SemImage]] = []
        self._shown_steps: frozenset[str] = frozenset()
        events = session.events
        self._connections = (
            (events.image, self._on_image_changed),
            (events.automatic, self._on_automatic_changed),
            (events.proposal, self._on_proposal_changed),
            (events.preview, self._on_preview_changed),
            (events.edited, self._on_edited_changed),
            (events.pixel_size, self._on_pixel_size_changed),
            (events.loaded_truth, self._on_truth_loaded),
            (viewer.layers.events.inserted, self._on_layer_inserted),
            (viewer.layers.events.removed, self._on_layer_removed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Show the session no longer; the layers stay."""
        for signal, slot in self._connections:
            signal.disconnect(slot)
        if self.watch is not None:
            self.watch.release()

    def adopt(self, plane: Plane, image: SemImage) -> None:
        """Use a plane of a layer as the picture of `image` instead of adding a layer."""
        self._images = [(known, value) for known, value in self._images if known != plane]
        self._images.append((plane, image))

    def image_of(self, plane: Plane) -> SemImage | None:
        """Return the image that a plane shows, if it was opened before."""
        return next((image for known, image in self._images if known == plane), None)

    def plane_of(self, layer: Image) -> Plane:
        """Return the plane of `layer` that is displayed now."""
        leading = self._viewer.dims.current_step[-layer.ndim : -2] if layer.ndim > 2 else ()
        return Plane(layer, tuple(int(step) for step in leading))

    def select_mask(self) -> None:
        """Make the defect mask the layer that is painted."""
        if self.mask_layer is not None:
            self._viewer.layers.selection.active = self.mask_layer

    def show_steps(self, names: frozenset[str]) -> None:
        """Show these of `STEPS` as layers and hide the others."""
        self._shown_steps = names
        for name in STEPS:
            if name in names:
                self._show_step(name)
            elif name in self._owned:
                self._owned[name].visible = False

    @property
    def mask_layer(self) -> Labels | None:
        """The layer of the defect mask."""
        return None if self.watch is None else self.watch.layer

    def _on_image_changed(self, image: SemImage | None) -> None:
        self._let_go()
        self.image_layer = None if image is None else self._layer_of(image)
        if image is not None:
            self._begin_mask(image)
        self.mask_layer_changed.emit()
        for layer in self._viewer.layers:
            self._offer_truth(layer)

    def _let_go(self) -> None:
        if self.watch is not None:
            self.watch.release()
            self.watch = None
        owned, self._owned, self._sources = self._owned, {}, {}
        for layer in owned.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _layer_of(self, image: SemImage) -> Image:
        for plane, known in self._images:
            if known is image and plane.layer in self._viewer.layers:
                return plane.layer
        rgb = image.pixels.ndim == 3
        layer = self._viewer.add_image(image.pixels, name=image.name, rgb=rgb)
        if not rgb:
            layer.contrast_limits = _contrast(image)
        self.adopt(Plane(layer), image)
        return layer

    def _begin_mask(self, image: SemImage) -> None:
        layer = self._add("defect", "defect mask", (colors.DEFECT,), np.zeros(image.gray.shape))
        layer.opacity = DEFECT_OPACITY
        layer.brush_size = max(3, round(min(image.gray.shape) / 60))
        self.watch = MaskWatch(layer)
        self.watch.changed.connect(self._edit.mask_changed)
        self.watch.edited.connect(self._edit.stroked)
        self._edit.begin(self.watch.live)
        self._viewer.layers.selection.active = layer

    def _on_automatic_changed(self, automatic: Automatic | None) -> None:
        if automatic is None or self._session.image is None:
            return
        if self.watch is None:
            # The mask layer was closed by hand; a new result brings a new one.
            self._begin_mask(self._session.image)
            self.mask_layer_changed.emit()
        mask = automatic.truth.mask
        if self._session.edited:
            if self._is_new("automatic", mask):
                self._show("automatic", "automatic mask", (colors.AUTOMATIC,), mask)
                self._owned["automatic"].contour = 2
        elif self.watch is not None and self._is_new("defect", mask):
            self.watch.write(mask)
        for name in self._shown_steps:
            self._show_step(name)

    def _on_edited_changed(self, edited: bool) -> None:
        if not edited and "automatic" in self._owned:
            self._owned["automatic"].visible = False

    def _on_proposal_changed(self, proposal: Proposal | None) -> None:
        if proposal is not None and self.watch is not None:
            self.watch.write_undoable(proposal.mask)

    def _on_preview_changed(self, preview: BoolMask | None) -> None:
        if preview is not None:
            self._show("preview", "candidate preview", (colors.PREVIEW,), preview)
            self._owned["preview"].contour = 3
        elif "preview" in self._owned:
            self._owned["preview"].visible = False

    def _show_step(self, name: str) -> None:
        automatic = self._session.automatic
        if automatic is None:
            return
        title, palette = STEPS[name]
        source = automatic.pool if name == "candidates" else automatic.truth.surface
        if self._is_new(name, source):
            self._show(name, title, palette, step_labels(name, automatic))

    def _is_new(self, role: str, source: object) -> bool:
        """Return whether a visible layer shows something else than `source`, and note it.

        While a slider moves, most motions change neither winner nor candidates.
        """
        shown = self._owned.get(role)
        same = shown is not None and shown.visible and self._sources.get(role) is source
        self._sources[role] = source
        return not same

    def _show(
        self, role: str, title: str, palette: tuple[str, ...], values: BoolMask | np.ndarray
    ) -> None:
        layer = self._owned.get(role)
        if layer is None:
            self._add(role, title, palette, values)
            return
        layer.visible = True
        np.copyto(layer.data, values, casting="unsafe")
        layer.refresh(thumbnail=False, extent=False, highlight=False)

    def _add(
        self, role: str, title: str, palette: tuple[str, ...], values: BoolMask | np.ndarray
    ) -> Labels:
        image_layer = self.image_layer
        place = (
            {}
            if image_layer is None
            else {
                "scale": image_layer.scale[-2:],
                "translate": image_layer.translate[-2:],
                "units": image_layer.units[-2:],
            }
        )
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_labels(
            values.astype(np.uint8),
            name=title,
            colormap=colors.role_colormap(*palette),
            opacity=DEFECT_OPACITY,
            metadata={ROLE: role},
            **place,
        )
        self._owned[role] = layer
        if role != "defect":
            layer.editable = False
            mask_layer = self._owned.get("defect")
            if mask_layer is not None:
                # The steps lie below the mask that is painted, and painting goes on.
                self._viewer.layers.move(
                    self._viewer.layers.index(layer), self._viewer.layers.index(mask_layer)
                )
            self._viewer.layers.selection.active = active
        return layer

    def _on_pixel_size_changed(self, metres: float | None) -> None:
        if self.image_layer is None:
            return
        micrometres = 1.0 if metres is None else metres * 1e6
        # Masks of this image that other people's layers hold must stay on top of it.
        shape = self.image_layer.data.shape[:2] if self.image_layer.rgb else ()
        shape = shape or self.image_layer.data.shape[-2:]
        masks = [layer for layer in self._labels() if layer.data.shape[-2:] == shape]
        for layer in (self.image_layer, *masks):
            layer.scale = (*layer.scale[:-2], micrometres, micrometres)
            layer.units = (*layer.units[:-2], *(("pixel" if metres is None else "um",) * 2))
        self._viewer.canvas.overlays.scale_bar.visible = metres is not None
        self._viewer.reset_view()

    def _labels(self) -> list[Labels]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Labels)]

    def _on_truth_loaded(self, truth: LoadedTruth | None) -> None:
        if truth is not None:
            self._add("truth", truth.name, (colors.TRUTH,), truth.mask).contour = 2

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
        self._images = [known for known in self._images if known[0].layer is not gone]
        if self.watch is not None and self.watch.layer is gone:
            self.watch.release()
            self.watch = None
            self._edit.leave()
            self.mask_layer_changed.emit()
        self._owned = {role: layer for role, layer in self._owned.items() if layer is not gone}


def step_labels(name: str, automatic: Automatic) -> np.ndarray:
    """Return the label image (M, N), uint8, of one of `STEPS`."""
    truth, pool = automatic.truth, automatic.pool
    if name == "winner":
        return truth.surface.astype(np.uint8)
    if name == "complement":
        return (~truth.surface).astype(np.uint8)
    labels = np.zeros(pool.shape, dtype=np.uint8)
    # Small candidates last, so that they lie on top.
    for number, index in enumerate(np.argsort(-pool.areas, kind="stable")):
        labels[pool.mask(int(index))] = number % 255 + 1
    return labels


def _contrast(image: SemImage) -> tuple[float, float]:
    if image.pixels.dtype == np.uint8:
        return 0.0, 255.0
    step = max(1, min(image.pixels.shape[:2]) // 512)
    low, high = np.nanpercentile(image.pixels[::step, ::step], (0.5, 99.5))
    return float(low), float(max(high, low + 1e-6))
