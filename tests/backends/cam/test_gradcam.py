"""Our Grad-CAM against grad-cam itself, and what the library leaves to its caller."""

from __future__ import annotations

import threading
import types
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam as library
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torchvision import models

from napari_semxai.backends.cam import gradcam as gradcam_module
from napari_semxai.backends.cam.gradcam import gradcam, gradcam_steps
from napari_semxai.backends.cam.methods import Perturbation
from napari_semxai.backends.classifier.layers import split
from napari_semxai.backends.classifier.layers.outputs import moved
from napari_semxai.backends.runtime.stepwise import finish
from napari_semxai.types import CAM_METHODS, CamMethod, InputError, moved_by
from tests.networks import (
    NAMES,
    SmallNetwork,
    classifier_of,
    random_image,
    small_classifier,
    strided_classifier,
    torchvision_classifier,
)

IMAGE = random_image()


def directly(kind: Any, classifier: Any, names: tuple[str, ...], target: int) -> np.ndarray:
    """Call grad-cam as its manual says."""
    layers = [classifier.network.get_submodule(name) for name in names]
    with kind(classifier.network, layers) as cam:
        inputs = classifier.to_input(IMAGE).requires_grad_()
        return cam(inputs, [ClassifierOutputTarget(target)])[0]


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("gradcam", library.GradCAM),
        ("gradcam++", library.GradCAMPlusPlus),
        ("xgradcam", library.XGradCAM),
        ("hirescam", library.HiResCAM),
        ("layercam", library.LayerCAM),
        ("elementwise", library.GradCAMElementWise),
        ("eigencam", library.EigenCAM),
        ("eigengradcam", library.EigenGradCAM),
        ("segeigencam", library.SegEigenCAM),
        ("fem", library.FEM),
        ("shapleycam", library.ShapleyCAM),
        ("ablationcam", library.AblationCAM),
        ("scorecam", library.ScoreCAM),
    ],
)
def test_equal_to_grad_cam_called_directly(method: str, kind: Any) -> None:
    classifier = small_classifier()
    expected = directly(kind, classifier, ("middle",), 1)
    ours = gradcam(IMAGE, classifier, target=1, layer="middle", method=method, as_drawn=True)
    np.testing.assert_allclose(ours.values, expected, atol=1e-5)


def test_equal_on_a_resnet_and_over_several_layers() -> None:
    classifier = torchvision_classifier("resnet18")
    assert classifier.default_layer == "layer4.1"
    expected = directly(library.GradCAM, classifier, ("layer4.1",), 2)
    drawn = gradcam(IMAGE, classifier, target=2, as_drawn=True)
    np.testing.assert_allclose(drawn.values, expected, atol=1e-5)
    names = ("layer2", "layer3", "layer4")
    expected = directly(library.LayerCAM, classifier, names, 2)
    ours = gradcam(IMAGE, classifier, target=2, layer=names, method="layercam", as_drawn=True)
    np.testing.assert_allclose(ours.values, expected, atol=1e-5)
    assert ours.layers == names


def test_maps_are_moved_to_where_layers_look_and_renderings_are_not() -> None:
    classifier, image = strided_classifier(), random_image(2, (96, 128))
    drawn = gradcam(image, classifier, target=1, layer="middle", as_drawn=True)
    placed = gradcam(image, classifier, target=1, layer="middle")
    assert drawn.registrations == placed.registrations
    assert (placed.drawn is None, drawn.drawn) == (False, None)
    # Algorithm 2 reads what the library draws, whatever the map is shown as.
    np.testing.assert_array_equal(placed.rgb(), drawn.rgb())
    shift = placed.registrations[0].shift
    # It pads above and left only, so it looks further up and left than its maps are drawn.
    assert np.all(np.multiply(shift, image.shape) < -2)
    expected = moved(drawn.values[None], shift)[0]
    assert np.corrcoef(placed.values.ravel(), expected.ravel())[0, 1] > 0.99
    assert np.corrcoef(placed.values.ravel(), drawn.values.ravel())[0, 1] < 0.7
    assert placed.raw_maximum == drawn.raw_maximum
    assert moved_by(drawn) == {}
    assert moved_by(placed) == {"middle": list(shift)}


