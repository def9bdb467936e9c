"""The image once for every other annotator, with where their mask differs from one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image as ImageLayer
from PIL import Image, ImageDraw, ImageFont

from napari_semxai.layers.owned_layers import set_visible
from napari_semxai.types import colors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.review import OtherMasks
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask

_BESIDE = (0, 1)
_GAP = 0.04
_OPACITY = 0.55


class SideBySide:
    """One picture beside the image, as long as the masks of others are shown.

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
        self._connections = (
            (session.events.others, self._on_others_changed),
            (viewer.layers.events.removed, self._on_layer_removed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Follow the session no longer."""
        for signal, slot in self._connections:
            signal.disconnect(slot)

    def _on_others_changed(self, others: OtherMasks | None) -> None:
        image, watch = self._session.image, self._layers.watch
        if others is None or not others.masks or image is None or watch is None:
            if self.layer is not None:
                set_visible(self.layer, False)
            return
        picture = side_by_side(image.gray, watch.live.mask, others.masks)
        if self.layer is None:
            # napari selects what is added, which would take the tool off the mask.
            active = self._viewer.layers.selection.active
            self.layer = ImageLayer(picture, rgb=True, name="differences")
            self._viewer.add_layer(self.layer)
            self._viewer.layers.selection.active = active
        else:
            self.layer.data = picture
            set_visible(self.layer, True)
        self._layers.layout.lay(self.layer, _BESIDE)
        self._viewer.reset_view()

    def _on_layer_removed(self, event: object) -> None:
        if event.value is self.layer:  # type: ignore[attr-defined]
            self.layer = None


def side_by_side(
    gray: NDArray[np.uint8], own: BoolMask, others: Mapping[str, BoolMask]
) -> NDArray[np.uint8]:
    """Draw the image once for every other annotator, with names and differences.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    own : ndarray of bool, shape (M, N)
        One's own mask.
    others : mapping of str to ndarray of bool, shape (M, N)
        Those of the others, by name.

    Returns
    -------
    ndarray of uint8, shape (M, P, 3)
        What both hold, what only the other holds and what only oneself holds, each in a colour.
    """
    gap = np.full((gray.shape[0], round(_GAP * gray.shape[1]), 3), 0, np.uint8)
    panels = []
    for name, mask in others.items():
        parts = (
            (own & mask, colors.BOTH),
            (mask & ~own, colors.ONLY_OTHER),
            (own & ~mask, colors.ONLY_OWN),
        )
        panels += [_panel(gray, name, parts), gap]
    return np.concatenate(panels[:-1], axis=1)


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
