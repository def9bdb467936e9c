"""Classifiers with an architecture of timm, from a file to a heat map; random weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import napari_semxai as sx
from napari_semxai.backends.classifier.files import build_architecture
from napari_semxai.backends.classifier.layers.split import describe_layers
from tests.networks import random_image

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("timm", reason="the timm extra is not installed")
NAMES = ["flake", "dent", "fine"]


@pytest.mark.parametrize(
    ("architecture", "size", "layer"),
    [
        ("timm/test_resnet", 96, "layer4.0"),
        ("timm/test_vit", 160, "blocks.5.norm1"),
        ("swin_tiny_patch4_window7_224", 224, "layers.3.blocks.1.norm1"),
    ],
)
def test_from_a_file_to_a_heat_map(
    tmp_path: Path, architecture: str, size: int, layer: str
) -> None:
    # Of some random weights every map is without positive values.
    torch.manual_seed(0)
    weights = tmp_path / "own.safetensors"
    save_file(build_architecture(architecture, len(NAMES), 1).state_dict(), weights)
    description = {"architecture": architecture, "class_names": NAMES, "channels": 1}
    (tmp_path / "own.json").write_text(json.dumps(description | {"input_size": size}), "utf-8")
    classifier, image = sx.load_classifier(weights), random_image(0, (70, 90))
    assert classifier.class_names == tuple(NAMES)
    assert classifier.predict(image).sum() == pytest.approx(1, abs=1e-5)
    layers = describe_layers(classifier)
    assert layers.cam_default == layer
    heatmaps = [sx.gradcam(image, classifier, target=target) for target in range(3)]
    assert {heatmap.values.shape for heatmap in heatmaps} == {(70, 90)}
    assert max(heatmap.raw_maximum for heatmap in heatmaps) > 0
    assert not all(np.array_equal(heatmaps[0].values, one.values) for one in heatmaps[1:])