def test_each_layer_is_moved_by_its_own_offset() -> None:
    classifier, layers = strided_classifier(), ("early", "middle")
    asked = {"target": 1, "method": "layercam"}
    both = gradcam(IMAGE, classifier, layer=layers, **asked)
    parts = [gradcam(IMAGE, classifier, layer=layer, **asked).values for layer in layers]
    shifts = [place.shift for place in both.registrations]
    assert shifts[0] != shifts[1]
    assert np.corrcoef(both.values.ravel(), np.mean(parts, axis=0).ravel())[0, 1] > 0.99


def test_equal_with_frozen_weights() -> None:
    classifier = small_classifier()
    expected = gradcam(IMAGE, classifier, target=0)
    classifier.network.requires_grad_(False)
    np.testing.assert_array_equal(gradcam(IMAGE, classifier, target=0).values, expected.values)
    assert expected.values.any()


def test_a_family_that_the_library_lacks_is_an_entry_and_a_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = CamMethod("own", "Own", "tests.backends.cam.test_gradcam:Corner", 1, whole_network=True)
    for module in (gradcam_module, split):
        monkeypatch.setattr(module, "CAM_METHODS", (*CAM_METHODS, own))
    classifier = small_classifier()
    assert split.describe_layers(classifier).methods[-1].name == "own"
    heatmap = gradcam(IMAGE, classifier, target=1, method="own")
    assert (heatmap.method, heatmap.layers, heatmap.raw_maximum) == ("own", (), 3)
    assert heatmap.values[0, 0] == 1 > heatmap.values[-1, -1] == 0


class Corner(Perturbation):
    """A method of no use."""

    def map_of(self, image: torch.Tensor, target: Any) -> torch.Tensor:
        values = torch.zeros(image.shape[2:])
        values[:8, :8] = 3
        return values


def test_occlusion_is_the_mean_loss_under_grey_patches() -> None:
    classifier = small_classifier()
    heatmap = gradcam(IMAGE, classifier, target=1, method="occlusion")
    inputs = classifier.to_input(IMAGE)
    lost, covers = np.zeros((2, *IMAGE.shape))
    with torch.no_grad():
        for row, column in np.ndindex(15, 15):
            place = np.s_[..., row * 4 : row * 4 + 8, column * 4 : column * 4 + 8]
            covered = inputs.clone()
            covered[place] = inputs.mean((2, 3))[0][:, None, None]
            drop = classifier.network(inputs)[0, 1] - classifier.network(covered)[0, 1]
            lost[place[1:]] += float(drop)
            covers[place[1:]] += 1
    expected = np.maximum(lost / covers, 0)
    assert heatmap.raw_maximum == pytest.approx(expected.max(), rel=1e-3)
    assert np.corrcoef(heatmap.values.ravel(), expected.ravel())[0, 1] > 0.9999


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_methods_without_gradients_find_what_the_class_depends_on(method: str) -> None:
    """They are compared with a network that looks at one corner only."""

    class OneCorner(SmallNetwork):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            level = image[:, 0, 8:24, 40:56].mean((1, 2))
            return torch.stack([level, 6 * level, -level], dim=1)

    classifier = small_classifier()
    image = np.full((64, 64), 90, np.uint8)
    image[8:24, 40:56] = 220
    classifier.network.forward = types.MethodType(OneCorner.forward, classifier.network)
    values = gradcam(image, classifier, target=1, method=method).values
    assert values[8:24, 40:56].mean() > 3 * values[32:].mean()
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert 4 <= row < 28
    assert 36 <= column < 60
    # What speaks against a class is no evidence for it.
    other = gradcam(image, classifier, target=2, method=method)
    assert other.values[8:24, 40:56].mean() < 0.2


