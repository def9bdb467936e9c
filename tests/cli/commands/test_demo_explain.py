"""Explanations of the demo, scored on the sample and on a scene of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import LABELS
from napari_semxai.backends.runtime.xplique_import import craft_missing
from napari_semxai.cli.commands import demo_explain
from napari_semxai.cli.commands.demo_explain import explain_sample
from napari_semxai.cli.common.output import Output
from napari_semxai.sample_data import class_scenes, sample_scene
from napari_semxai.store.images.masks import read_mask

if TYPE_CHECKING:
    from pathlib import Path

METHODS = {"6_gradcam", "empty", "centre disc", "Otsu"}
SCORES = {"dice", "iou", "precision", "recall", "accuracy"}


def test_scores_beside_trivial_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explain_sample(sample_scene(), tmp_path, Output(), concepts=False)
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
@pytest.mark.skipif(bool(craft_missing()), reason="the craft extra is not installed")
def test_concepts_are_drawn_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    particle = {1: class_scenes()[1]}
    monkeypatch.setattr(demo_explain, "class_scenes", lambda: particle)
    found = demo_explain.explain_sample(sample_scene(), tmp_path, Output(), concepts=True)
    for row in (found, *found["sample_set"]["images"]):
        precision = {name: values["precision"] for name, values in row["scores"].items()}
        assert precision["7_concepts"] > max(0.75, precision["6_gradcam"])
