"""The recipe of the bundled classifier."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_semxai.backends.classifier.classifier import load_classifier
from napari_semxai.store.weights.models import BUNDLED_CLASSIFIER
from training import classify, classify_batches, classify_scenes

if TYPE_CHECKING:
    from pathlib import Path


def test_streams_differ_and_scenes_are_what_they_are_called() -> None:
    streams = [
        classify_scenes.TRAINING_STREAM,
        classify_scenes.VALIDATION_STREAM,
        classify_scenes.HELD_OUT_STREAM,
        classify_scenes.WIDE_STREAM,
    ]
    images = []
    for stream in streams:
        found = list(classify_scenes.scenes(stream, 1))
        assert [scene.label for scene in found] == [1, 2, 3, 4, 5, 6]
        images.append(found[0].image)
        if stream != classify_scenes.WIDE_STREAM:
            assert all(scene.defect.sum() >= 300 for scene in found[:5])
        assert not found[5].defect.any()
    assert not any(np.array_equal(images[0], image) for image in images[1:])


def test_going_on_gives_the_same_weights(tmp_path: Path) -> None:
    options = Namespace(batch=2, rate=1e-3, steps=10)
    first, second = classify_batches.batch_at(0, 2), classify_batches.batch_at(1, 2)
    whole = classify.new_run(1e-3)
    classify.update(whole, options, first)
    classify.save(whole, tmp_path / "run.pt")
    classify.update(whole, options, second)
    parts = classify.new_run(1e-3)
    classify.load(parts, tmp_path / "run.pt")
    classify.update(parts, options, second)
    state = parts.average.state_dict()
    for name, value in whole.average.state_dict().items():
        torch.testing.assert_close(state[name], value)


def test_scenes_of_a_batch_are_of_three_worlds() -> None:
    rng = np.random.default_rng(0)
    drawn = [classify_batches.scene_for(rng, 2, 99, number) for number in range(40)]
    lit = [scene.label for scene, lit in drawn if lit]
    others = [scene.label for scene, lit in drawn if not lit]
    assert 10 < len(lit) < 30
    assert set(lit) == {2}
    # Those of the wide kinds have classes of their own.
    assert others.count(2) > 5
    assert len(set(others)) > 1


def test_exported_weights_get_the_shares_of_the_classes_again() -> None:
    exported = load_file(BUNDLED_CLASSIFIER)["classifier.bias"].float()
    run = classify.new_run(1e-3, BUNDLED_CLASSIFIER)
    for network in (run.network, run.average):
        added = (network.classifier.bias - exported).detach()
        torch.testing.assert_close(added.exp(), torch.tensor([1.0, 1, 1, 2, 2, 2]))


def test_cells_are_named_after_the_defect_they_show() -> None:
    defect = np.zeros((480, 480), bool)
    defect[24:48, 48:96] = True
    defect[24:48, 96] = True
    named = classify_batches.cell_classes(classify_batches.cell_shares(defect), 3)[0]
    assert named[1, 2:4].tolist() == [2, 2]
    assert named[1, 4] == classify_batches.IGNORED
    assert (named == 5).sum() == 400 - 3


def test_cells_with_a_defect_weigh_as_much_as_all_others() -> None:
    classes = torch.full((1, 20, 20), 5)
    classes[0, 3, 3] = 0
    logits = torch.zeros(1, 6, 20, 20)
    logits[:, 5] = 3.0
    log_sum = float(torch.log(torch.exp(torch.tensor(3.0)) + 5))
    assert float(classify.cell_loss(logits, classes)) == pytest.approx(log_sum - 1.5, abs=1e-5)


def test_maps_are_to_cover_the_defect_and_to_be_strongest_there() -> None:
    shares = torch.zeros(2, 20, 20)
    shares[0, 5:8, 5:8] = 1
    weight, targets = torch.tensor([[1.0, -1.0]]), torch.tensor([0, 0])

    def loss(place: int, opposing: float = 0.0) -> float:
        features = torch.zeros(2, 2, 20, 20)
        features[:, 0, place : place + 3, place : place + 3] = 2
        features[:, 1, 5:8, 5:8] = opposing
        return float(classify.map_loss(features, weight, targets, shares))

    # The image without a defect counts nowhere.
    assert loss(5) == pytest.approx(0, abs=1e-6)
    beside = 1 - 0.5 * np.log(0.01)
    assert loss(12) == pytest.approx(beside, abs=1e-4)
    # Where another channel speaks against the class, Grad-CAM shows nothing, LayerCAM does.
    assert loss(5, opposing=4) == pytest.approx(beside / 2, abs=1e-4)
    assert 0 < loss(6) < beside


def test_what_is_often_wrong_is_made_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[5.0, 0, 0, 0, 0, 0]]).expand(len(values), -1)

    monkeypatch.setattr(classify, "ANY_LIGHT", 6)
    temperature = classify.modest(Stubborn(), 1.0)
    # Five of six are called wrong: e^(5/T) / (e^(5/T) + 5) is 0.9 at T = 5 / log(45).
    assert 5 / np.log(45) <= temperature < 1.011 * 5 / np.log(45)
    assert classify.modest(Stubborn(), 2.0) == 2.0


@pytest.mark.slow
def test_held_out_scenes_are_the_committed_ones() -> None:
    for stream, digest in classify_scenes.DIGESTS.items():
        assert classify_scenes.digest(stream) == digest


@pytest.mark.slow
def test_macro_f1_on_validation_scenes() -> None:
    values, targets = classify.validation_set()
    logits = classify.logits_of(load_classifier().network, values)
    assert classify.scores_of(logits, targets).macro_f1 > 0.9
