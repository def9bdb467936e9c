"""SAM 2's mask decoder for many prompts on one image.

The decoder of the ``sam2`` package repeats the image for every prompt and upscales every mask.
`SharedImageDecoder` computes the same function up to rounding: what depends on the image alone
is computed once, attention is folded to small products (`sam2_attention`), the predicted IoU is
known before any upscaling, and upscaling is three matrix products that keep channels last.

References
----------
.. [1] N. Ravi et al., "SAM 2: Segment Anything in Images and Videos", arXiv:2408.00714.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from napari_semxai.backends.sam2_attention import (
    Projections,
    image_to_tokens,
    shared_image_to_tokens,
    tokens_to_image,
    tokens_to_shared_image,
)

UPSCALE_ROWS = 1024
"""Image positions upscaled at once on a CPU; keeps intermediate values in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedImage:
    """What the decoder needs of one image, computed once.

    Attributes
    ----------
    grid : tuple of int
        (h, w) of the embedding; masks have four times that size.
    image, position : Tensor, shape (1, N, D)
        Embedding with the dense prompt added, and its position encoding.
    keys, values : Tensor, shape (H, N, c)
        The first layer's projections, for tokens that look at the image.
    queries : Tensor, shape (H, c, N)
        The first layer's scaled projection, for the image that looks at tokens.
    mid : Tensor, shape (N or 1, 4 * D / 4)
        What is added after the first upscaling: bias and high-resolution features.
    fine : Tensor, shape (4 * N or 1, 4 * D / 8)
        The same after the second upscaling.
    """

    grid: tuple[int, int]
    image: Tensor
    position: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor
    mid: Tensor
    fine: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class DecodedTokens:
    """The transformer's answer to a batch of prompts, before any mask exists.

    Attributes
    ----------
    image : Tensor, shape (B, N, D)
        The image as each prompt sees it.
    mask_tokens : Tensor, shape (B, K, D)
        One token per mask: the single mask first, then the three of an ambiguous prompt.
    predicted_iou : Tensor, shape (B, K)
        The network's own estimate of each mask's IoU.
    """

    image: Tensor
    mask_tokens: Tensor
    predicted_iou: Tensor


