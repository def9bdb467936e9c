"""Attention between a few tokens and many image positions, as products of small rank.

With T tokens and H heads, every attention between tokens and an image of N positions has only
``H * T`` distinct rows, so projecting the tokens through the image side's weights replaces the
projection of all N positions. The functions here are the attention layers of SAM 2's mask
decoder in that form: equal to the originals up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Projections:
    """Weights of one attention layer, split by head.

    Attributes
    ----------
    q, k, v : Tensor, shape (H, c, D)
        Input projections.
    q_bias, k_bias, v_bias : Tensor, shape (H, 1, c)
        Their biases.
    out : Tensor, shape (H, c, D)
        Output projection, transposed.
    out_bias : Tensor, shape (D,)
        Its bias.
    scale : float
        Factor on the logits, ``c ** -0.5``.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    q_bias: Tensor
    k_bias: Tensor
    v_bias: Tensor
    out: Tensor
    out_bias: Tensor
    scale: float

    @classmethod
    def of(cls, attention: Any) -> Projections:
        """Split the weights of a ``sam2`` attention module by head."""
        heads = int(attention.num_heads)
        width = attention.internal_dim // heads

        def split(linear: Any) -> tuple[Tensor, Tensor]:
            weight = linear.weight.detach().reshape(heads, width, -1)
            return weight, linear.bias.detach().reshape(heads, 1, width)

        q, q_bias = split(attention.q_proj)
        k, k_bias = split(attention.k_proj)
        v, v_bias = split(attention.v_proj)
        out = attention.out_proj.weight.detach().t().reshape(heads, width, -1).contiguous()
        out_bias = attention.out_proj.bias.detach()
        return cls(q, k, v, q_bias, k_bias, v_bias, out, out_bias, float(width**-0.5))

    def queries(self, tokens: Tensor) -> Tensor:
        """Scaled queries of tokens (B, T, D), shape (B, H, T, c)."""
        projected = torch.matmul(tokens.unsqueeze(1), self.q.transpose(1, 2))
        return (projected + self.q_bias) * self.scale

    def values_out(self, tokens: Tensor) -> Tensor:
        """Values of tokens (B, T, D) taken through the output projection, (B, H * T, D).

        The weights over the tokens sum to one in each head, so a share of the output bias in
        every row adds up to the bias itself.
        """
        values = torch.matmul(tokens.unsqueeze(1), self.v.transpose(1, 2)) + self.v_bias
        rows = torch.matmul(values, self.out) + self.out_bias / len(self.q)
        return rows.flatten(1, 2)

    def recombine(self, context: Tensor) -> Tensor:
        """Take per-head context (B, H, T, c) through the output projection, (B, T, D)."""
        return torch.matmul(context, self.out).sum(dim=1) + self.out_bias


def tokens_to_shared_image(
    layer: Projections, tokens: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """Attend from tokens to one image whose keys and values are known already.

    Parameters
    ----------
    layer : Projections
        The attention layer.
    tokens : Tensor, shape (B, T, D)
        Tokens with their position encoding.
    keys, values : Tensor, shape (H, N, c)
        Projected image, the same for every prompt.

    Returns
    -------
    Tensor, shape (B, T, D)
    """
    batch, count = tokens.shape[:2]
    queries = layer.queries(tokens).transpose(0, 1).flatten(1, 2)
    weights = torch.bmm(queries, keys.transpose(1, 2)).softmax(dim=-1)
    context = torch.bmm(weights, values)
    return layer.recombine(context.unflatten(1, (batch, count)).transpose(0, 1))


def tokens_to_image(layer: Projections, tokens: Tensor, placed: Tensor, image: Tensor) -> Tensor:
    """Attend from tokens to an image of their own.

    The key bias adds the same number to a whole row of logits and cancels in the softmax.

    Parameters
    ----------
    layer : Projections
        The attention layer.
    tokens : Tensor, shape (B, T, D)
        Tokens with their position encoding.
    placed, image : Tensor, shape (B, N, D)
        Image with and without its position encoding.

    Returns
    -------
    Tensor, shape (B, T, D)
    """
    queries = layer.queries(tokens)
    folded = torch.matmul(queries, layer.k).flatten(1, 2)
    weights = torch.bmm(folded, placed.transpose(1, 2)).softmax(dim=-1)
    context = torch.bmm(weights, image).unflatten(1, queries.shape[1:3])
    values = torch.matmul(context, layer.v.transpose(1, 2)) + layer.v_bias
    return layer.recombine(values)


def shared_image_to_tokens(layer: Projections, tokens: Tensor, queries: Tensor) -> Tensor:
    """Attention weights of one shared image over each prompt's tokens.

    Parameters
    ----------
    layer : Projections
        The attention layer.
    tokens : Tensor, shape (B, T, D)
        Tokens with their position encoding.
    queries : Tensor, shape (H, c, N)
        Scaled queries of the image.

    Returns
    -------
    Tensor, shape (B, H * T, N)
    """
    keys = torch.matmul(tokens.unsqueeze(1), layer.k.transpose(1, 2)) + layer.k_bias
    return torch.matmul(keys, queries).softmax(dim=2).flatten(1, 2)


def image_to_tokens(layer: Projections, tokens: Tensor, placed: Tensor) -> Tensor:
    """Attention weights of each prompt's own image over its tokens.

    Parameters
    ----------
    layer : Projections
        The attention layer.
    tokens : Tensor, shape (B, T, D)
        Tokens with their position encoding.
    placed : Tensor, shape (B, N, D)
        Image with its position encoding.

    Returns
    -------
    Tensor, shape (B, H * T, N)
    """
    keys = torch.matmul(tokens.unsqueeze(1), layer.k.transpose(1, 2)) + layer.k_bias
    keys = keys * layer.scale
    folded = torch.matmul(keys, layer.q).flatten(1, 2)
    # The query bias differs from token to token, so unlike the key bias it does not cancel.
    constant = torch.matmul(keys, layer.q_bias.transpose(1, 2)).flatten(1, 2)
    logits = torch.baddbmm(constant, folded, placed.transpose(1, 2))
    attention: Tensor = logits.unflatten(1, keys.shape[1:3]).softmax(dim=2).flatten(1, 2)
    return attention
