"""A small dense head on the encoder's features: which pixels belong to a defect.

One that was trained on synthetic scenes comes with the package (`DefectFinder`); with it
`backends.learned` begins to train others on a project's masks.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from napari_semxai.algorithms.algorithm1.reference import GREYS, SAME
from napari_semxai.algorithms.exposure import luminance
from napari_semxai.algorithms.masks.click_edits import object_at
from napari_semxai.backends.sam2.image import SEEN_LEVELS, Recent, image_digest, network_input
from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS, COMPARED_WEIGHTS, DEFECT_WEIGHTS
from napari_semxai.types import DEFECT_STEPS, PredictedMask

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.backends.sam2.image import Embeddings
    from napari_semxai.types import BoolMask, CandidatePool, Prompts

SIDE = 512
"""Edge of what the encoder sees, in pixels."""
CELLS = SIDE // 16
"""Cells of the coarsest level along each side."""
LEVELS = (72, 104, 240)
"""Channels of the encoder at strides 4, 8 and 16 that the head reads."""
EDGE = 480
"""Longer edge of the pixels that the heads of the package see, as they did in training; images are
enlarged or reduced to it."""
LARGEST = 1024
"""Edge up to which a learned head sees every pixel; of larger images it sees a smaller copy."""
_FOUND_BYTES = 8 * 2**20
_WIDTH, _FINE = 32, 12
_SMOOTH = 12.0


class Head(nn.Module):
    """From the encoder's features and the pixels to a logit for every pixel.

    Without normalisation layers: windows of images, which it is trained on, have other statistics
    than whole ones.

    Parameters
    ----------
    compared : bool
        Whether it sees a difference, too: in `pixels_of`, and as the encoder sees its picture.
    """

    def __init__(self, *, compared: bool = False) -> None:
        super().__init__()
        widths, channels = LEVELS * (1 + compared), 2 * (1 + compared)
        for index, width in enumerate(widths):
            self.register_buffer(f"mean{index}", torch.zeros(1, width, 1, 1))
            self.register_buffer(f"scale{index}", torch.ones(1, width, 1, 1))
        self.across = nn.ModuleList(nn.Conv2d(width, _WIDTH, 1) for width in widths)
        self.near = nn.Sequential(*_layer(channels, _FINE, 2), *_layer(_FINE, _FINE))
        self.quarter = nn.Sequential(*_layer(_FINE, _WIDTH, 2))
        self.joined = nn.Sequential(*_layer(2 * _WIDTH, _WIDTH), *_layer(_WIDTH, _WIDTH))
        self.fine = nn.Sequential(
            *_layer(_WIDTH + _FINE, 16), *_layer(16, 16), nn.Conv2d(16, 1, 1)
        )
        self.outline = nn.Sequential(*_layer(channels + 1, 8), nn.Conv2d(8, 1, 3, padding=1))
        # Convolutions of a few channels take two thirds of the time.
        self.to(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor, levels: list[Tensor]) -> Tensor:
        """Return logits (B, 1, M, N) of `pixels` (B, c, M, N) and the encoder's levels.

        Those of a difference follow on the image's own.
        """
        near = self.near(pixels.contiguous(memory_format=torch.channels_last))
        quarter = self.quarter(near)
        seen = torch.zeros_like(quarter)
        for index, level in enumerate(levels):
            seen = seen + _resized(self._mixed(index, level), quarter)
        joined = self.joined(torch.cat([functional.relu(seen), quarter], 1))
        coarse = _resized(self.fine(torch.cat([_resized(joined, near), near], 1)), pixels)
        # The last layers see single pixels, and move the outline by what those say.
        single = pixels[:, :2], coarse.detach() / 5, pixels[:, 2:]
        moved: Tensor = self.outline(torch.cat(single, 1))
        return coarse + moved

    def _mixed(self, index: int, level: Tensor) -> Tensor:
        """Return what `across` makes of a level, less its mean and scaled."""
        mean, scale = (getattr(self, f"{name}{index}").flatten() for name in ("mean", "scale"))
        # As one product of matrices: four times as fast as a convolution.
        weight, bias = self.across[index].parameters()
        weight = weight.flatten(1) * scale
        mixed = weight @ level.float().flatten(2) + (bias - weight @ mean)[:, None]
        found: Tensor = mixed.unflatten(2, level.shape[2:])
        return found


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


def pixels_of(
    gray: NDArray[np.uint8],
    level: float,
    spread: float,
    difference: Difference | None = None,
    edge: int | None = None,
) -> Tensor:
    """Return an image (M, N) as the head sees it, shape (1, c, m, n).

    Grey levels and detail, and how it differs: with its sign, and how strongly, in units of the
    noise. Its longer edge has `edge` pixels, by default its own up to `LARGEST`.
    """
    edge = edge or min(max(gray.shape), LARGEST)
    values = _rescaled(gray, edge)
    # At a quarter of the resolution: a broad blur has no detail to lose.
    small = functional.avg_pool2d(values, 4, ceil_mode=True, count_include_pad=False)
    smooth = ndimage.gaussian_filter(small[0, 0].numpy(), _SMOOTH / 4, truncate=3)
    broad = _resized(torch.from_numpy(smooth)[None, None], values)
    seen = torch.cat([values - level, values - broad], 1) / spread
    if difference is None:
        return seen
    units = _rescaled(difference.signed, edge).sub_(SAME).div_(2 * GREYS).asinh_()
    strength = _rescaled(difference.strength, edge).clamp_min_(0.3).log_()
    return torch.cat([seen, units, strength], 1)


def _rescaled(values: NDArray[Any], edge: int) -> Tensor:
    """Return pixels (M, N) as float32 with a longer edge of `edge`, shape (1, 1, m, n)."""
    found = torch.from_numpy(values.astype(np.float32))[None, None]
    longer = max(values.shape)
    if longer != edge:
        size = [max(4, round(side * edge / longer)) for side in values.shape]
        found = functional.interpolate(found, size, mode="bilinear", antialias=True)
    return found


def sized(logits: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return logits (1, 1, m, n) at the image's own size (M, N)."""
    size = [shape[0], shape[1]]
    if list(logits.shape[-2:]) != size:
        logits = functional.interpolate(logits, size, mode="bilinear")
    return np.asarray(logits[0, 0].numpy(), np.float32)


