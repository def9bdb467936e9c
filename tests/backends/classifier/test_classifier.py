"""Classifiers from files: what they answer, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
import threading
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file
from skimage import data
from torchvision import models

import napari_semxai as sx
from napari_semxai.algorithms.synthetic import LABELS, SceneSpec, make_scene, scene_of_class
from napari_semxai.backends.classifier.classifier import map_statistics
from napari_semxai.backends.classifier.layers.outputs import registrations
from napari_semxai.sample_data import class_scenes
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.weights.models import BUNDLED_CLASSIFIER
from napari_semxai.types import InputError
from tests.networks import residuals

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.backends.classifier.classifier import Classifier

NAMES = ["scratch", "particle", "none"]


def describe(path: Path, **values: Any) -> Path:
    """Write a description beside `path`; a value of None leaves its key out."""
    given = {"architecture": "resnet18", "class_names": NAMES, "input_size": [64, 64], **values}
    kept = {key: value for key, value in given.items() if value is not None}
    path.with_suffix(".json").write_text(json.dumps(kept))
    return path


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return models.resnet18(num_classes=3).eval()


@pytest.fixture(scope="module")
def saved(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "mine.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def weights(saved: Path, tmp_path: Path) -> Path:
    path = describe(tmp_path / saved.name)
    # Not a copy: they are many bytes.
    os.link(saved, path)
    return path


@pytest.fixture(scope="module")
def bundled() -> Classifier:
    return sx.load_classifier()


@pytest.mark.parametrize("label", LABELS)
def test_bundled_knows_plain_scenes(bundled: Classifier, label: int) -> None:
    pattern = "lines" if label == 5 else "none"
    spec = SceneSpec(label=label, defects=int(label != 6), radius=40, light=0, pattern=pattern)
    found = [bundled.predict(make_scene(spec, seed).image) for seed in range(4)]
    assert all(one.dtype == np.float32 and one.shape == (6,) for one in found)
    assert [one.sum() for one in found] == pytest.approx([1] * 4)
    names = [bundled.class_names[one.argmax()] for one in found]
    assert names.count(LABELS[label]) >= 3


def test_photographs_are_strange_and_scenes_are_not(bundled: Classifier) -> None:
    assert not any(bundled.classify(scene.image).strange for scene in class_scenes().values())
    photographs = (data.astronaut, data.chelsea, data.coffee, data.page, data.rocket)
    strange = [bundled.classify(photograph()).strange for photograph in photographs]
    assert sum(strange) >= 4
    assert bundled.classify(data.coffee()).confidence == 0
    np.testing.assert_array_equal(
        bundled.classify(data.coffee()).probabilities, bundled.predict(data.coffee())
    )


def test_bumps_and_hollows_that_look_alike_are_called_either(bundled: Classifier) -> None:
    answers = []
    for label, seed in product((1, 2), range(7000, 7012)):
        found = bundled.classify(scene_of_class(label, seed).image)
        answers.append(found.answer)
        assert found.confidence <= 0.9 or found.answer == LABELS[label]
    assert any({"particle", "pit"} <= set(answer.split(" or ")) for answer in answers)


def write_familiarity(folder: Path, channels: int = 64, bias: float = 0.0) -> None:
    """Write one of which the mean of the first channel counts, and its square."""
    directions = torch.zeros(1, 4 * channels)
    directions[0, 0] = 2.0
    numbers = {
        "directions": directions,
        "offsets": torch.tensor([1.0]),
        "squares": torch.tensor([3.0]),
        "slopes": torch.tensor([-1.0]),
        "bias": torch.tensor(bias),
    }
    save_file(numbers, folder / "known.safetensors")


def test_strange_is_what_the_file_of_familiarity_says(
    network: torch.nn.Module, weights: Path
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    first = sx.load_classifier(weights)
    assert not first.classify(image).strange
    seen: list[torch.Tensor] = []
    hook = network.layer1.register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.inference_mode():
        network(first.to_input(image))
    hook.remove()
    along = 2 * float(seen[0][0, 0].mean()) + 1
    form = 3 * along**2 - along
    describe(weights, familiarity={"layers": ["layer1"], "file": "known.safetensors"})
    for bias, strange in ((-form + 0.01, True), (-form - 0.01, False)):
        write_familiarity(weights.parent, bias=bias)
        assert sx.load_classifier(weights).classify(image).strange is strange


def test_statistics_of_maps_are_in_the_order_that_files_of_familiarity_hold() -> None:
    maps = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = map_statistics([maps, maps[:, :1]])[1].numpy()
    deviations, most = maps[1].std((1, 2)), maps[1].amax((1, 2))
    regions = maps[1].reshape(3, 4, 2, 4, 2).mean((2, 4)).flatten(1).std(1)
    sizes = [np.log(values.numpy() + 1e-3) for values in (deviations, most, regions)]
    expected = [maps[1].mean((1, 2)).numpy(), *sizes]
    np.testing.assert_allclose(found[:12], np.concatenate(expected), rtol=1e-4)
    np.testing.assert_allclose(found[12:], [part[0] for part in expected], rtol=1e-4)


@pytest.mark.parametrize(
    ("layer", "channels", "message"),
    [
        ("layer9", 64, "known.safetensors: fits no layers of mine.*layer9"),
        ("layer1", 5, "known.safetensors: fits no layers of mine"),
    ],
)
def test_familiarity_that_does_not_fit(
    weights: Path, layer: str, channels: int, message: str
) -> None:
    write_familiarity(weights.parent, channels)
    describe(weights, familiarity={"layers": [layer], "file": "known.safetensors"})
    with pytest.raises(InputError, match=message) as found:
        sx.load_classifier(weights)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no tensors", r"known.safetensors: cut off, or not a checkpoint \(10 bytes\)"),
        (None, r"known.safetensors: cut off, or not a checkpoint"),
        (
            save({"bias": torch.tensor(0.0)}),
            "known.safetensors: fits no layers of mine.*directions",
        ),
        (save({"bias": torch.tensor(float("nan"))}), "known.safetensors: .*no finite numbers"),
        (save({}), "known.safetensors: .*no finite numbers"),
    ],
    ids=["text", "cut off", "foreign", "nan", "empty"],
)
def test_familiarity_that_is_damaged_or_foreign(
    weights: Path, content: bytes | None, message: str
) -> None:
    file = weights.parent / "known.safetensors"
    write_familiarity(weights.parent)
    file.write_bytes(file.read_bytes()[:-8] if content is None else content)
    describe(weights, familiarity={"layers": ["layer1"], "file": file.name})
    with pytest.raises(InputError, match=message) as found:
        sx.load_classifier(weights)
    assert "\n" not in str(found.value)


def test_weights_of_no_numbers_are_not_blamed_on_familiarity(weights: Path) -> None:
    damaged = {name: values * torch.nan for name, values in load_file(weights).items()}
    weights.unlink()
    save_file(damaged, weights)
    write_familiarity(weights.parent)
    describe(weights, familiarity={"layers": ["layer1"], "file": "known.safetensors"})
    with pytest.raises(InputError, match=r"^mine.*answers with NaN"):
        sx.load_classifier(weights)


def test_bundled_says_what_it_is(bundled: Classifier) -> None:
    assert bundled.info.name == "bundled"
    assert bundled.info.synthetic
    assert bundled.info.sha256 == file_sha256(BUNDLED_CLASSIFIER)
    assert BUNDLED_CLASSIFIER.stat().st_size < 15e6


def test_bundled_maps_are_never_negative(bundled: Classifier) -> None:
    scene = make_scene(SceneSpec(), seed=3)
    with torch.inference_mode():
        maps = bundled.network.features(bundled.to_input(scene.image))
    assert maps.min() == 0 < maps.max()


@pytest.mark.parametrize("layer", ["expand3", "expand4", "expand5", "head"])
def test_bundled_can_be_cut_behind_rectified_layers(bundled: Classifier, layer: str) -> None:
    inputs = bundled.to_input(make_scene(SceneSpec(), seed=3).image)
    cut = [name for name, _ in bundled.network.features.named_children()].index(layer) + 1
    with torch.inference_mode():
        maps = bundled.network.features[:cut](inputs)
        rest = bundled.network.features[cut:](maps).mean((2, 3))
        logits = bundled.network.classifier(rest)
        assert maps.min() >= 0
        torch.testing.assert_close(logits, bundled.network(inputs), rtol=1e-4, atol=1e-4)


def test_bundled_layers_lie_where_things_are(bundled: Classifier) -> None:
    layers = [f"features.{name}" for name in ("expand3", "expand4", "expand5", "head")]
    places, left = registrations(bundled, layers), residuals(bundled, layers)
    for layer, place, beside in zip(layers, places, left, strict=True):
        assert place.moves
        # In pixels of 480.
        assert 480 * np.abs(place.offset).max() < (8 if layer.endswith(("5", "head")) else 3)
        assert 480 * np.abs(beside).max() <= 3


def test_bundled_heat_maps_lie_on_defects(bundled: Classifier) -> None:
    moves, hits = [], []
    for label, seed in product((1, 2, 4), range(4)):
        scene = make_scene(SceneSpec(label=label, radius=30, light=0), seed)
        values = sx.gradcam(scene.image, bundled, target=label - 1).values
        centres = [np.argwhere(mask).mean(axis=0) for mask in (values > 0.5, scene.defect)]
        moves.append(centres[0] - centres[1])
        hits.append(scene.defect[np.unravel_index(values.argmax(), values.shape)])
    assert np.mean(hits) > 0.6
    assert np.abs(np.median(moves, axis=0)).max() < 6


def test_same_answer_as_the_network_itself(network: torch.nn.Module, weights: Path) -> None:
    classifier = sx.load_classifier(weights)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    values = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    mean, std = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    inputs = (values - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.inference_mode():
        want = torch.softmax(network(inputs)[0], 0).numpy()
    np.testing.assert_allclose(classifier.predict(image), want, atol=1e-6)
    assert classifier.class_names == tuple(NAMES)
    assert classifier.info.name == "mine.safetensors"
    assert not classifier.info.synthetic


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_of_torch(
    network: torch.nn.Module, tmp_path: Path, wrap: Any, prefix: str
) -> None:
    state = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    path = describe(tmp_path / "mine.pth")
    torch.save(wrap(state), path)
    loaded = sx.load_classifier(path).network.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in network.state_dict().items())


def test_temperature_divides_the_logits(weights: Path) -> None:
    image = np.full((64, 64), 90, np.uint8)
    sharp = np.log(sx.load_classifier(weights).predict(image))
    describe(weights, temperature=2.0)
    soft = np.log(sx.load_classifier(weights).predict(image))
    np.testing.assert_allclose(soft - soft[0], (sharp - sharp[0]) / 2, atol=1e-5)


def test_gray_and_equal_colours_are_the_same(weights: Path) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (100, 80), np.uint8)
    classifier = sx.load_classifier(weights)
    want = classifier.to_input(gray)
    assert want.shape == (1, 3, 64, 64)
    torch.testing.assert_close(want, classifier.to_input(np.stack([gray] * 3, -1)))
    torch.testing.assert_close(want, classifier.to_input(np.stack([gray] * 4, -1)))


def test_16_bit_is_scaled_by_percentile(weights: Path) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (100, 80), np.uint8)
    deep = gray.astype(np.uint16) * 17 + 3000
    deep[0, 0] = 65535
    classifier = sx.load_classifier(weights)
    got, want = classifier.to_input(deep), classifier.to_input(gray)
    assert (got - want)[..., 4:, 4:].abs().max() < 0.05


def test_one_channel(tmp_path: Path) -> None:
    network = models.resnet18(num_classes=3)
    network.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    path = describe(tmp_path / "gray.safetensors", channels=1, mean=[0.4], std=0.2)
    save_file(network.state_dict(), path)
    classifier = sx.load_classifier(path)
    colored = np.zeros((64, 64, 3), np.uint8)
    colored[..., 0] = 255
    assert classifier.to_input(colored).shape == (1, 1, 64, 64)
    assert classifier.to_input(colored)[0, 0, 0, 0] == pytest.approx((76 / 255 - 0.4) / 0.2)
    assert classifier.predict(colored).shape == (3,)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 2)), np.zeros(5), np.full((4, 4), "a"), np.zeros((2, 4, 4, 3))]
)
def test_what_is_no_image(weights: Path, image: np.ndarray[Any, Any]) -> None:
    with pytest.raises(InputError, match="cannot be classified"):
        sx.load_classifier(weights).predict(image)


def test_answers_in_many_threads_are_the_same(weights: Path) -> None:
    classifier = sx.load_classifier(weights)
    images = np.random.default_rng(0).integers(0, 256, (8, 64, 64), np.uint8)
    want = [classifier.predict(image) for image in images]
    found: dict[int, Any] = {}

    def work(index: int) -> None:
        found[index] = classifier.predict(images[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal([found[index] for index in range(8)], want)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": None}, "architecture is None"),
        ({"architecture": "resnet17"}, "architecture 'resnet17': .*torchvision"),
        ({"architecture": "resnet34"}, r"not weights of resnet34.*missing"),
        ({"class_names": ["a", "b"]}, r"fc.* \(3.* instead of \(2"),
        ({"class_names": ["a"]}, "class_names is .*two or more"),
        ({"class_names": ["a", "a", "b"]}, "class_names is .*different"),
        ({"class_names": None}, "class_names is None"),
        ({"input_size": [64, "64"]}, "input_size is .*between 16"),
        ({"input_size": 9}, "input_size is 9"),
        ({"channels": 2}, "channels is 2"),
        ({"channels": 1}, "conv1.weight .*instead of"),
        ({"mean": [0.5]}, "mean is .* 3 numbers"),
        ({"std": [0.2, 0, 0.2]}, "std is .*positive"),
        ({"temperature": -1}, "temperature is -1.*positive"),
        ({"familiarity": [1]}, "familiarity is .*layers"),
        ({"familiarity": {"layers": ["layer1"]}}, "familiarity is .*file"),
        ({"familiarity": {"layers": [1], "file": "x"}}, "familiarity is .*layers"),
        (
            {"familiarity": {"layers": ["layer1"], "file": "other/none.safetensors"}},
            "other/none.safetensors: no such file; mine.json names it",
        ),
    ],
)
def test_descriptions_that_make_no_sense(
    weights: Path, change: dict[str, Any], message: str
) -> None:
    describe(weights, **change)
    with pytest.raises(InputError, match=message) as found:
        sx.load_classifier(weights)
    assert "\n" not in str(found.value)


def test_missing_files(weights: Path) -> None:
    with pytest.raises(InputError, match=r"other\.pt: no such file"):
        sx.load_classifier(weights.with_name("other.pt"))
    weights.with_suffix(".json").write_text("{")
    with pytest.raises(InputError, match=r"mine\.json: not JSON"):
        sx.load_classifier(weights)
    weights.with_suffix(".json").write_text("[]")
    with pytest.raises(InputError, match=r"mine\.json: not a JSON object"):
        sx.load_classifier(weights)
    weights.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"mine\.json: missing; write architecture"):
        sx.load_classifier(weights)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.99])
def test_cut_off(network: torch.nn.Module, tmp_path: Path, suffix: str, share: float) -> None:
    path = describe(tmp_path / f"cut{suffix}")
    (save_file if suffix == ".safetensors" else torch.save)(network.state_dict(), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"cut\.\w+: cut off, or not a checkpoint"):
        sx.load_classifier(path)


class Hostile:
    """A pickle that leaves a mark when it is read carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["whole", "deep", "old", "bare"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, kind: str) -> None:
    path = describe(tmp_path / "evil.pt")
    hostile = Hostile(tmp_path / "mark")
    if kind == "bare":
        path.write_bytes(pickle.dumps(hostile))
    else:
        content = {"state_dict": {"fc.weight": hostile}} if kind == "deep" else hostile
        torch.save(content, path, _use_new_zipfile_serialization=kind != "old")
    with pytest.raises(InputError, match=r"could run code.*nothing in it ran.*save") as found:
        sx.load_classifier(path)
    assert "\n" not in str(found.value)
    assert "mkdir" in str(found.value) or kind in ("old", "bare")
    assert not (tmp_path / "mark").exists()
    pickle.loads(pickle.dumps(hostile))
    assert (tmp_path / "mark").exists()


