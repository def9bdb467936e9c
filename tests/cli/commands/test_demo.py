"""``semxai demo`` and its pictures."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_semxai.cli import main
from napari_semxai.cli.commands import window
from napari_semxai.sample_data import sample_scene
from napari_semxai.store.images.masks import read_mask
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = ("1_candidates", "2_winner", "3_complement", "4_mask", "5_scores", "sample")
PICTURES += ("6_gradcam", "6_gradcam_mask")


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as stored:
        return np.asarray(stored)


def test_every_step_is_said_and_pictured(
    tmp_path: Path, quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--no-window", "--no-craft", "-o", str(tmp_path), *quick]) == 0
    text = capsys.readouterr().out
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


def test_json(tmp_path: Path, quick: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--no-window", "--no-craft", "--json", "-o", str(tmp_path), *quick]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["scores"].keys() == {"dice", "iou", "precision", "recall", "accuracy"}
    assert result["seconds"]["encoder"] > 0
    stored = json.loads((tmp_path / "demo.json").read_text("utf-8"))
    assert "seconds" not in stored
    assert stored["scores"] == result["scores"]


@pytest.mark.parametrize("display", [True, False])
def test_the_window_opens_only_where_there_is_a_display(
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
    assert ("No display" in capsys.readouterr().out) != display


@pytest.mark.slow
def test_bundled_network_finds_the_sample_defect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not BUNDLED_WEIGHTS.is_file():
        pytest.skip("the bundled weights are not in this tree")
    assert main(["demo", "--no-window", "--no-craft", "--json", "-o", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["dice"] >= 0.9
    assert os.listdir(tmp_path)
