"""Networks by the name of their architecture, still without trained weights."""

from __future__ import annotations

import re
from collections import OrderedDict
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_semxai.backends.sam2.lite_trunk import STAGES, SameConv
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


WIDTH = 672
# The later stages would halve the maps once more; explanations want them fine.
_USED_STAGES = STAGES[:5]


class LiteClassifier(nn.Module):
    """Chain of layers, global average, one linear layer.

    Parameters
    ----------
    num_classes : int
        How many classes.

    Attributes
    ----------
    features : nn.Sequential
        From an image (B, 3, M, N) to a map (B, 672, M / 16, N / 16) that is never negative.
    pool, classifier : nn.Module
        Global average and linear layer.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = _rectified(3, 32, 3, 2)
        inputs = 32
        for number, (repeats, kernel, stride, expand, outputs) in enumerate(_USED_STAGES, 1):
            hidden = inputs * expand
            if expand > 1:
                layers[f"expand{number}"] = _rectified(inputs, hidden, 1)
            layers[f"filter{number}"] = _rectified(hidden, hidden, kernel, stride, groups=hidden)
            layers[f"project{number}"] = nn.Conv2d(hidden, outputs, 1)
            if repeats > 1:
                layers[f"blocks{number}"] = nn.Sequential(
                    *(ResidualBlock(outputs, kernel, expand) for _ in range(repeats - 1))
                )
            inputs = outputs
        # Not ReLU6: a small defect must be able to outweigh the rest in the average.
        layers["head"] = nn.Sequential(nn.Conv2d(inputs, WIDTH, 1), nn.ReLU())
        self.features = nn.Sequential(layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(WIDTH, num_classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, classes) of images (B, 3, M, N)."""
        logits: torch.Tensor = self.classifier(torch.flatten(self.pool(self.features(image)), 1))
        return logits


class ResidualBlock(nn.Module):
    """Expand, filter each channel, project, add."""

    def __init__(self, channels: int, kernel: int, expand: int) -> None:
        super().__init__()
        hidden = channels * expand
        self.expand = _rectified(channels, hidden, 1)
        self.filter = _rectified(hidden, hidden, kernel, groups=hidden)
        self.project = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the shape that came in."""
        return features.add(self.project(self.filter(self.expand(features))))


def _rectified(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    # The weights come from where strides pad at the end; padded evenly, every map lies aside.
    convolution = SameConv(inputs, outputs, kernel, stride, groups=groups)
    return nn.Sequential(convolution, nn.ReLU6())


LITE = "lite0"
_TIMM = "timm/"


def build_architecture(name: str, num_classes: int, channels: int = 3) -> nn.Module:
    """Build a classifier with random weights.

    Parameters
    ----------
    name : str
        "lite0" (the bundled one's), a classifier of torchvision ("resnet18"), or one of timm
        ("timm/convnext_atto", or without the prefix where torchvision has none of that name).
    num_classes : int
        How many logits.
    channels : int
        Of the images.

    Raises
    ------
    InputError
        For an unknown name, or a name of timm where timm is not installed.
    """
    # Takes a while to import, and only those who bring a network need it.
    from torchvision import models

    if name == LITE:
        network: nn.Module = LiteClassifier(num_classes)
    elif name in models.list_models(module=models):
        network = models.get_model(name, weights=None, num_classes=num_classes)
    else:
        return _build_timm(name, num_classes, channels)
    if channels != 3:
        _set_channels(network, channels)
    return network


def _build_timm(name: str, num_classes: int, channels: int) -> nn.Module:
    if find_spec("timm") is None:
        raise InputError(
            f"architecture {name!r}: not {LITE!r} and no classifier of torchvision; if it is one "
            'of timm, install that first: pip install "napari-semxai[timm]"'
        )
    import timm

    short = name.removeprefix(_TIMM)
    if not timm.is_model(short.split(".")[0]):
        raise InputError(
            f"architecture {name!r}: neither {LITE!r} nor a classifier of torchvision or timm"
        )
    network: nn.Module = timm.create_model(
        short, pretrained=False, num_classes=num_classes, in_chans=channels
    )
    return network


def _set_channels(network: nn.Module, channels: int) -> None:
    """Replace the first convolution by one for images of `channels`."""
    name, first = next(
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    )
    new = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, new)


# Transformers hand tokens on; Grad-CAM takes them before the last block's attention.
_TOKEN_LAYERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"encoder\.layers\.encoder_layer_\d+\.ln_1",  # ViT of torchvision
        r"features\.\d+\.\d+\.norm1",  # Swin of torchvision
        r"blocks\.\d+\.norm1",  # ViT of timm
        r"layers\.\d+\.blocks\.\d+\.norm1",  # Swin of timm
    )
)


def token_layer(names: Iterable[str]) -> str | None:
    """Return the layer of a transformer that explanations take, or None for other networks."""
    found = [name for name in names if any(p.fullmatch(name) for p in _TOKEN_LAYERS)]
    return found[-1] if found else None