def test_a_whole_network_is_refused_by_name(network: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(network, describe(tmp_path / "whole.pt"))
    with pytest.raises(InputError, match=r"whole\.pt: .*torchvision\.models\.resnet\.ResNet"):
        sx.load_classifier(tmp_path / "whole.pt")


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_torchscript_is_refused(network: torch.nn.Module, tmp_path: Path) -> None:
    path = describe(tmp_path / "traced.pt")
    torch.jit.trace(network, torch.zeros(1, 3, 64, 64)).save(str(path))
    with pytest.raises(InputError, match=r"traced\.pt: a TorchScript file.*state dict"):
        sx.load_classifier(path)


def test_no_weights_in_it(tmp_path: Path) -> None:
    torch.save([1, 2], describe(tmp_path / "list.pt"))
    with pytest.raises(InputError, match=r"list\.pt: no weights by name"):
        sx.load_classifier(tmp_path / "list.pt")


def test_a_network_that_cannot_see_its_input_is_refused(tmp_path: Path) -> None:
    path = describe(tmp_path / "vit.safetensors", architecture="vit_b_32", input_size=[64, 64])
    with torch.device("meta"):
        shapes = models.get_model("vit_b_32", num_classes=3).state_dict()
    # Without its random numbers, which take a second.
    half = {name: torch.zeros(one.shape, dtype=torch.float16) for name, one in shapes.items()}
    save_file(half, path)
    with pytest.raises(InputError, match=r"vit\.safetensors: does not run .*input_size"):
        sx.load_classifier(path)


def test_half_precision_weights_run_in_single_precision() -> None:
    assert {tensor.dtype for tensor in load_file(BUNDLED_CLASSIFIER).values()} == {torch.float16}
    assert {p.dtype for p in sx.load_classifier().network.parameters()} == {torch.float32}


def test_an_unknown_architecture_is_named_with_its_file(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    path = describe(tmp_path / "a.safetensors", architecture="vgg99")
    save_file(network.state_dict(), path)
    with pytest.raises(InputError, match=r"a\.json: architecture 'vgg99': "):
        sx.load_classifier(path)


def test_answers_with_nan_are_an_error(network: torch.nn.Module, tmp_path: Path) -> None:
    damaged = dict(network.state_dict())
    damaged["fc.weight"] = damaged["fc.weight"] * float("nan")
    path = describe(tmp_path / "nan.safetensors")
    save_file(damaged, path)
    classifier = sx.load_classifier(path)
    image = np.zeros((64, 64), np.uint8)
    with pytest.raises(InputError, match=r"nan\.safetensors: answers with NaN"):
        classifier.predict(image)
    for target in (None, 1):
        with pytest.raises(InputError, match=r"nan\.safetensors: answers with NaN"):
            sx.gradcam(image, classifier, target=target)
