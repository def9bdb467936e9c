"""The bundled classifier's architecture: EfficientNet-Lite0 up to stride 16, as a chain.

Batch normalisation is folded into the convolutions. The first block of every stage is spelled
out in the chain, so that the network can be cut behind each of its rectified layers ("stem",
"expand4", "head" …): nothing crosses the cut, and what is handed over is never negative.

References
----------
.. [1] M. Tan and Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
   Networks", ICML 2019; the Lite variant has no squeeze-and-excitation and uses ReLU6.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from napari_semxai.backends.lite_trunk import STAGES, SameConv

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