@pytest.mark.parametrize("method", [method.name for method in CAM_METHODS])
def test_every_method_runs_and_leaves_nothing_behind(method: str) -> None:
    classifier = small_classifier()
    image = random_image(1, (50, 70))
    heatmap = gradcam(image, classifier, method=method)
    assert heatmap.values.shape == image.shape
    assert heatmap.values.dtype == np.float32
    assert 0 <= heatmap.values.min() <= heatmap.values.max() <= 1
    assert heatmap.values.any() == (heatmap.raw_maximum > 0)
    assert heatmap.class_name == NAMES[int(classifier.predict(image).argmax())]
    assert heatmap.sha256 == classifier.info.sha256
    for module in classifier.network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    for weight in classifier.network.parameters():
        assert weight.grad is None
        assert weight.requires_grad


def test_raw_maximum_is_the_largest_activation_times_gradient() -> None:
    classifier = small_classifier()
    kept = []
    handle = classifier.network.last.register_forward_hook(lambda *given: kept.append(given[2]))
    with torch.no_grad():
        classifier.network(classifier.to_input(IMAGE))
    handle.remove()
    # Behind a global average the gradient is the weight over the number of places.
    weights = classifier.network.fc.weight[1] / kept[0][0, 0].numel()
    expected = torch.relu(torch.einsum("chw,c->hw", kept[0][0], weights)).max().item()
    heatmap = gradcam(IMAGE, classifier, target=1, layer="last")
    assert heatmap.raw_maximum == pytest.approx(expected, rel=1e-5)


def test_no_evidence_is_an_empty_map() -> None:
    classifier = small_classifier()
    nn.init.zeros_(classifier.network.fc.weight)
    heatmap = gradcam(IMAGE, classifier, target=1)
    assert heatmap.raw_maximum == 0
    assert not heatmap.values.any()


VIT = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}
SWIN = {"patch_size": [4, 4], "embed_dim": 8, "depths": [1, 1], "window_size": [2, 2]}


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (
            models.VisionTransformer(**VIT, mlp_dim=32, num_classes=3),
            "encoder.layers.encoder_layer_1.ln_1",
        ),
        (models.SwinTransformer(**SWIN, num_heads=[1, 2], num_classes=3), "features.3"),
        (models.DenseNet(4, (2, 2), 8, num_classes=3), "features.norm5"),
    ],
)
def test_transformers_and_densenets(network: nn.Module, layer: str) -> None:
    for module in network.modules():
        # torchvision begins a ViT with a head of zeros, through which no gradient comes.
        if isinstance(module, nn.Linear) and module.out_features == len(NAMES):
            nn.init.normal_(module.weight)
    classifier = classifier_of(network, 32)
    heatmaps = [gradcam(IMAGE, classifier, target=target, layer=layer) for target in range(3)]
    assert any(heatmap.raw_maximum > 0 for heatmap in heatmaps)
    for method in ("ablationcam", "shapleycam"):
        if "norm5" not in layer:
            with pytest.raises(InputError, match="channels first"):
                gradcam(IMAGE, classifier, layer=layer, method=method)


def test_inside_a_mask_only_evidence_from_there_counts() -> None:
    classifier = small_classifier()
    mask = np.zeros(IMAGE.shape, bool)
    mask[:32, :32] = True
    share = {}
    for where in (None, mask):
        heatmap = gradcam(
            IMAGE, classifier, target=1, layer="last", method="elementwise", mask=where
        )
        share[where is None] = heatmap.values[mask].sum() / heatmap.values.sum()
        assert heatmap.inside_mask == (where is not None)
    assert share[True] < 0.5 < 0.85 < share[False]


@pytest.mark.parametrize("method", [method.name for method in CAM_METHODS])
def test_a_mask_changes_the_map_or_is_refused(method: str) -> None:
    classifier, masks = small_classifier(), np.zeros((2, *IMAGE.shape), bool)
    masks[0, :20, :20] = masks[1, 40:, 40:] = True
    for layer in ("last", "middle"):
        try:
            one, other = (
                gradcam(IMAGE, classifier, target=1, layer=layer, method=method, mask=mask)
                for mask in masks
            )
        except InputError:
            continue
        assert np.abs(one.values - other.values).max() > 0.01


