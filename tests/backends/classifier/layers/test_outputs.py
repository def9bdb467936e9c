from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from napari_semxai.backends.classifier.layers.outputs import (
    cam_fault,
    layers_of,
    layout_of,
    moved,
    probe_layers,
    registrations,
    to_map,
)
from tests.networks import (
    NAMES,
    classifier_of,
    convnext_classifier,
    residual,
    small_classifier,
    strided_classifier,
    torchvision_classifier,
)


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


class Cells(nn.Module):
    """Two strided convolutions of equal weights, then what every classifier ends with."""

    def __init__(self, padding: int, bias: float = 0.1, *, mirrored: bool = False) -> None:
        super().__init__()
        layers = nn.Conv2d(3, 4, 3, 2, padding), nn.Conv2d(4, 8, 3, 2, padding), nn.ReLU()
        for values in nn.ModuleList(layers).parameters():
            nn.init.constant_(values, 0.1)
        nn.init.constant_(layers[1].bias, bias)
        self.cells, self.mirrored = nn.Sequential(*layers), mirrored
        self.last, self.fc = nn.Identity(), nn.Linear(8, len(NAMES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.cells(images)
        return self.fc(self.last(maps.flip(-1) if self.mirrored else maps).mean((2, 3)))


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_where_strided_cells_look(padding: int) -> None:
    classifier = classifier_of(Cells(padding))
    cells = layers_of(classifier)["cells"].map_shape[1]
    # By hand: cell i looks at 4 i + 3 (1 - padding); it is drawn at (i + 0.5) 64 / cells - 0.5.
    cell = cells / 2
    by_hand = 4 * cell + 3 * (1 - padding) - ((cell + 0.5) * 64 / cells - 0.5)
    (place,) = registrations(classifier, ("cells",))
    assert place.moves
    assert 64 * np.array(place.shift) == pytest.approx((by_hand, by_hand), abs=0.4)
    assert 64 * np.array([place.bright, place.dark]) == pytest.approx(by_hand, abs=0.8)


@pytest.mark.parametrize("network", [Cells(1, mirrored=True), Cells(1, -9.0)])
def test_what_cannot_be_measured_moves_nothing(network: nn.Module) -> None:
    (place,) = registrations(classifier_of(network), ("last",))
    assert place.shift == (0, 0)
    assert place.text((64, 64)) == "last scatters more than half a cell: not moved"


def test_offsets_are_measured_once_for_a_network_and_a_layer() -> None:
    classifier = strided_classifier()
    runs: list[int] = []
    classifier.network.register_forward_hook(lambda *given: runs.append(len(given[2])))
    first = registrations(classifier, ("early", "middle"))
    assert sum(runs) == 17
    assert registrations(classifier, ("middle", "early")) == first[::-1]
    assert sum(runs) == 17
    assert not any(module._forward_hooks for module in classifier.network.children())


def vision_transformer() -> nn.Module:
    torch.manual_seed(0)
    return models.VisionTransformer(96, 8, 2, 2, 32, 64, num_classes=len(NAMES))


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (strided_classifier, "middle"),
        (lambda: torchvision_classifier("resnet18", 160), "layer3.1"),
        (lambda: torchvision_classifier("resnet18", 160), "layer4.1"),
        (convnext_classifier, "features.5"),
        (lambda: classifier_of(vision_transformer(), 96), "encoder.layers.encoder_layer_1.ln_1"),
    ],
)
def test_moved_maps_lie_on_what_the_layer_looks_at(make, layer: str) -> None:
    classifier = make()
    (place,) = registrations(classifier, (layer,))
    cells = np.array(layers_of(classifier)[layer].map_shape[1:])
    assert place.moves
    # A quarter of half a cell; a pixel where that is less.
    bars = np.maximum(1 / 8, cells / classifier.info.input_size)
    assert np.all(np.abs(residual(classifier, layer) * cells) <= bars)


def test_text_of_an_offset() -> None:
    (place,) = registrations(strided_classifier(), ("middle",))
    place = replace(place, offset=(0.01, -0.02))
    assert place.text((400, 200)) == (
        "middle looks 4 px below and 4 px left of where the library draws it: moved"
    )
    assert place.text((400, 20)) == "middle looks 4 px below where the library draws it: moved"
    drawn = place.text((40, 200), as_drawn=True)
    assert drawn == "middle looks 4 px left of where the library draws it: as the library draws it"
    assert place.text((40, 20)) == "middle looks where the library draws it"


def test_moving_maps_repeats_the_border() -> None:
    maps = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    assert moved(maps, (0.0, 0.0)) is maps
    found = moved(maps, (0.25, -1 / 3))
    np.testing.assert_allclose(found[0, 1:, :4], maps[0, :3, 2:], atol=1e-4)
    np.testing.assert_allclose(found[0, 0], found[0, 1])