def bundled_head(weights: Path = DEFECT_WEIGHTS) -> tuple[Head, tuple[float, float]]:
    """Return a head that comes with the package, with the grey levels of its `pixels_of`."""
    state = {name: value.float() for name, value in load_file(weights).items()}
    level, spread = state.pop("grey").tolist()
    head = Head(compared="mean3" in state)
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
        """Return the map of an image alone, if it was made already."""
        return self._found.get((image_digest(image), None))

    @torch.inference_mode()
    def of(
        self, image: NDArray[np.uint8], difference: Difference | None = None
    ) -> NDArray[np.int8]:
        """Return `CandidatePool.defect_logits` of an image (M, N) or (M, N, 3).

        With a difference from a reference, which another head sees, too, `compared_logits`.
        """
        key = image_digest(image), difference and image_digest(difference.signed)
        found = self._found.get(key)
        if found is None:
            gray = np.rint(luminance(image)).astype(np.uint8)
            levels = self._levels(image, gray)
            if difference is not None:
                if self._own and difference.parts.any():
                    # It is asked about the same picture next.
                    self._images.of(difference.signed)
                levels = levels + self._levels(difference.signed, difference.signed)
            head, grey = _ready(DEFECT_WEIGHTS if difference is None else COMPARED_WEIGHTS)
            logits = head(pixels_of(gray, *grey, difference, EDGE), levels)
            steps = np.clip(np.rint(logits[0, 0].numpy() * DEFECT_STEPS), -127, 127)
            found = steps.astype(np.int8)
            self._found.put(key, found)
        return found

    def meant(self, image: NDArray[np.uint8], prompts: Prompts) -> PredictedMask | None:
        """Return what the map shows at a single foreground click, or within a box.

        None for other prompts, and where it shows nothing. Its predicted IoU is its stability:
        of what lies above logit -1, the share that also lies above 1.
        """
        if prompts.foreground != (() if prompts.box else (True,)):
            return None
        steps = self.of(image)
        scale = np.divide(steps.shape, image.shape[:2])

        def above(level: int) -> BoolMask:
            if prompts.box is None:
                place = np.clip(scale * prompts.points[0], 0, np.array(steps.shape) - 1)
                return object_at(steps > level, *place.astype(int).tolist())
            top, left, bottom, right = np.rint(np.tile(scale, 2) * prompts.box).astype(int)
            found = np.zeros(steps.shape, bool)
            inside = np.s_[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
            found[inside] = steps[inside] > level
            return found

        shown = above(0)
        if not shown.any():
            return None
        certain = np.count_nonzero(shown & (steps > DEFECT_STEPS))
        # Between the map's pixels an outline lies where it does in the map.
        alone = torch.from_numpy(np.where(shown | (steps <= 0), steps, -DEFECT_STEPS)[None, None])
        mask = sized(alone.float(), image.shape[:2]) > 0
        return PredictedMask(mask, certain / np.count_nonzero(above(-DEFECT_STEPS)))

    def mapped(
        self,
        pool: CandidatePool,
        image: NDArray[np.uint8],
        difference: Difference | None,
        alone: bool,
    ) -> CandidatePool:
        """Return candidates with the maps of their image: beside a difference, and `alone`."""
        if alone or difference is None:
            pool = replace(pool, defect_logits=self.of(image))
        if difference is not None:
            pool = replace(pool, compared_logits=self.of(image, difference))
        return pool

    def _levels(self, image: NDArray[np.uint8], gray: NDArray[np.uint8]) -> list[Tensor]:
        known = self._images.seen(image) if self._own else None
        return known or encoded(self._trunk, gray)

    @property
    def _own(self) -> bool:
        """Whether the network that gives the candidates is the bundled one."""
        return self._trunk is self._network.image_encoder.trunk

    @cached_property
    def _trunk(self) -> LiteTrunk:
        from napari_semxai.backends.sam2.checkpoints import build_bundled

        network = self._network
        if not isinstance(network.image_encoder.trunk, LiteTrunk):
            network = build_bundled(BUNDLED_WEIGHTS).eval()
        trunk: LiteTrunk = network.image_encoder.trunk
        return trunk


@cache
def _ready(weights: Path) -> tuple[Head, tuple[float, float]]:
    head, grey = bundled_head(weights)
    return head.eval(), grey
