"""A learned network: the bundled encoder, a small dense head, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from napari_semxai.backends.runtime.tensor_files import DAMAGED
from napari_semxai.backends.sam2.image import network_input
from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
from napari_semxai.store.project.learned import CARD, read_version
from napari_semxai.types import InputError
from napari_semxai.types.learned import LearnedMask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SIDE = 512
"""Edge of what the encoder sees, in pixels."""
CELLS = SIDE // 16
"""Cells of the coarsest level along each side."""
LEVELS = (72, 104, 240)
"""Channels of the encoder at strides 4, 8 and 16 that the head reads."""
LARGEST = 1024
"""Edge up to which the head sees every pixel; of larger images it sees a smaller copy."""
_WIDTH, _FINE = 32, 12
_SMOOTH = 12.0
_STRONG = 5


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

    def standardise(self, features: list[list[Tensor]]) -> None:
        """Take mean and deviation of every channel from the features of some images."""
        for index in range(len(LEVELS)):
            values = torch.cat([levels[index] for levels in features]).float()
            getattr(self, f"mean{index}").copy_(values.mean((0, 2, 3), keepdim=True))
            getattr(self, f"scale{index}").copy_(1 / (values.std((0, 2, 3), keepdim=True) + 1e-3))

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


@dataclass(frozen=True, slots=True)
class Calibration:
    """From the strength of what is found to how probable it is that there is a defect.

    Attributes
    ----------
    slope, offset : float
        Of the logistic function.
    """

    slope: float = 1.0
    offset: float = 0.0

    def probability(self, strength: float) -> float:
        """Return the probability of a defect in an image with this strongest component."""
        return float(1 / (1 + np.exp(-(self.slope * strength + self.offset))))


@torch.inference_mode()
def encoded(trunk: LiteTrunk, gray: NDArray[np.uint8]) -> list[Tensor]:
    """Return what the encoder says of an image (M, N), at strides 4, 8 and 16, as float16."""
    # A copy: images are read-only, which torch does not like.
    pixels = torch.from_numpy(gray.astype(np.float32) / 255)[None]
    return [level.half() for level in trunk(network_input(pixels, SIDE))[: len(LEVELS)]]


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


def strongest(logits: NDArray[np.float32]) -> float:
    """Return how sure the head is of what it is surest of: its logit over a few pixels."""
    return float(ndimage.uniform_filter(logits, _STRONG).max())


def decided(
    logits: NDArray[np.float32], calibration: Calibration
) -> tuple[NDArray[np.bool_], float]:
    """Return the mask (M, N) that logits mean, empty where "no defect" is likelier, and how sure.

    Components that are much weaker than what makes up a defect are left out.
    """
    smooth = ndimage.uniform_filter(logits, _STRONG)
    presence = calibration.probability(float(smooth.max()))
    if presence < 0.5:
        return np.zeros(logits.shape, bool), 1 - presence
    labels, count = ndimage.label(logits > 0, np.ones((3, 3)))
    peaks = np.asarray(ndimage.maximum(smooth, labels, np.arange(count + 1)))
    kept = np.array([calibration.probability(peak) >= 0.5 for peak in peaks])
    kept[0] = False
    return kept[labels], presence


def certainty(
    logits: NDArray[np.float32], mask: NDArray[np.bool_], calibration: Calibration
) -> float:
    """Return how far a mask (M, N), not empty, is to be believed, from the logits that made it.

    The IoU to expect if every pixel is a defect's as its logit says, times the probabilities that
    every part of the mask is a defect, and that none lies elsewhere.
    """
    chances = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    inside, area = float(chances[mask].sum()), int(np.count_nonzero(mask))
    overlap = inside / (area + float(chances.sum()) - inside)
    smooth = ndimage.uniform_filter(logits, _STRONG)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    peaks = np.asarray(ndimage.maximum(smooth, labels, np.arange(1, count + 1)))
    real = np.prod([calibration.probability(peak) for peak in peaks])
    far = ~ndimage.maximum_filter(mask, 2 * _STRONG + 1)
    missed = calibration.probability(float(smooth[far].max(initial=-60)))
    return overlap * float(real) * (1 - missed)


class LearnedNetwork:
    """The encoder and the heads of all folds, whose mean answers.

    Parameters
    ----------
    trunk : LiteTrunk
        The encoder.
    heads : sequence of Head
        Each was trained on other images.
    calibration : Calibration
        From logits to "defect" or "no defect".
    grey : tuple of float
        Mean and deviation of the grey levels that were learned from.
    seen : Tensor, shape (n, c)
        What the images look like to the encoder that were learned from.
    """

    def __init__(
        self,
        trunk: LiteTrunk,
        heads: Sequence[Head],
        calibration: Calibration,
        grey: tuple[float, float],
        seen: Tensor,
    ) -> None:
        self.sha256 = ""
        """Of its file; "" before it is in one."""
        self.trunk, self.heads = trunk.eval(), [head.eval() for head in heads]
        self.calibration, self.grey, self.seen = calibration, grey, seen
        self._usual = _usual_distance(seen)

    @classmethod
    def load(cls, path: Path) -> LearnedNetwork:
        """Read a learned network; its file holds numbers only, and nothing in it runs.

        Raises
        ------
        InputError
            When it is missing, damaged, or something else.
        """
        known = read_version(path)
        card = known.card
        try:
            state = {name: value.float() for name, value in load_file(path).items()}
            trunk, heads = LiteTrunk(), [Head() for _ in range(int(card["heads"]))]
            trunk.load_state_dict(_part(state, "trunk."))
            for number, head in enumerate(heads):
                head.load_state_dict(_part(state, f"heads.{number}."))
            calibration = Calibration(*map(float, card["calibration"]))
            level, spread = map(float, card["grey"])
            network = cls(trunk, heads, calibration, (level, spread), state["seen"])
        except (*DAMAGED, KeyError) as error:
            raise InputError(f"{path}: is no learned network, or is damaged ({error})") from error
        network.sha256 = known.sha256
        return network

    def content(self, card: str) -> bytes:
        """Return the file's bytes, with its card."""
        state = {f"trunk.{name}": value for name, value in self.trunk.state_dict().items()}
        for number, head in enumerate(self.heads):
            state |= {f"heads.{number}.{name}": one for name, one in head.state_dict().items()}
        state["seen"] = self.seen
        # The encoder lies in its own file as float16, too: nothing is lost.
        halves = {name: value.half().contiguous() for name, value in state.items()}
        return save(halves, {CARD: card})

    @torch.inference_mode()
    def answer(self, gray: NDArray[np.uint8]) -> LearnedMask:
        """Return the mask of an image (M, N), how sure it is, and how unlike the image is."""
        levels = encoded(self.trunk, gray)
        pixels = pixels_of(gray, *self.grey)
        logits = torch.stack([head(pixels, levels) for head in self.heads]).mean(0)
        full = sized(logits, gray.shape)
        mask, confidence = decided(full, self.calibration)
        if mask.any():
            confidence = certainty(full, mask, self.calibration)
        distance = float((self.seen - pooled(levels)).norm(dim=1).min()) if len(self.seen) else 0
        return LearnedMask(mask, confidence, distance / self._usual)


def pooled(levels: Sequence[Tensor]) -> Tensor:
    """Return what an image looks like as a whole, shape (c,): means of the coarsest level."""
    return levels[-1].float().mean((0, 2, 3))


def sized(logits: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return logits (1, 1, m, n) at the image's own size (M, N)."""
    size = [shape[0], shape[1]]
    if list(logits.shape[-2:]) != size:
        logits = functional.interpolate(logits, size, mode="bilinear")
    return np.asarray(logits[0, 0].numpy(), np.float32)


def _usual_distance(seen: Tensor) -> float:
    """Return how far an image is from the nearest other one, nearly always."""
    if len(seen) < 3:
        return float("inf")
    apart = torch.cdist(seen, seen) + torch.diag(torch.full((len(seen),), float("inf")))
    return max(float(apart.min(1).values.quantile(0.9)), 1e-6)


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: one for name, one in state.items() if name.startswith(prefix)}