class SharedImageDecoder:
    """Mask decoder of a ``sam2`` network for many prompts on one image.

    Parameters
    ----------
    network : sam2.modeling.sam2_base.SAM2Base
        The network in eval mode; its weights are read, never changed.
    """

    def __init__(self, network: Any) -> None:
        self._prompts = network.sam_prompt_encoder
        self._decoder = network.sam_mask_decoder
        transformer = self._decoder.transformer
        self._layers = list(transformer.layers)
        self._to_image = [Projections.of(x.cross_attn_token_to_image) for x in self._layers]
        self._to_tokens = [Projections.of(x.cross_attn_image_to_token) for x in self._layers]
        self._final = Projections.of(transformer.final_attn_token_to_image)
        self._final_norm = transformer.norm_final_attn
        first, self._norm, self._act, second, self._act_fine = self._decoder.output_upscaling
        self._mid_weight, self._mid_bias = _as_product(first)
        self._fine_weight, self._fine_bias = _as_product(second)

    def share(
        self, embedding: Tensor, high_resolution: list[Tensor], dense: Tensor | None = None
    ) -> SharedImage:
        """Compute what all prompts on one image have in common.

        Parameters
        ----------
        embedding : Tensor, shape (1, D, h, w)
            Image embedding.
        high_resolution : list of Tensor
            Features of shapes (1, D / 8, 4 h, 4 w) and (1, D / 4, 2 h, 2 w); may be empty.
        dense : Tensor, shape (1, D, h, w), optional
            Embedding of a mask prompt; that of "no mask" by default.
        """
        if dense is None:
            dense = self._prompts.no_mask_embed.weight.detach().reshape(1, -1, 1, 1)
        image = (embedding + dense).flatten(2).transpose(1, 2).contiguous()
        position = self._prompts.get_dense_pe().flatten(2).transpose(1, 2).contiguous()
        placed = image + position
        look, answer = self._to_image[0], self._to_tokens[0]
        grid = (int(embedding.shape[-2]), int(embedding.shape[-1]))
        mid, fine = self._added(grid, high_resolution)
        queries = torch.matmul(placed, answer.q.transpose(1, 2)) + answer.q_bias
        return SharedImage(
            grid=grid,
            image=image,
            position=position,
            keys=torch.matmul(placed, look.k.transpose(1, 2)) + look.k_bias,
            values=torch.matmul(image, look.v.transpose(1, 2)) + look.v_bias,
            queries=queries.mul(answer.scale).transpose(1, 2).contiguous(),
            mid=mid,
            fine=fine,
        )

    def _added(self, grid: tuple[int, int], features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Biases and high-resolution features in the order `upscale` computes in."""
        rows, cols = grid
        mid = self._mid_bias.expand(rows * cols, -1)
        fine = self._fine_bias.expand(4 * rows * cols, -1)
        if not self._decoder.use_high_res_features:
            return mid, fine
        finest, middle = features
        middle = middle.reshape(-1, rows, 2, cols, 2).permute(1, 3, 2, 4, 0)
        finest = finest.reshape(-1, rows, 2, 2, cols, 2, 2).permute(1, 4, 2, 5, 3, 6, 0)
        return mid + middle.reshape(mid.shape), fine + finest.reshape(fine.shape)

    def decode(self, shared: SharedImage, prompts: Tensor) -> DecodedTokens:
        """Run the transformer and predict each mask's quality, without any mask.

        Parameters
        ----------
        shared : SharedImage
            The image, from `share`.
        prompts : Tensor, shape (B, P, D)
            Sparse prompt embeddings; every prompt has the same number of them.
        """
        decoder = self._decoder
        own = [decoder.iou_token.weight, decoder.mask_tokens.weight]
        if decoder.pred_obj_scores:
            own.insert(0, decoder.obj_score_token.weight)
        first = len(own) - 2
        last = first + 1 + decoder.num_mask_tokens
        tokens = torch.cat([torch.cat(own).expand(len(prompts), -1, -1), prompts], dim=1)
        queries, image = tokens, shared.image
        for index in range(len(self._layers)):
            queries, image = self._block(index, shared, (queries, tokens), image)
        wanted = queries[:, first:last]
        placed = image + shared.position
        answer = tokens_to_image(self._final, wanted + tokens[:, first:last], placed, image)
        answer = self._final_norm(wanted + answer)
        return DecodedTokens(image, answer[:, 1:], decoder.iou_prediction_head(answer[:, 0]))

    def _block(
        self, index: int, shared: SharedImage, both: tuple[Tensor, Tensor], image: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One two-way layer; the first one uses what prompts share."""
        layer, look, answer = self._layers[index], self._to_image[index], self._to_tokens[index]
        queries, tokens = both
        if layer.skip_first_layer_pe:
            queries = layer.norm1(layer.self_attn(q=queries, k=queries, v=queries))
        else:
            placed = queries + tokens
            queries = layer.norm1(queries + layer.self_attn(q=placed, k=placed, v=queries))
        image_placed = shared.position if index == 0 else image + shared.position
        if index == 0:
            seen = tokens_to_shared_image(look, queries + tokens, shared.keys, shared.values)
        else:
            seen = tokens_to_image(look, queries + tokens, image_placed, image)
        queries = layer.norm2(queries + seen)
        queries = layer.norm3(queries + layer.mlp(queries))
        if index == 0:
            weights = shared_image_to_tokens(answer, queries + tokens, shared.queries)
        else:
            weights = image_to_tokens(answer, queries + tokens, image_placed)
        image = image.expand(len(queries), -1, -1)
        image = torch.baddbmm(image, weights.transpose(1, 2), answer.values_out(queries))
        return queries, layer.norm4(image)

    def upscale(
        self, shared: SharedImage, decoded: DecodedTokens, prompt: int, masks: list[int]
    ) -> Tensor:
        """Mask logits of chosen masks of one prompt.

        Parameters
        ----------
        shared : SharedImage
            The image, from `share`.
        decoded : DecodedTokens
            The batch, from `decode`.
        prompt : int
            Index into the batch.
        masks : list of int
            Which of the prompt's K masks.

        Returns
        -------
        Tensor of float32, shape (len(masks), 4 h, 4 w)
        """
        networks = self._decoder.output_hypernetworks_mlps
        hyper = torch.stack([networks[k](decoded.mask_tokens[prompt, k]) for k in masks])
        image = decoded.image[prompt]
        step = UPSCALE_ROWS if image.device.type == "cpu" else len(image)
        norm, pieces = self._norm, []
        for start in range(0, len(image), step):
            stop = min(start + step, len(image))
            x = torch.addmm(shared.mid[start:stop], image[start:stop], self._mid_weight)
            x = x.view(-1, len(norm.weight))
            x = self._act(functional.layer_norm(x, x.shape[1:], norm.weight, norm.bias, norm.eps))
            x = torch.addmm(shared.fine[4 * start : 4 * stop], x, self._fine_weight)
            pieces.append(hyper @ self._act_fine(x).view(-1, hyper.shape[1]).t())
        rows, cols = shared.grid
        logits = torch.cat(pieces, dim=1).view(-1, rows, cols, 2, 2, 2, 2)
        return logits.permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, 4 * rows, 4 * cols)


def _as_product(convolution: Any) -> tuple[Tensor, Tensor]:
    """Weights (in, 4 * out) and bias (4 * out,) of a 2 x 2 transposed convolution of stride 2."""
    weight = convolution.weight.detach()
    matrix = weight.permute(0, 2, 3, 1).reshape(len(weight), -1).contiguous()
    return matrix, convolution.bias.detach().repeat(4)
