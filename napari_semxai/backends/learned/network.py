"""A learned network: the bundled encoder, a small dense head, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save
from scipy import ndimage
from torch import Tensor

from napari_semxai.algorithms.algorithm1.evidence import stability
from napari_semxai.backends.runtime.tensor_files import DAMAGED
from napari_semxai.backends.sam2.dense import Head, encoded, pixels_of, sized
from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
from napari_semxai.store.project.learned import CARD, read_version
from napari_semxai.types import InputError
from napari_semxai.types.learned import LearnedMask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_STRONG = 5


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
            confidence = stability(full)
        distance = float((self.seen - pooled(levels)).norm(dim=1).min()) if len(self.seen) else 0
        return LearnedMask(mask, confidence, distance / self._usual)


def pooled(levels: Sequence[Tensor]) -> Tensor:
    """Return what an image looks like as a whole, shape (c,): means of the coarsest level."""
    return levels[-1].float().mean((0, 2, 3))


def _usual_distance(seen: Tensor) -> float:
    """Return how far an image is from the nearest other one, nearly always."""
    if len(seen) < 3:
        return float("inf")
    apart = torch.cdist(seen, seen) + torch.diag(torch.full((len(seen),), float("inf")))
    return max(float(apart.min(1).values.quantile(0.9)), 1e-6)


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: one for name, one in state.items() if name.startswith(prefix)}
