"""``semxai demo``, its pictures, and explanations scored on a scene of each class."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import LABELS
from napari_semxai.cli import main
from napari_semxai.cli.commands import demo, window
from napari_semxai.cli.common.output import Output
from napari_semxai.sample_data import class_scenes, sample_scene
from napari_semxai.store.images.masks import read_mask
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from napari_semxai.types import Scores
from tests.pools import pool_of

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = ("1_candidates", "2_winner", "3_complement", "4_mask", "5_scores", "sample")
PICTURES += ("6_gradcam", "6_gradcam_mask")
METHODS = {"6_gradcam", "empty", "centre disc", "Otsu"}
SCORES = {"dice", "iou", "precision", "recall", "accuracy"}


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as stored:
        return np.asarray(stored)


@pytest.mark.parametrize("display", [True, False])
def test_every_step_is_pictured_and_the_window_needs_a_display(
    tmp_path: Path,
    quick: list[str],
    display: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(window, "has_display", lambda: display)
    monkeypatch.setattr(window, "start", lambda arguments, output: started.append(arguments))
    assert main(["demo", "--no-craft", "-o", str(tmp_path), *quick]) == 0
    assert started == ([["--sample"]] if display else [])
    text = capsys.readouterr().out
    assert ("No display" in text) != display
    for word in (
        "encoder",
        "decoder",
        "algorithm 1",
        "Candidates:",
        "Winner M_k",
        "Dice",
        "IoU",
        "Classifier: ",
        "mean over a scene of each of 6 classes",
    ):
        assert word in text
    for name in PICTURES:
        rows, columns = picture(tmp_path / f"{name}.png").shape[:2]
        assert columns >= 480
        assert rows >= 300
    np.testing.assert_array_equal(read_mask(tmp_path / "exact_mask.png"), sample_scene().defect)
    tinted = picture(tmp_path / "4_mask.png")
    colored = (tinted[..., 0] != tinted[..., 2]) & read_mask(tmp_path / "sample_mask.png")
    assert (colored == read_mask(tmp_path / "sample_mask.png")).all()


def test_json(
    tmp_path: Path,
    quick: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(window, "start", lambda arguments, output: started.append(arguments))
    assert main(["demo", "--no-window", "--no-craft", "--json", "-o", str(tmp_path), *quick]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["scores"].keys() == {"dice", "iou", "precision", "recall", "accuracy"}
    assert result["seconds"]["encoder"] > 0
    stored = json.loads((tmp_path / "demo.json").read_text("utf-8"))
    assert "seconds" not in stored
    assert stored["scores"] == result["scores"]
    assert started == []


@pytest.mark.slow
def test_bundled_network_finds_the_sample_defect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not BUNDLED_WEIGHTS.is_file():
        pytest.skip("the bundled weights are not in this tree")
    assert main(["demo", "--no-window", "--no-craft", "--json", "-o", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["dice"] >= 0.9
    assert os.listdir(tmp_path)


def test_small_candidates_lie_on_top() -> None:
    gray = np.full((10, 10), 100, np.uint8)
    small = np.zeros((10, 10), bool)
    small[4:6, 4:6] = True
    picture = demo.candidates_picture(gray, pool_of([small, ~small | small]))
    assert len(np.unique(picture[small], axis=0)) == 1
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2


def test_scores_are_the_same_picture_every_time(tmp_path: Path) -> None:
    # Precision of an empty prediction is undefined.
    for name in ("a.png", "b.png"):
        demo.write_scores(tmp_path / name, Scores(tp=0, fp=0, fn=5, tn=10))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (750, 375)


def test_scores_beside_trivial_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = demo.explain_sample(sample_scene(), tmp_path, Output(), concepts=False)
    assert found["scores"].keys() == METHODS
    assert found["scores"]["6_gradcam"].keys() == SCORES
    # An empty mask says nothing about precision.
    assert found["scores"]["empty"]["precision"] is None
    rows, mean = found["sample_set"]["images"], found["sample_set"]["mean"]
    assert [row["class"] for row in rows] == list(LABELS.values())
    assert [row["predicted"] for row in (found, *rows)] == ["particle", *LABELS.values()]
    for name in METHODS:
        own = [row["scores"][name]["dice"] for row in rows]
        assert mean[name]["dice"] == pytest.approx(np.mean(own))
    for row, (label, name) in zip(rows, LABELS.items(), strict=True):
        stem = tmp_path / f"sample_set/{label}_{name}_6_gradcam"
        assert stem.with_suffix(".png").is_file()
        mask = read_mask(stem.with_name(f"{stem.name}_mask.png"))
        expected = scores(mask, class_scenes()[label].defect)
        assert row["scores"]["6_gradcam"]["dice"] == pytest.approx(expected.dice)
    text = capsys.readouterr().out
    assert "trained on synthetic images" in text
    assert "mean over a scene of each of 6 classes" in text


@pytest.mark.slow
def test_concepts_are_drawn_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    particle = {1: class_scenes()[1]}
    monkeypatch.setattr(demo, "class_scenes", lambda: particle)
    found = demo.explain_sample(sample_scene(), tmp_path, Output(), concepts=True)
    for row in (found, *found["sample_set"]["images"]):
        precision = {name: values["precision"] for name, values in row["scores"].items()}
        assert precision["7_concepts"] > max(0.75, precision["6_gradcam"])
        assert row["concepts"]["agreement"] >= 0.8
