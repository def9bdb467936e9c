"""From a prompt's image to mask logits: two transposed convolutions as matrix products.

Channels come last, and a block of positions passes through all steps while it is in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from napari_semxai.backends.sam2.decoder.attention import PromptImage

BLOCK = 512
"""Image positions upscaled at once on a CPU."""


@dataclass(frozen=True, slots=True, eq=False)
class UpscaleMaps:
    """What upscaling needs of an image that all prompts share.

    Attributes
    ----------
    grid : tuple of int
        (h, w) of the embedding, N = h * w; masks have four times that size.
    base : Tensor, shape (N, 4 * D / 4)
        The base of the decoded image after the first convolution.
    middle : Tensor, shape (N, 4 * D / 4)
        Added after the first convolution: biases and high-resolution features.
    fine : Tensor, shape (4 * N, 4 * D / 8)
        The same after the second convolution.
    """

    grid: tuple[int, int]
    base: Tensor
    middle: Tensor
    fine: Tensor


class Upscaler:
    """The upscaling part of a mask decoder.

    Parameters
    ----------
    layers : torch.nn.Sequential
        ``output_upscaling`` of a ``sam2`` mask decoder: convolution, norm, GELU, convolution,
        GELU.
    """

    def __init__(self, layers: Any) -> None:
        first, self._norm, _, second, _ = layers
        self._first, self._first_bias = _as_product(first)
        self._second, self._second_bias = _as_product(second)

    def share(
        self, grid: tuple[int, int], base: Tensor, bias: Tensor, features: list[Tensor]
    ) -> UpscaleMaps:
        """Compute what all prompts on one image have in common.

        Parameters
        ----------
        grid : tuple of int
            (h, w) of the embedding.
        base, bias : Tensor, shapes (N, D) and (1, D)
            Those of the decoded `PromptImage`.
        features : list of Tensor
            High-resolution features, finest first; empty if the network has none.
        """
        height, width = grid
        middle = (self._first_bias + bias @ self._first).expand(height * width, -1)
        fine = self._second_bias.expand(4 * height * width, -1)
        if features:
            finest, coarser = features
            coarser = coarser.reshape(-1, height, 2, width, 2).permute(1, 3, 2, 4, 0)
            finest = finest.reshape(-1, height, 2, 2, width, 2, 2).permute(1, 4, 2, 5, 3, 6, 0)
            middle = middle + coarser.reshape(middle.shape)
            fine = fine + finest.reshape(fine.shape)
        return UpscaleMaps(grid, base @ self._first, middle, fine)

    def logits(self, maps: UpscaleMaps, image: PromptImage, hyper: Tensor) -> Tensor:
        """Mask logits of one prompt.

        Parameters
        ----------
        maps : UpscaleMaps
            The shared image.
        image : PromptImage
            The prompt's image, a batch of one.
        hyper : Tensor, shape (k, D / 8)
            Weights of the wanted masks.

        Returns
        -------
        Tensor of float32, shape (k, 4 h, 4 w)
        """
        vectors, scale = image.vectors[0] @ self._first, image.scale[0].t()
        rows = image.rows[0] * image.scale[0]
        step = BLOCK if hyper.device.type == "cpu" else len(scale)
        norm, pieces = self._norm, []
        for start in range(0, len(scale), step):
            own, fine = slice(start, start + step), slice(4 * start, 4 * (start + step))
            x = torch.addcmul(maps.middle[own], maps.base[own], scale[own])
            x = x.addmm_(rows[:, own].t(), vectors).view(-1, len(norm.weight))
            x = functional.layer_norm(x, x.shape[1:], norm.weight, norm.bias, norm.eps)
            x = torch.addmm(maps.fine[fine], _gelu(x), self._second)
            pieces.append(hyper @ _gelu(x).view(-1, hyper.shape[1]).t())
        height, width = maps.grid
        nested = torch.cat(pieces, dim=1).view(-1, height, width, 2, 2, 2, 2)
        # Two neighbours of a row move as one 64-bit number: ten times faster.
        pairs = nested.view(torch.int64).squeeze(-1).permute(0, 1, 3, 5, 2, 4).contiguous()
        return pairs.view(torch.float32).view(-1, 4 * height, 4 * width)


def _gelu(x: Tensor) -> Tensor:
    """Exact GELU in place: a new tensor costs more than the function."""
    changed: Tensor = torch.ops.aten.gelu_(x)
    return changed


def _as_product(convolution: Any) -> tuple[Tensor, Tensor]:
    """Weights (in, 4 * out) and bias (4 * out,) of a 2 x 2 transposed convolution of stride 2."""
    weight = convolution.weight.detach()
    matrix = weight.permute(0, 2, 3, 1).reshape(len(weight), -1).contiguous()
    return matrix, convolution.bias.detach().repeat(4)
