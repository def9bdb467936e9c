"""Masks beside each other: the two layers that are scored, and those of other annotators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image as ImageLayer
from PIL import Image, ImageDraw, ImageFont
from psygnal import Signal

from napari_semxai.controllers.scores.evaluate import NamedMask
from napari_semxai.layers.mask.mask_watch import MaskWatch
from napari_semxai.layers.owned_layers import set_visible, staying_active
from napari_semxai.types import colors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.algorithms.masks.metrics import LiveMask, MaskChange
    from napari_semxai.controllers.scores.evaluate import EvaluateController
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.review import OtherMasks
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, SemImage

_BESIDE = (0, 1)
_GAP = 0.04
_OPACITY = 0.55
_OTHERS = "differences"


class Comparison:
    """The prediction and the truth as layers; by default the defect mask and a truth layer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers.
    layers : SessionLayers
        Knows the defect mask.
    evaluate : EvaluateController
        Told about every change.
    """

    pair_changed = Signal()
    """Another layer is compared."""
    changed = Signal()
    """Pixels of a followed layer, or which layers are followed."""

    def __init__(
        self, viewer: ViewerModel, layers: SessionLayers, evaluate: EvaluateController
    ) -> None:
        self._layers, self._evaluate = layers, evaluate
        self._watches: dict[Labels, MaskWatch] = {}
        self._made: set[MaskWatch] = set()
        self.prediction: Labels | None = None
        self.truth: Labels | None = None
        self.kept: list[Labels] = []
        self._connections = (
            (layers.mask_layer_changed, self._on_mask_layer_changed),
            (layers.truth_added, self.set_truth),
            (viewer.layers.events.removed, self._on_layer_removed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)
        self._on_mask_layer_changed()

    def release(self) -> None:
        """Follow no layer any more."""
        for signal, slot in self._connections:
            signal.disconnect(slot)
        self.prediction = self.truth = None
        self.kept = []
        self._follow()

    def set_prediction(self, layer: Labels | None) -> None:
        """Judge this layer."""
        self.prediction = layer
        self._follow()

    def set_truth(self, layer: Labels | None) -> None:
        """Judge by this layer."""
        self.truth = layer
        self._follow()

    def keep(self, layer: Labels | None) -> None:
        """Judge this layer beside whichever is picked, until it is removed."""
        if layer is not None and layer not in self.kept:
            self.kept.append(layer)
            self._follow()

    def judged(self) -> dict[str, BoolMask]:
        """Return the masks that are judged by name, the picked one first."""
        layers = [self.prediction, *self.kept]
        named = [found for found in map(self._named, layers) if found is not None]
        return {found.name: found.mask.mask for found in named}

    def judge(self) -> tuple[str, BoolMask] | None:
        """Return name and mask of the truth."""
        truth = self._named(self.truth)
        return None if truth is None else (truth.name, truth.mask.mask)

    def _on_mask_layer_changed(self) -> None:
        mask = self._layers.mask_layer
        if mask in self._watches and self._watches[mask] is not self._layers.watch:
            # The next image's mask lies in the same layer, under another watch.
            self._unfollow(mask)
        self.set_prediction(mask)

    def _on_layer_removed(self, event: object) -> None:
        gone = event.value  # type: ignore[attr-defined]
        if gone is self.prediction:
            self.set_prediction(None)
        if gone is self.truth:
            self.set_truth(None)
        if gone in self.kept:
            self.kept.remove(gone)
            self._follow()

    def _follow(self) -> None:
        followed = (self.prediction, self.truth, *self.kept)
        wanted = [layer for layer in followed if layer is not None]
        for layer in [layer for layer in self._watches if layer not in wanted]:
            self._unfollow(layer)
        for layer in wanted:
            if layer.ndim == 2 and layer not in self._watches:
                watch = self._watches[layer] = self._watch_of(layer)
                watch.changed.connect(self._on_pixels_changed)
                watch.replaced.connect(self._compare)
        self._compare()
        self.pair_changed.emit()
        self.changed.emit()

    def _unfollow(self, layer: Labels) -> None:
        watch = self._watches.pop(layer)
        watch.changed.disconnect(self._on_pixels_changed)
        watch.replaced.disconnect(self._compare)
        if watch in self._made:
            self._made.remove(watch)
            watch.release()

    def _watch_of(self, layer: Labels) -> MaskWatch:
        """Return a watch; the defect mask has one already, and one live copy is enough."""
        mask_watch = self._layers.watch
        if mask_watch is not None and mask_watch.layer is layer:
            return mask_watch
        watch = MaskWatch(layer)
        self._made.add(watch)
        return watch

    def _named(self, layer: Labels | None) -> NamedMask | None:
        watch = None if layer is None else self._watches.get(layer)
        return None if watch is None else NamedMask(watch.layer.name, watch.live)

    def _compare(self) -> None:
        self._evaluate.compare(self._named(self.prediction), self._named(self.truth))

    def _on_pixels_changed(self, live: LiveMask, change: MaskChange) -> None:
        self._evaluate.mask_changed(live, change)
        self.changed.emit()


class SideBySide:
    """One picture beside the image: the image without its mask, or the masks of others on it.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the picture goes.
    session : Session
        Has the masks.
    layers : SessionLayers
        Knows image and defect mask.
    """

    def __init__(self, viewer: ViewerModel, session: Session, layers: SessionLayers) -> None:
        self._viewer, self._session, self._layers = viewer, session, layers
        self.layer: ImageLayer | None = None
        self.plain = False
        self._connections = (
            (session.events.others, self._on_others_changed),
            (session.events.image, self._on_image_changed),
            (session.events.difference, self._on_difference_changed),
            (viewer.layers.events.removed, self._on_layer_removed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Follow the session no longer."""
        for signal, slot in self._connections:
            signal.disconnect(slot)

    def toggle(self) -> None:
        """Show the image without its mask, and its reference, beside it, or nothing.

        Also of the next images.
        """
        self.plain = not self.plain
        self._show_plain()
        self._viewer.reset_view()

    def _on_difference_changed(self, _: Difference | None) -> None:
        # Pictures of other annotators go before.
        if not self._session.others:
            self._on_image_changed(self._session.image)

    def _on_image_changed(self, _: SemImage | None) -> None:
        if self.plain:
            fitted = self._layers.layout.is_fitted
            self._show_plain()
            if fitted:
                self._viewer.reset_view()

    def _on_others_changed(self, others: OtherMasks | None) -> None:
        image, watch = self._session.image, self._layers.watch
        if others is None or not others.masks or image is None or watch is None:
            # The place of the pictures is no part of the view any more.
            compared = self.layer is not None and self.layer.visible and self.layer.name == _OTHERS
            fitted = self._layers.layout.is_fitted
            self._show_plain()
            if compared and fitted:
                self._viewer.reset_view()
            return
        self._show(side_by_side(image.gray, watch.live.mask, others.masks), _OTHERS)
        self._viewer.reset_view()

    def _show_plain(self) -> None:
        image = self._session.image
        found = self._session.difference
        if self.plain and image is not None:
            panels = [_rgb(image.gray)]
            if found is not None and found.picture is not None:
                panels += [_gap(image.gray), _rgb(found.picture)]
            self._show(np.concatenate(panels, axis=1), "without mask")
        elif self.layer is not None:
            set_visible(self.layer, False)

    def _show(self, picture: NDArray[np.uint8], name: str) -> None:
        if self.layer is None:
            self.layer = ImageLayer(picture, rgb=True, name=name)
            with staying_active(self._viewer):
                self._viewer.add_layer(self.layer)
        else:
            self.layer.data, self.layer.name = picture, name
            set_visible(self.layer, True)
        self._layers.layout.lay(self.layer, _BESIDE)

    def _on_layer_removed(self, event: object) -> None:
        if event.value is self.layer:  # type: ignore[attr-defined]
            self.layer = None


