"""Small classifiers with random weights, which answer at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torchvision import models

from napari_semxai.backends.classifier.classifier import Classifier
from napari_semxai.backends.classifier.layers.outputs import moved, registrations, to_map
from napari_semxai.types import ClassifierInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def strided_classifier() -> Classifier:
    """Return a network that pads at one side only, so that its maps lie beside what they show."""
    classifier = small_classifier()
    for name in ("early", "middle"):
        layer = getattr(classifier.network, name)
        layer[0].padding = (0, 0)
        layer.insert(0, nn.ZeroPad2d((2, 0, 2, 0)))
    return Classifier(classifier.network, classifier.info)


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


def residual(classifier: Classifier, layer: str) -> np.ndarray:
    """Return how far a layer's moved map still lies beside discs, as shares of the sides."""
    return residuals(classifier, (layer,))[0]


def residuals(classifier: Classifier, layers: Sequence[str]) -> list[np.ndarray]:
    """Return how far each layer's moved map still lies beside discs, as shares of the sides.

    The median over discs at places and of a size that no measurement used, in grey with grain.
    """
    rows, columns = classifier.info.input_size
    kept: dict[str, list[torch.Tensor]] = {layer: [] for layer in layers}
    handles = [
        classifier.network.get_submodule(layer).register_forward_hook(
            lambda *given, layer=layer: kept[layer].append(to_map(given[2])[0])
        )
        for layer in layers
    ]
    flat = np.random.default_rng(5).normal(120, 6, (rows, columns))
    y, x = np.mgrid[:rows, :columns]
    places = [(0.35, 0.44), (0.56, 0.64), (0.45, 0.36), (0.62, 0.53), (0.40, 0.57)]
    places += [(0.52, 0.41), (0.47, 0.66), (0.66, 0.36), (0.33, 0.62), (0.58, 0.47)]
    images = [flat]
    for number, (down, right) in enumerate(places):
        disc = np.hypot(y - down * rows, x - right * columns) < 0.05 * rows
        images.append(np.where(disc, flat + (80, -80)[number % 2], flat))
    with torch.no_grad():
        for image in images:
            classifier.network(classifier.to_input(image.astype(np.uint8)))
    for handle in handles:
        handle.remove()
    found = zip(layers, registrations(classifier, layers), strict=True)
    return [_beside(kept[layer], place.shift, places, (y, x)) for layer, place in found]


def _beside(
    maps: Sequence[torch.Tensor],
    shift: tuple[float, float],
    places: Sequence[tuple[float, float]],
    axes: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Return the median of how far maps lie beside their discs; the first map is of none."""
    rows, columns = axes[0].shape
    found = []
    for values, disc in zip(maps[1:], places, strict=True):
        size = (values - maps[0]).norm(dim=0)
        low = (size - size.median()).clamp_min(0).square()[None, None]
        large = nn.functional.interpolate(low, (rows, columns), mode="bilinear")[0].numpy()
        answer = moved(large, shift)[0]
        centre = [(answer * axis).sum() / answer.sum() + 0.5 for axis in axes]
        found.append(np.subtract(disc, np.divide(centre, (rows, columns))))
    return np.median(found, axis=0)
