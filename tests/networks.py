"""Small classifiers with random weights, which answer at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torchvision import models

from napari_semxai.backends.classifier.classifier import Classifier
from napari_semxai.types import ClassifierInfo

NAMES = ("particle", "pit", "scratch")


class SmallNetwork(nn.Module):
    """Three rectified stages with a skip in the last, global average and linear layer."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.conv = nn.Conv2d(12, 12, 3, 1, 1)
        self.relu = nn.ReLU()
        self.last = nn.Sequential(nn.Conv2d(12, 16, 3, 2, 1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.middle(self.early(image))
        features = self.relu(features + self.conv(features))
        return self.fc(torch.flatten(self.pool(self.last(features)), 1))


def classifier_of(network: nn.Module, size: int = 64, name: str = "small") -> Classifier:
    info = ClassifierInfo(name, "5" * 64, "resnet18", NAMES, (size, size), synthetic=True)
    return Classifier(network, info)


def small_classifier(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return classifier_of(SmallNetwork())


def convnext_classifier() -> Classifier:
    """Return a network none of whose maps is rectified."""
    torch.manual_seed(0)
    sides = ((8, 16), (16, 24), (24, None))
    blocks = [models.convnext.CNBlockConfig(*side, 1) for side in sides]
    network = models.convnext.ConvNeXt(blocks, layer_scale=1.0, num_classes=len(NAMES))
    # Its first answers are all alike.
    nn.init.normal_(network.classifier[2].weight, std=1.0)
    return classifier_of(network, name="convnext")


def torchvision_classifier(name: str, size: int = 64) -> Classifier:
    torch.manual_seed(0)
    network = models.get_model(name, weights=None, num_classes=len(NAMES))
    return classifier_of(network, size, name)


def random_image(seed: int = 0, shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
