"""Where the decoder's training starts: attention that already looks at the click.

From random weights the decoder first learns what stands out and, on a plateau, nothing about where
the click is. Query and key projections that are equal and copy parts of the positional encoding
make every attention between tokens and image fall off with the distance from the click
(cf. Trockman & Kolter 2023, mimetic initialisation).
"""

from __future__ import annotations

import torch
from sam2.modeling.sam.transformer import Attention
from torch import nn

SCALE = 1.5
EMBEDDING_RMS = 0.5


@torch.no_grad()
def look_at_the_click(network: nn.Module) -> None:
    """Let all attention between tokens and image compare places."""
    matrix = network.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    order = matrix.norm(dim=0).argsort().tolist()
    for name, module in network.sam_mask_decoder.transformer.named_modules():
        if isinstance(module, Attention) and "image" in name:
            selection = _selection(order, module)
            for projection in (module.q_proj, module.k_proj):
                projection.weight.copy_(SCALE * selection)
                projection.bias.zero_()


def _selection(order: list[int], module: Attention) -> torch.Tensor:
    """Rows that pick sines and cosines, coarse to fine ones for every head."""
    width, channels = module.q_proj.weight.shape
    heads, pairs = module.num_heads, width // module.num_heads // 2
    selection = torch.zeros(width, channels)
    for row in range(0, width, 2):
        head, pair = divmod(row // 2, pairs)
        frequency = order[(pair * heads + head) * len(order) // (pairs * heads)]
        selection[row, frequency] = 1
        selection[row + 1, len(order) + frequency] = 1
    return selection


@torch.no_grad()
def quieten(network: nn.Module, images: torch.Tensor) -> None:
    """Scale the neck so that image features do not drown the positional encoding."""
    embedding = network.forward_image(images)["backbone_fpn"][2]
    for parameter in network.image_encoder.neck.convs.parameters():
        parameter.mul_(EMBEDDING_RMS / embedding.square().mean().sqrt())
