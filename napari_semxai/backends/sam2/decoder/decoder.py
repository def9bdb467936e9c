"""SAM 2's mask decoder for many prompts on one image.

The decoder of the ``sam2`` package repeats the image for every prompt and upscales every mask.
`SharedImageDecoder` computes the same function up to rounding: what depends on the image alone
is computed once, no prompt has an image of its own (`sam2_attention`), the predicted IoU is
known before any upscaling, and upscaling is a chain of matrix products (`sam2_upscale`).

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

from napari_semxai.backends.sam2.decoder.attention import (
    HeadMap,
    NormMaps,
    PromptImage,
    norm_weights,
)

CACHED_POSITIONS = 8192
"""Positions of prompts' images that a CPU works on at once."""
BLOCK = 512
"""Image positions upscaled at once on a CPU."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What tokens see of the shared image.

    Attributes
    ----------
    keys, values : HeadMap
        The image side of the attention; keys have the position encoding.
    """

    keys: HeadMap
    values: HeadMap

    def attend(self, attention: Any, tokens: Tensor, images: list[PromptImage]) -> Tensor:
        """Attend from tokens (B, T, D) to their images; shape (B, T, D)."""
        queries = _project(attention.q_proj, attention, tokens) * _scale(attention)
        attended = [
            self.values.mean(self.keys.logits(query, image).softmax(dim=-1), image)
            for query, image in zip(queries.chunk(len(images)), images, strict=True)
        ]
        answer: Tensor = attention.out_proj(torch.cat(attended).transpose(1, 2).flatten(2))
        return answer


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The shared image before one layer.

    Attributes
    ----------
    look : Look
        Read by the tokens.
    queries : HeadMap
        Reads the tokens.
    norm : NormMaps
        Takes what was read.
    """

    look: Look
    queries: HeadMap
    norm: NormMaps

    def answer(self, keys: Tensor, values: Tensor, image: PromptImage) -> PromptImage:
        """Attend from the images to tokens with these keys and values, shape (B, H, T, c)."""
        logits = self.queries.logits(keys, image).unflatten(1, keys.shape[1:3])
        return self.norm.add(image, logits.softmax(dim=2).flatten(1, 2), values)


@dataclass(frozen=True, slots=True, eq=False)
class SharedImage:
    """What the decoder needs of one image, computed once.

    Attributes
    ----------
    stages : tuple of Stage
        Layer by layer.
    last : Look
        What the tokens see in the end.
    upscale : UpscaleMaps
        For the masks.
    """

    stages: tuple[Stage, ...]
    last: Look
    upscale: UpscaleMaps


@dataclass(frozen=True, slots=True, eq=False)
class DecodedTokens:
    """The transformer's answer to a batch of prompts, before any mask exists.

    Attributes
    ----------
    images : list of PromptImage
        The image as each prompt sees it, B batches of one.
    hyper : Tensor, shape (B, K, D / 8)
        What turns an upscaled image into each mask's logits: the single mask first, then the
        three of an ambiguous prompt.
    predicted_iou : Tensor, shape (B, K)
        The network's own estimate of each mask's IoU.
    """

    images: list[PromptImage]
    hyper: Tensor
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
        self._norms = norm_weights(self._layers)
        self._final = transformer.final_attn_token_to_image
        self._final_norm = transformer.norm_final_attn
        self._upscaler = Upscaler(self._decoder.output_upscaling)

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
        base = (embedding + dense)[0].flatten(1).t().contiguous()
        position = self._prompts.get_dense_pe()[0].flatten(1).t()
        # Kept apart, because the scale of a prompt's image does not multiply it.
        bias = torch.zeros_like(base[:1])
        stages: list[Stage] = []
        for layer, weights in zip(self._layers, self._norms, strict=True):
            answer = layer.cross_attn_image_to_token
            look = _look(layer.cross_attn_token_to_image, base, position, bias)
            queries = HeadMap.of(answer.q_proj, answer.num_heads, base, position + bias)
            # No prompt has changed the image before the first layer: one product less for each.
            if not stages:
                look, queries = Look(look.keys.merged(), look.values.merged()), queries.merged()
            norm, base = NormMaps.of(weights, base)
            stages.append(Stage(look, queries, norm))
            bias = layer.norm4.bias.detach()[None]
        last = _look(self._final, base, position, bias)
        grid = (int(embedding.shape[-2]), int(embedding.shape[-1]))
        # Checkpoints of SAM 2 without them upscale from the embedding alone.
        features = high_resolution if self._decoder.use_high_res_features else []
        upscale = self._upscaler.share(grid, base, bias, features)
        return SharedImage(tuple(stages), last, upscale)

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
        output_tokens = [decoder.iou_token.weight, decoder.mask_tokens.weight]
        if decoder.pred_obj_scores:
            # The order in which the published weights were trained.
            output_tokens.insert(0, decoder.obj_score_token.weight)
        first = len(output_tokens) - 2
        last = first + 1 + decoder.num_mask_tokens
        tokens = torch.cat([torch.cat(output_tokens).expand(len(prompts), -1, -1), prompts], dim=1)
        # On a CPU few images at a time stay in the cache, while tokens are cheaper together.
        together = max(1, CACHED_POSITIONS // len(shared.stages[0].norm.energy))
        count = -(-len(tokens) // together) if tokens.device.type == "cpu" else 1
        images = [PromptImage.unchanged(tokens)] * count
        queries = tokens
        for layer, stage in zip(self._layers, shared.stages, strict=True):
            queries, images = _two_way(layer, stage, queries, tokens, images)
        wanted, placed = queries[:, first:last], (queries + tokens)[:, first:last]
        answer = self._final_norm(wanted + shared.last.attend(self._final, placed, images))
        singles = [each.one(i) for each in images for i in range(len(each.rows))]
        networks = decoder.output_hypernetworks_mlps
        hyper = torch.stack([net(answer[:, 1 + k]) for k, net in enumerate(networks)], dim=1)
        return DecodedTokens(singles, hyper, decoder.iou_prediction_head(answer[:, 0]))

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
        hyper = decoded.hyper[prompt, masks]
        return self._upscaler.logits(shared.upscale, decoded.images[prompt], hyper)

    def masks(
        self, shared: SharedImage, prompts: Tensor, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Answer prompts with three masks each, or with one.

        Parameters are those of `decode`, and whether there are to be three masks.

        Returns
        -------
        logits, predicted_iou : Tensor, shapes (B, k, 4 h, 4 w) and (B, k)
        """
        heads = self._decoder
        single = not multimask and not heads.dynamic_multimask_via_stability
        wanted = [0] if single else list(range(int(multimask), heads.num_mask_tokens))
        decoded = self.decode(shared, prompts)
        iou = decoded.predicted_iou[:, wanted]
        logits = torch.stack([self.upscale(shared, decoded, i, wanted) for i in range(len(iou))])
        if not multimask and not single:
            logits, iou = heads._dynamic_multimask_via_stability(logits, iou)
        return logits, iou


