from __future__ import annotations

import pytest
import torch

from napari_semxai.backends.classifier.layers.outputs import (
    cam_fault,
    layers_of,
    layout_of,
    probe_layers,
    to_map,
)
from tests.networks import small_classifier, torchvision_classifier


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 512, 7, 7), "channels_first"),
        ((1, 512, 7, 9), "channels_first"),
        ((1, 7, 7, 7), "channels_first"),
        ((1, 7, 7, 768), "channels_last"),
        ((1, 197, 768), "tokens"),
        ((1, 196, 768), "tokens"),
        ((1, 198, 768), None),
        ((1, 512, 1, 1), None),
        ((1, 6), None),
    ],
)
def test_layouts(shape: tuple[int, ...], layout: str | None) -> None:
    assert layout_of(shape) == layout


def test_maps_put_channels_first_and_leave_the_class_token_out() -> None:
    tokens = torch.arange(10.0).reshape(1, 5, 2)
    torch.testing.assert_close(
        to_map(tokens)[0], torch.tensor([[[2.0, 4], [6, 8]], [[3, 5], [7, 9]]])
    )
    last = torch.arange(12.0).reshape(1, 2, 2, 3)
    torch.testing.assert_close(to_map(last)[0, 2], last[0, :, :, 2])
    with pytest.raises(ValueError, match="is no map"):
        to_map(torch.zeros(1, 6))


def test_maps_are_copies() -> None:
    output = torch.zeros(1, 2, 3, 3)
    kept = to_map(output)
    output.add_(1)
    assert not kept.any()


def test_every_layer_is_noted_and_no_hook_is_left() -> None:
    classifier = small_classifier()
    found = layers_of(classifier)
    assert found["middle"].map_shape == (12, 16, 16)
    assert found["middle"].minimum == 0
    assert found["conv"].minimum < 0 < found["conv"].maximum
    assert found["fc"].map_shape == ()
    assert not any(module._forward_hooks for module in classifier.network.modules())


def test_a_layer_that_runs_twice_is_refused() -> None:
    classifier = torchvision_classifier("resnet18", 32)
    found = probe_layers(classifier.network, torch.zeros(1, 3, 32, 32))
    assert "2 times" in cam_fault(found["layer1.0.relu"])
    assert not cam_fault(found["layer1.0"])
    assert "no such layer" in cam_fault(None)
    assert "no map" in cam_fault(found["fc"])
