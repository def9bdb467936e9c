"""Attention between a few tokens and an image, without an image of its own for any prompt.

A prompt with T tokens and H heads changes the image of N positions and D channels only by
``H * T`` maps: after each layer of SAM 2's mask decoder its image is

    scale * (base + rows.T @ vectors) + bias

with a `base` of shape (N, D) and a `bias` that all prompts share. Every product with the image
is therefore a product with the shared base, known per image, and one with the few rows of the
prompt. The layer norm needs only the mean and the variance of each position, which follow from
the same products. All of this equals the original layers up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, eq=False)
class PromptImage:
    """The image as each prompt of a batch sees it: ``scale * (base + rows.T @ vectors) + bias``.

    Attributes
    ----------
    scale : Tensor, shape (B, 1, N)
        Factor of each position.
    rows : Tensor, shape (B, R, N)
        Attention to the tokens of all layers so far.
    vectors : Tensor, shape (B, R, D)
        What each row adds.
    values : tuple of Tensor, shape (B, H, T, c + 1)
        Values of the tokens, layer by layer, from which the vectors come; the last channel is 1.
    """

    scale: Tensor
    rows: Tensor
    vectors: Tensor
    values: tuple[Tensor, ...]

    @classmethod
    def unchanged(cls, like: Tensor) -> PromptImage:
        """Return the image before any layer, on the device of `like`."""
        none = like.new_empty(1, 0, 0)
        return cls(like.new_ones(1, 1, 1), none, none, ())

    def one(self, index: int) -> PromptImage:
        """Return the image of one prompt, a batch of one."""
        row = slice(index, index + 1)
        values = tuple(each[row] for each in self.values)
        return PromptImage(self.scale[row], self.rows[row], self.vectors[row], values)


def by_head(tokens: Tensor, maps: Tensor) -> Tensor:
    """Multiply tokens (B, H, T, c) and maps (H, c, N) head by head, shape (B, H * T, N).

    Nothing is copied in a batch of one.
    """
    batch, _, count, _ = tokens.shape
    products = torch.bmm(tokens.transpose(0, 1).flatten(1, 2), maps)
    split: Tensor = products.unflatten(1, (batch, count)).transpose(0, 1).flatten(1, 2)
    return split


@dataclass(frozen=True, slots=True, eq=False)
class HeadMap:
    """One projection of the image, split by head.

    Attributes
    ----------
    weight : Tensor, shape (H, c, D)
        The projection.
    base : Tensor, shape (H, c, N)
        The shared base, projected.
    fixed : Tensor, shape (H, c, N) or (H, c, 1)
        What no prompt changes, projected: position encoding and biases.
    """

    weight: Tensor
    base: Tensor
    fixed: Tensor

    @classmethod
    def of(cls, linear: Any, heads: int, base: Tensor, fixed: Tensor) -> HeadMap:
        """Project `base` (N, D) and `fixed` (N or 1, D) by a linear layer."""
        weight = linear.weight.detach().unflatten(0, (heads, -1))
        bias = linear.bias.detach().reshape(heads, -1, 1)
        return cls(weight, weight @ base.t(), weight @ fixed.t() + bias)

    def merged(self) -> HeadMap:
        """Return the projection of an image no prompt has changed yet."""
        return HeadMap(self.weight, self.base + self.fixed, self.fixed[..., :1].clone())

    def logits(self, tokens: Tensor, image: PromptImage) -> Tensor:
        """Multiply tokens (B, H, T, c) and the projected image, shape (B, H * T, N)."""
        # Before the first layer `merged` has put all that is fixed into the base.
        projected = by_head(tokens, self.base)
        if not image.values:
            return projected
        # The few rows of a prompt are projected to the tokens, not the whole image to the heads.
        folded = torch.matmul(tokens, self.weight).flatten(1, 2)
        projected = projected.baddbmm_(folded @ image.vectors.transpose(1, 2), image.rows)
        return torch.addcmul(by_head(tokens, self.fixed), projected, image.scale)

    def mean(self, weights: Tensor, image: PromptImage) -> Tensor:
        """Weighted means of the projected image, shape (B, H, T, c).

        Parameters
        ----------
        weights : Tensor, shape (B, H * T, N)
            They sum to 1 along the last axis.
        image : PromptImage
            The images.
        """
        heads = len(self.weight)
        scaled = weights * image.scale if image.values else weights
        split = scaled.unflatten(1, (heads, -1)).transpose(0, 1)
        projected = torch.bmm(split.flatten(1, 2), self.base.transpose(1, 2))
        means: Tensor = projected.unflatten(1, split.shape[1:3]).transpose(0, 1)
        if image.values:
            mixed = torch.bmm(scaled, image.rows.transpose(1, 2)).unflatten(1, (heads, -1))
            vectors = torch.matmul(image.vectors.unsqueeze(1), self.weight.transpose(1, 2))
            means = means + torch.matmul(mixed, vectors) + self.fixed.transpose(1, 2)
        return means


@dataclass(frozen=True, slots=True, eq=False)
class NormWeights:
    """What a layer norm does to the values of tokens that were added to the image before it.

    Attributes
    ----------
    out : tuple of Tensor, shape (H, c + 1, D)
        For each layer so far, from values to vectors of zero mean; the last row is the bias.
    gain : Tensor, shape (D,)
        Weight of the norm.
    eps : float
        Added to the variance.
    """

    out: tuple[Tensor, ...]
    gain: Tensor
    eps: float


def norm_weights(layers: Any) -> list[NormWeights]:
    """Return the weights of the image's norm in each layer of a ``sam2`` transformer."""
    weights: list[NormWeights] = []
    gain, constant = torch.ones(()), torch.zeros(())
    out: list[Tensor] = []
    for layer in layers:
        attention, norm = layer.cross_attn_image_to_token, layer.norm4
        heads = int(attention.num_heads)
        project = attention.out_proj
        matrix = project.weight.detach().t().unflatten(0, (heads, -1))
        # The attention of a position sums to 1 in each head: a share of the bias in each of them.
        bias = ((project.bias + constant) / heads).detach().expand(heads, 1, -1)
        out = [each * gain for each in out] + [torch.cat([matrix, bias], dim=1)]
        # The norm takes the mean away, which is as well done once in the weights.
        out = [each - each.mean(dim=-1, keepdim=True) for each in out]
        gain, constant = norm.weight.detach(), norm.bias.detach()
        weights.append(NormWeights(tuple(out), gain, norm.eps))
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class NormMaps:
    """The layer norm of an image to which attention was added.

    Attributes
    ----------
    weights : NormWeights
        Of the network.
    energy : Tensor, shape (N,)
        Squared length of the centred base at each position.
    cross : tuple of Tensor, shape (H, c + 1, N)
        Twice the product of ``weights.out`` and the centred base.
    """

    weights: NormWeights
    energy: Tensor
    cross: tuple[Tensor, ...]

    @classmethod
    def of(cls, weights: NormWeights, base: Tensor) -> tuple[NormMaps, Tensor]:
        """Return the maps of a base (N, D), and the base after the norm."""
        centred = base - base.mean(dim=1, keepdim=True)
        cross = tuple(2 * (out @ centred.t()) for out in weights.out)
        return cls(weights, centred.square().sum(dim=1), cross), centred * weights.gain

    def add(self, image: PromptImage, attention: Tensor, values: Tensor) -> PromptImage:
        """Add what the image positions read from the tokens, and normalize.

        Parameters
        ----------
        image : PromptImage
            The images before.
        attention : Tensor, shape (B, H * T, N)
            Weights over the T tokens, which sum to 1 in each head.
        values : Tensor, shape (B, H, T, c)
            Values of the tokens.
        """
        values = functional.pad(values, (0, 1), value=1.0)
        every, rows = (*image.values, values), attention
        if image.values:
            # All rows are multiplied by the scale later, so new ones are divided by the old.
            rows = torch.cat([image.rows, attention.div_(image.scale)], dim=1)
        pairs = zip(every, self.weights.out, strict=True)
        vectors = torch.cat([torch.matmul(v, out).flatten(1, 2) for v, out in pairs], dim=1)
        cross = torch.cat([by_head(v, c) for v, c in zip(every, self.cross, strict=True)], dim=1)
        cross = cross.baddbmm_(vectors @ vectors.transpose(1, 2), rows).mul_(rows)
        variance = (cross.sum(dim=1, keepdim=True) + self.energy) / vectors.shape[-1]
        # The norm's eps belongs to the scaled image; here everything is in units of the base.
        scale = torch.rsqrt(variance + self.weights.eps / image.scale.square())
        return PromptImage(scale, rows, vectors * self.weights.gain, every)