def test_evidence_inside_the_whole_image_is_all_of_it() -> None:
    classifier = small_classifier()
    everywhere = np.ones(IMAGE.shape, bool)
    plain, masked = (
        gradcam(IMAGE, classifier, target=1, layer="middle", method="layercam", mask=mask)
        for mask in (None, everywhere)
    )
    np.testing.assert_allclose(masked.values, plain.values, atol=0.05)
    assert masked.raw_maximum > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target": 3}, "class 3: small has the classes 0 to 2"),
        ({"target": -1}, "class -1"),
        ({"method": "magic"}, "no such method"),
        ({"layer": "nope"}, "layer nope: the network has no such layer"),
        ({"layer": "fc"}, "layer fc: its output is no map"),
        ({"mask": np.ones((3, 3), bool)}, "the mask has shape"),
        ({"mask": np.zeros((64, 64), bool)}, "the mask is empty"),
        ({"mask": np.ones((64, 64), bool), "method": "finercam"}, "cannot look inside a mask"),
        ({"mask": np.ones((64, 64), bool), "method": "eigencam"}, "cannot look inside a mask"),
        ({"mask": np.ones((64, 64), bool)}, "says the same of every mask at the last layer"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        gradcam(IMAGE, small_classifier(), **given)
    assert "\n" not in str(refused.value)


def test_a_mask_needs_a_linear_head() -> None:
    network = SmallNetwork()
    network.fc = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    everywhere = np.ones(IMAGE.shape, bool)
    with pytest.raises(InputError, match="global average and one linear layer"):
        gradcam(IMAGE, classifier_of(network), method="layercam", mask=everywhere)


def test_a_map_too_fine_for_a_method_is_refused() -> None:
    classifier = classifier_of(SmallNetwork(), size=256)
    with pytest.raises(InputError, match="too fine for Eigen-CAM"):
        gradcam(IMAGE, classifier, layer="early", method="eigencam")


@pytest.mark.parametrize(
    ("method", "runs"), [("ablationcam", 512 // 32 + 2), ("occlusion", 113), ("rise", 500)]
)
def test_slow_methods_tell_progress_and_can_be_stopped(method: str, runs: int) -> None:
    classifier = torchvision_classifier("resnet18")
    before = threading.active_count()
    steps = gradcam_steps(IMAGE, classifier, target=0, method=method)
    first, second = next(steps), next(steps)
    assert (first.stage, first.done, second.done) == (method, 1, 2)
    assert first.total == runs
    # The network is free meanwhile, and another map on it is right.
    expected = directly(library.GradCAM, classifier, ("layer3",), 1)
    between = gradcam(IMAGE, classifier, target=1, layer="layer3", as_drawn=True)
    np.testing.assert_allclose(between.values, expected, atol=1e-5)
    steps.close()
    assert threading.active_count() == before


def test_two_threads_on_one_network_do_not_mix() -> None:
    classifier = torchvision_classifier("resnet18")
    expected = {
        layer: gradcam(IMAGE, classifier, target=1, layer=layer).values
        for layer in ("layer2", "layer4")
    }
    wrong: list[str] = []

    def explain(layer: str) -> None:
        for _ in range(5):
            values = gradcam(IMAGE, classifier, target=1, layer=layer).values
            if not np.allclose(values, expected[layer], atol=1e-5):
                wrong.append(layer)

    threads = [threading.Thread(target=explain, args=(layer,)) for layer in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nothing_is_shown_in_the_border() -> None:
    classifier = small_classifier()
    asked = {"target": 1, "layers": ("middle",)}
    whole = finish(gradcam_steps(IMAGE, classifier, **asked))
    inside = finish(gradcam_steps(IMAGE, classifier, **asked, border=(4, 0, 10, 6)))
    inner = (slice(4, IMAGE.shape[0] - 10), slice(6, IMAGE.shape[1]))
    np.testing.assert_array_equal(inside.values[inner], whole.values[inner])
    assert inside.values.sum() == pytest.approx(whole.values[inner].sum())
    assert inside.raw_maximum == whole.raw_maximum
    # What Algorithm 2 reads stays as the library draws it.
    np.testing.assert_array_equal(inside.rgb(), whole.rgb())
    drawn = finish(gradcam_steps(IMAGE, classifier, **asked, border=(4, 0, 10, 6), as_drawn=True))
    assert drawn.border == (0, 0, 0, 0)
    np.testing.assert_array_equal(drawn.rgb(), whole.rgb())
