"""Training from the command line, on real images and with the bundled start."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import models

import napari_semxai as sx
from napari_semxai.algorithms.statistics.classification import classification_scores
from napari_semxai.algorithms.synthetic import SceneSpec, make_scene
from napari_semxai.backends.classifier import train as training
from napari_semxai.backends.classifier.files import read_description
from napari_semxai.cli import main
from napari_semxai.store.disk.digests import file_sha256

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scratches and four surfaces without a defect, small."""
    folder = tmp_path_factory.mktemp("data") / "set"
    for label, count in ((3, 12), (6, 4)):
        for seed in range(count):
            defects = int(label == 3)
            spec = SceneSpec(shape=(96, 96), label=label, defects=defects, radius=22, contrast=1.4)
            path = folder / str(label) / f"{seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(make_scene(spec, seed).image).save(path)
    return folder


@pytest.fixture
def small_start(tmp_path: Path) -> Path:
    """A network that trains in no time."""
    torch.manual_seed(0)
    network = models.shufflenet_v2_x0_5(num_classes=2)
    path = tmp_path / "start.safetensors"
    save_file(network.state_dict(), path)
    description = {"architecture": "shufflenet_v2_x0_5", "input_size": 64}
    description["class_names"] = ["a", "b"]
    path.with_suffix(".json").write_text(json.dumps(description))
    return path


def train(dataset: Path, target: Path, *more: object) -> int:
    return main(["train-classifier", str(dataset), "-o", str(target), "--json", *map(str, more)])


def test_from_the_bundled_weights(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mine.safetensors"
    options = ["--name", "3=scratch", "--steps", 8, "--batch", 4, "--name", "6=clean"]
    assert train(dataset, target, *options) == 0
    report = json.loads(capsys.readouterr().out)
    classifier = sx.load_classifier(target)
    assert classifier.class_names == ("scratch", "clean")
    assert not classifier.info.synthetic
    assert classifier.info.sha256 == report["sha256"] == file_sha256(target)
    assert classifier.info.temperature == report["temperature"]
    assert report["imbalance"] == 3
    assert [row["trained_on"] for row in report["classes"]] == [10, 3]
    assert [row["validated_on"] for row in report["classes"]] == [2, 1]
    assert [row["draws_per_image"] for row in report["classes"]] == [1.6, 5.3]
    assert np.sum(report["confusion"]) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.json", "mine.safetensors"]


@pytest.mark.slow
def test_it_learns(dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    assert train(dataset, target, "--steps", 14, "--batch", 6) == 0
    classifier = sx.load_classifier(target)
    right = [
        classifier.class_names[
            classifier.predict(np.asarray(Image.open(path))).argmax()
        ] == path.parent.name
        for path in sorted(dataset.rglob("*.png"))
    ]  # fmt: skip
    assert np.mean(right) > 0.8


def test_a_training_that_learned_nothing_says_so(
    dataset: Path, small_start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--start", small_start, "--steps", 1, "--batch", 2, "--validation", 0.7]
    assert train(dataset, tmp_path / "mine.safetensors", *options) == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["no_better_than_guessing"]
    assert "learned nothing: a mean recall of 0.50 is what guessing among 2 classes" in said.err


@pytest.mark.parametrize(
    ("confusion", "guessing"),
    [
        ([[20, 0], [0, 20]], False),
        ([[20, 0], [20, 0]], True),
        ([[12, 8], [9, 11]], True),
        # Nine images are too few to tell.
        ([[5, 0], [4, 0]], False),
    ],
)
def test_what_guessing_reaches(confusion: list[list[int]], guessing: bool) -> None:
    pairs = [
        (i, j) for i, row in enumerate(confusion) for j, n in enumerate(row) for _ in range(n)
    ]
    scores = classification_scores(*np.array(pairs).T, 2)
    empty = np.zeros(2)
    report = training.TrainReport(None, scores, empty, empty, 0.0)
    assert report.no_better_than_guessing == guessing


def test_interrupted_and_gone_on_with(
    dataset: Path, small_start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--start", small_start, "--steps", 6, "--batch", 4]
    assert train(dataset, tmp_path / "whole.safetensors", *options) == 0

    original = training.ClassifierTraining._update

    def stop_at_4(self: Any) -> float:
        if self.step == 4:
            raise KeyboardInterrupt
        return original(self)

    target = tmp_path / "parts.safetensors"
    monkeypatch.setattr(training.ClassifierTraining, "_update", stop_at_4)
    assert train(dataset, target, *options) == 130
    assert not target.exists()
    monkeypatch.undo()
    assert train(dataset, target, *options, "--seed", 1) == 2
    assert train(dataset, target, *options) == 0
    parts, whole = load_file(target), load_file(tmp_path / "whole.safetensors")
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    assert not list(tmp_path.glob(".*training.pt"))


def test_a_damaged_image_is_named_and_the_rest_is_done(
    dataset: Path, small_start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    shutil.copytree(dataset, tmp_path / "set")
    paths = [path.relative_to(tmp_path) for path in sorted((tmp_path / "set").rglob("*.png"))]
    rows = [f"{path},{path.parent.name}" for path in paths]
    table.write_text("\n".join(["image_path,label", *rows, "gone.png,3"]))
    target = tmp_path / "mine.safetensors"
    assert train(table, target, "--start", small_start, "--steps", 1, "--batch", 2) == 3
    captured = capsys.readouterr()
    assert "gone.png: no such file" in captured.err
    assert json.loads(captured.out)["images"] == 16
    assert read_description(target).class_names == ("3", "6")


def test_synthetic_images_are_told(dataset: Path, small_start: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    options = ["--start", small_start, "--steps", 1, "--batch", 2, "--synthetic"]
    assert train(dataset, target, *options) == 0
    assert read_description(target).synthetic


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", 0], "--steps: 0 is less than 1"),
        (["--balance", 2], "--balance 2.0"),
        (["--validation", 0], "--validation 0.0"),
        (["--rate", 0], "--rate 0.0"),
        (["--name", "3"], "LABEL=NAME"),
        (["--name", "9=x"], "no class '9'"),
        (["--start", "none.pt"], "none.pt: no such file"),
    ],
)
def test_bad_options(
    dataset: Path,
    tmp_path: Path,
    options: list[Any],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(dataset, tmp_path / "mine.safetensors", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_other_ending(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(dataset, tmp_path / "mine.pt") == 2
    assert "must end in .safetensors" in capsys.readouterr().err
