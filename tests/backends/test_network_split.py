from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from napari_semxai.backends.layer_tree import check_concept_layer, describe_layers
from napari_semxai.backends.network_split import head_weights, split_network
from napari_semxai.types import InputError
from tests.networks import (
    SmallNetwork,
    classifier_of,
    small_classifier,
    torchvision_classifier,
)

IMAGE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("layer", "linear"), [("early", False), ("middle", False), ("relu", False), ("last", True)]
)
def test_parts_give_the_answer_of_the_whole(layer: str, linear: bool) -> None:
    network = small_classifier().network
    split = split_network(network, layer, IMAGE[:1])
    with torch.no_grad():
        torch.testing.assert_close(split.h(split.g(IMAGE)), network(IMAGE))
    assert split.linear == linear
    assert split.minimum == 0
    assert not {id(weight) for weight in split.g.parameters()} & {
        id(weight) for weight in network.parameters()
    }


def test_weights_of_a_linear_head() -> None:
    network = small_classifier().network
    split = split_network(network, "last", IMAGE[:1])
    torch.testing.assert_close(head_weights(split.h, 16, 2), network.fc.weight[2].detach())


def test_a_rectifier_without_a_layer_belongs_to_the_layer_before() -> None:
    network = models.DenseNet(4, (2, 2), 8, num_classes=3).eval()
    split = split_network(network, "features.norm5", IMAGE[:1])
    assert split.minimum == 0
    assert split.linear


def test_a_skip_connection_is_refused_and_the_nearest_layer_that_works_named() -> None:
    classifier = small_classifier()
    with pytest.raises(InputError, match=r"conv: the network cannot be cut here, .* passes it by"):
        split_network(classifier.network, "conv", IMAGE[:1])
    with pytest.raises(InputError, match="the nearest one that works is middle"):
        check_concept_layer(classifier, "conv")


def test_values_below_zero_are_refused() -> None:
    with pytest.raises(InputError, match=r"can be negative.*nearest one that works is early"):
        check_concept_layer(small_classifier(), "early.0")


def test_a_network_whose_code_depends_on_its_input() -> None:
    class Moody(SmallNetwork):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image * 2 if image.sum() > 0 else image)

    classifier = classifier_of(Moody())
    with pytest.raises(InputError, match="its code depends on its input"):
        split_network(classifier.network, "last", IMAGE[:1])
    layers = describe_layers(classifier)
    assert layers.concepts_default == ""
    assert layers.cam_default == "last"


def test_the_tree_of_a_resnet() -> None:
    layers = describe_layers(torchvision_classifier("resnet18"))
    nodes = {node.name: node for node in layers.layers}
    assert list(nodes).index("layer4") < list(nodes).index("layer4.1")
    assert nodes["layer4.1"].cam
    assert nodes["layer4.1"].concepts
    assert nodes["layer4.1"].shape == (512, 2, 2)
    assert not nodes["layer4.1.relu"].cam
    assert "2 times" in nodes["layer4.1.relu"].reason
    assert not nodes["layer4.1.bn2"].concepts
    assert not nodes["fc"].cam
    assert layers.cam_default == "layer4.1"
    assert layers.concepts_default == "layer4.1"
    assert layers.seconds_per_pass > 0


def test_methods_that_cannot_run_are_left_out() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 3, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    network.append(nn.Flatten())
    names = [method.name for method in describe_layers(classifier_of(network)).methods]
    assert "gradcam" in names
    assert "fullgrad" not in names
