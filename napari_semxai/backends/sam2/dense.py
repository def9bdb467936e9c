"""A small dense head on the encoder's features: which pixels belong to a defect.

One that was trained on synthetic scenes comes with the package (`DefectFinder`); with it
`backends.learned` begins to train others on a project's masks.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from napari_semxai.algorithms.exposure import luminance
from napari_semxai.backends.sam2.image import SEEN_LEVELS, Recent, image_digest, network_input
from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS, DEFECT_WEIGHTS
from napari_semxai.types import DEFECT_STEPS

if TYPE_CHECKING:
    from napari_semxai.backends.sam2.image import Embeddings

SIDE = 512
"""Edge of what the encoder sees, in pixels."""
CELLS = SIDE // 16
"""Cells of the coarsest level along each side."""
LEVELS = (72, 104, 240)
"""Channels of the encoder at strides 4, 8 and 16 that the head reads."""
LARGEST = 1024
"""Edge up to which the head sees every pixel; of larger images it sees a smaller copy."""
_FOUND_BYTES = 8 * 2**20
_WIDTH, _FINE = 32, 12
_SMOOTH = 12.0


class Head(nn.Module):
    """From the encoder's features and the pixels to a logit for every pixel.

    Without normalisation layers: windows of images, which it is trained on, have other statistics
    than whole ones.
    """

    def __init__(self) -> None:
        super().__init__()
        for index, channels in enumerate(LEVELS):
            self.register_buffer(f"mean{index}", torch.zeros(1, channels, 1, 1))
            self.register_buffer(f"scale{index}", torch.ones(1, channels, 1, 1))
        self.across = nn.ModuleList(nn.Conv2d(channels, _WIDTH, 1) for channels in LEVELS)
        self.near = nn.Sequential(*_layer(2, _FINE, 2), *_layer(_FINE, _FINE))
        self.quarter = nn.Sequential(*_layer(_FINE, _WIDTH, 2))
        self.joined = nn.Sequential(*_layer(2 * _WIDTH, _WIDTH), *_layer(_WIDTH, _WIDTH))
        self.fine = nn.Sequential(
            *_layer(_WIDTH + _FINE, 16), *_layer(16, 16), nn.Conv2d(16, 1, 1)
        )
        self.outline = nn.Sequential(*_layer(3, 8), nn.Conv2d(8, 1, 3, padding=1))
        # Convolutions of a few channels take two thirds of the time.
        self.to(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor, levels: list[Tensor]) -> Tensor:
        """Return logits (B, 1, M, N) of `pixels` (B, 2, M, N) and the encoder's levels."""
        near = self.near(pixels.contiguous(memory_format=torch.channels_last))
        quarter = self.quarter(near)
        seen = torch.zeros_like(quarter)
        for index, across in enumerate(self.across):
            seen = seen + _resized(across(self._scaled(index, levels[index])), quarter)
        joined = self.joined(torch.cat([functional.relu(seen), quarter], 1))
        coarse = _resized(self.fine(torch.cat([_resized(joined, near), near], 1)), pixels)
        # The last layers see single pixels, and move the outline by what those say.
        moved: Tensor = self.outline(torch.cat([pixels, coarse.detach() / 5], 1))
        return coarse + moved

    def _scaled(self, index: int, level: Tensor) -> Tensor:
        mean: Tensor = getattr(self, f"mean{index}")
        scale: Tensor = getattr(self, f"scale{index}")
        return (level.float() - mean) * scale


def _layer(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU()


def _resized(values: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(values, like.shape[-2:], mode="bilinear")


@torch.inference_mode()
def encoded(trunk: LiteTrunk, gray: NDArray[np.uint8]) -> list[Tensor]:
    """Return what the encoder says of an image (M, N), at strides 4, 8 and 16, as float16."""
    # A copy: images are read-only, which torch does not like.
    pixels = torch.from_numpy(gray.astype(np.float32) / 255)[None]
    levels = trunk(network_input(pixels.to(next(trunk.parameters()).device), SIDE))
    return [level.half().cpu() for level in levels[:SEEN_LEVELS]]


def pixels_of(gray: NDArray[np.uint8], level: float, spread: float) -> Tensor:
    """Return an image (M, N) as the head sees it, shape (1, 2, m, n): grey levels and detail."""
    values = torch.from_numpy(gray.astype(np.float32))[None, None]
    if max(gray.shape) > LARGEST:
        factor = LARGEST / max(gray.shape)
        size = [max(4, round(edge * factor)) for edge in gray.shape]
        values = functional.interpolate(values, size, mode="bilinear", antialias=True)
    # At a quarter of the resolution: a broad blur has no detail to lose.
    small = functional.avg_pool2d(values, 4, ceil_mode=True, count_include_pad=False)
    smooth = ndimage.gaussian_filter(small[0, 0].numpy(), _SMOOTH / 4, truncate=3)
    broad = _resized(torch.from_numpy(smooth)[None, None], values)
    return torch.cat([values - level, values - broad], 1) / spread


def sized(logits: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return logits (1, 1, m, n) at the image's own size (M, N)."""
    size = [shape[0], shape[1]]
    if list(logits.shape[-2:]) != size:
        logits = functional.interpolate(logits, size, mode="bilinear")
    return np.asarray(logits[0, 0].numpy(), np.float32)


def bundled_head() -> tuple[Head, tuple[float, float]]:
    """Return the head that comes with the package, with the grey levels of its `pixels_of`."""
    state = {name: value.float() for name, value in load_file(DEFECT_WEIGHTS).items()}
    level, spread = state.pop("grey").tolist()
    head = Head()
    head.load_state_dict(state)
    return head, (level, spread)


class DefectFinder:
    """Maps of defects by the head that comes with the package, remembered.

    They are the bundled network's, whichever network gives the candidates.

    Parameters
    ----------
    network : SAM2Base
        The network that gives them.
    images : Embeddings
        What it encoded: if it is the bundled one, no image is encoded twice.
    last_only : bool
        Remember nothing but the last map.
    """

    def __init__(self, network: Any, images: Embeddings, *, last_only: bool = False) -> None:
        self._network, self._images = network, images
        self._found = Recent[NDArray[np.int8]](
            0 if last_only else _FOUND_BYTES, lambda value: value.nbytes
        )

    def known(self, image: NDArray[np.uint8]) -> NDArray[np.int8] | None:
        """Return the map of an image, if it was made already."""
        return self._found.get(image_digest(image))

    @torch.inference_mode()
    def of(self, image: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Return `CandidatePool.defect_logits` of an image (M, N) or (M, N, 3)."""
        key = image_digest(image)
        found = self._found.get(key)
        if found is None:
            gray = np.rint(luminance(image)).astype(np.uint8)
            own = self._trunk is self._network.image_encoder.trunk
            levels = self._images.seen(image) if own else None
            head, grey = self._head
            logits = head(pixels_of(gray, *grey), levels or encoded(self._trunk, gray))
            steps = np.clip(np.rint(logits[0, 0].numpy() * DEFECT_STEPS), -127, 127)
            found = steps.astype(np.int8)
            self._found.put(key, found)
        return found

    @cached_property
    def _head(self) -> tuple[Head, tuple[float, float]]:
        head, grey = bundled_head()
        return head.eval(), grey

    @cached_property
    def _trunk(self) -> LiteTrunk:
        from napari_semxai.backends.sam2.checkpoints import build_bundled

        network = self._network
        if not isinstance(network.image_encoder.trunk, LiteTrunk):
            network = build_bundled(BUNDLED_WEIGHTS).eval()
        trunk: LiteTrunk = network.image_encoder.trunk
        return trunk
