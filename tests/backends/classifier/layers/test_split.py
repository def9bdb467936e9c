from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from napari_semxai.backends.classifier.layers.split import (
    check_concept_layer,
    describe_layers,
    split_network,
)
from napari_semxai.backends.concepts.bank import new_split
from napari_semxai.backends.concepts.factorize import (
    Factors,
    clamp_agreement,
    reconstruction_agreement,
)
from napari_semxai.backends.concepts.maps import head_weights, latents_of
from napari_semxai.types import InputError
from tests.networks import (
    SmallNetwork,
    classifier_of,
    convnext_classifier,
    random_image,
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


def test_values_below_zero_are_clamped_and_the_nearest_layer_without_named() -> None:
    classifier = small_classifier()
    assert check_concept_layer(classifier, "early.0") == "early.0"
    nodes = {node.name: node for node in describe_layers(classifier).layers}
    clamped = [name for name, node in nodes.items() if node.clamped]
    assert clamped == ["early.0", "middle.0", "middle.1", "last.0"]
    assert nodes["early.0"].concepts
    assert nodes["early.0"].reason == (
        "for concepts its values below 0 are taken for 0; the nearest one without is early.1"
    )
    assert nodes["conv"].reason
    assert not nodes["conv"].clamped


def test_a_network_without_rectifiers_is_clamped() -> None:
    classifier = convnext_classifier()
    layers = describe_layers(classifier)
    nodes = {node.name: node for node in layers.layers}
    assert layers.concepts_default == layers.cam_default
    assert nodes[layers.concepts_default].clamped
    assert nodes[layers.concepts_default].reason == (
        "for concepts its values below 0 are taken for 0"
    )


def test_how_much_clamping_changes() -> None:
    classifier = convnext_classifier()
    layer = describe_layers(classifier).concepts_default
    split = new_split(classifier, layer)
    images = [random_image(seed, (20 + 8 * seed, 64)) for seed in range(12)]
    inputs = torch.cat([classifier.to_input(image) for image in images])
    with torch.no_grad():
        raw = split.g(inputs)
        classes = classifier.network(inputs).argmax(1).numpy()
        expected = split.h(raw.clamp_min(0)).argmax(1).numpy() == classes
    latents = latents_of(split, inputs)
    exact = np.eye(latents.shape[-1], dtype=np.float32)
    factors = Factors(exact, latents, latents, latents, exact[0], classes)
    assert 0 < expected.mean() < 1
    assert clamp_agreement(split, factors) == expected.mean()
    # Concepts that hold all that was not clamped are held against the network itself.
    assert reconstruction_agreement(split, factors) == expected.mean()
    # Behind a rectifier nothing changes.
    rectified = small_classifier()
    split = new_split(rectified, "middle")
    classes = rectified.network(inputs).argmax(1).numpy()
    assert (
        clamp_agreement(
            split, replace(factors, latents=latents_of(split, inputs), classes=classes)
        )
        == 1
    )


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