def side_by_side(
    gray: NDArray[np.uint8], edited: BoolMask, others: Mapping[str, BoolMask]
) -> NDArray[np.uint8]:
    """Draw the image once for every other annotator, with names and differences.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    edited : ndarray of bool, shape (M, N)
        The mask that is edited.
    others : mapping of str to ndarray of bool, shape (M, N)
        Those of the others, by name.

    Returns
    -------
    ndarray of uint8, shape (M, P, 3)
        What both hold, only the other and only the edited mask, each in a colour.
    """
    gap, panels = _gap(gray), []
    for name, mask in others.items():
        parts = (
            (edited & mask, colors.BOTH),
            (mask & ~edited, colors.ONLY_OTHER),
            (edited & ~mask, colors.ONLY_THIS),
        )
        panels += [_panel(gray, name, parts), gap]
    return np.concatenate(panels[:-1], axis=1)


def _rgb(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(gray[..., None], 3, axis=2)


def _gap(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.zeros((gray.shape[0], round(_GAP * gray.shape[1]), 3), np.uint8)


def _panel(
    gray: NDArray[np.uint8], name: str, parts: tuple[tuple[BoolMask, str], ...]
) -> NDArray[np.uint8]:
    picture = np.repeat(gray[..., None], 3, axis=2).astype(np.float32)
    for mask, color in parts:
        paint = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
        picture[mask] = (1 - _OPACITY) * picture[mask] + _OPACITY * paint
    drawn = Image.fromarray(picture.astype(np.uint8))
    size = max(10, gray.shape[0] // 16)
    ImageDraw.Draw(drawn).text(
        (size / 2, size / 2),
        name,
        fill="white",
        stroke_fill="black",
        stroke_width=max(1, size // 10),
        font=ImageFont.load_default(size),
    )
    return np.asarray(drawn)
