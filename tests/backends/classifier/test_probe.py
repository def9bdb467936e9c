"""The layer that is explained by default, by the network's architecture."""

from __future__ import annotations

import pytest

from napari_semxai.backends.classifier.classifier import probe
from napari_semxai.backends.classifier.files import build_architecture
from napari_semxai.types import ClassifierInfo


@pytest.mark.parametrize(
    ("architecture", "layer", "size"),
    [
        ("lite0", "features.head", 64),
        ("resnet18", "layer4.1", 64),
        ("mobilenet_v3_small", "features.12", 64),
        ("squeezenet1_1", "classifier.2", 64),
        ("vit_b_32", "encoder.layers.encoder_layer_11.ln_1", 224),
        ("swin_t", "features.7.1.norm1", 64),
    ],
)
def test_default_layer(architecture: str, layer: str, size: int) -> None:
    info = ClassifierInfo("x", "", architecture, ("a", "b"), (size, size))
    network = build_architecture(architecture, 2).eval()
    assert probe(network, info) == layer
    assert not any(module._forward_hooks for module in network.modules())