def _two_way(
    layer: Any, stage: Stage, queries: Tensor, tokens: Tensor, images: list[PromptImage]
) -> tuple[Tensor, list[PromptImage]]:
    """One layer of the transformer: tokens (B, T, D) look at the images, then the other way."""
    if layer.skip_first_layer_pe:
        queries = layer.norm1(layer.self_attn(q=queries, k=queries, v=queries))
    else:
        placed = queries + tokens
        queries = layer.norm1(queries + layer.self_attn(q=placed, k=placed, v=queries))
    attended = stage.look.attend(layer.cross_attn_token_to_image, queries + tokens, images)
    queries = layer.norm2(queries + attended)
    queries = layer.norm3(queries + layer.mlp(queries))
    answer = layer.cross_attn_image_to_token
    keys = _project(answer.k_proj, answer, queries + tokens) * _scale(answer)
    values = _project(answer.v_proj, answer, queries)
    parts = zip(keys.chunk(len(images)), values.chunk(len(images)), images, strict=True)
    return queries, [stage.answer(key, value, image) for key, value, image in parts]


def _scale(attention: Any) -> float:
    return float((attention.internal_dim // attention.num_heads) ** -0.5)


def _project(linear: Any, attention: Any, tokens: Tensor) -> Tensor:
    """Project tokens (B, T, D) and split them by head, shape (B, H, T, c)."""
    projected: Tensor = linear(tokens).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
    return projected


def _look(attention: Any, base: Tensor, position: Tensor, bias: Tensor) -> Look:
    heads = int(attention.num_heads)
    keys = HeadMap.of(attention.k_proj, heads, base, position + bias)
    return Look(keys, HeadMap.of(attention.v_proj, heads, base, bias))


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
            # In the order in which the products yield positions: nothing is moved later.
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
        # A block stays in the processor's cache from the first product to the last.
        step = BLOCK if hyper.device.type == "cpu" else len(scale)
        norm, pieces = self._norm, []
        for start in range(0, len(scale), step):
            rows_here, fine = slice(start, start + step), slice(4 * start, 4 * (start + step))
            x = torch.addcmul(maps.middle[rows_here], maps.base[rows_here], scale[rows_here])
            x = x.addmm_(rows[:, rows_here].t(), vectors).view(-1, len(norm.weight))
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
