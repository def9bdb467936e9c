"""Follow the two Labels layers that are compared, whoever changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_semxai.controllers.scores.evaluate import NamedMask
from napari_semxai.layers.mask.mask_watch import MaskWatch

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_semxai.algorithms.masks.metrics import LiveMask, MaskChange
    from napari_semxai.controllers.scores.evaluate import EvaluateController
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.types import BoolMask


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
        own = self._layers.watch
        if own is not None and own.layer is layer:
            return own
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
