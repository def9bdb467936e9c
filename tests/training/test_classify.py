"""The recipe of the bundled classifier."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_semxai.backends.classifiers import load_classifier
from training import classify, classify_scenes

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
    whole = classify.new_run(1e-3)
    classify.update(whole, options)
    classify.save(whole, tmp_path / "run.pt")
    classify.update(whole, options)
    parts = classify.new_run(1e-3)
    classify.load(parts, tmp_path / "run.pt")
    classify.update(parts, options)
    state = parts.average.state_dict()
    for name, value in whole.average.state_dict().items():
        torch.testing.assert_close(state[name], value)


@pytest.mark.slow
def test_held_out_scenes_are_the_committed_ones() -> None:
    for stream, digest in classify_scenes.DIGESTS.items():
        assert classify_scenes.digest(stream) == digest


@pytest.mark.slow
def test_macro_f1_on_validation_scenes() -> None:
    values, targets = classify.validation_set()
    logits = classify.logits_of(load_classifier().network, values)
    assert classify.scores_of(logits, targets).macro_f1 > 0.9
