import numpy as np
import pytest

from napari_semxai.algorithms.explanations.localisation import (
    DELTAS,
    ThresholdCurve,
    best_in_words,
    dice_within,
)
from napari_semxai.algorithms.explanations.masks import color_distances, concept_masks
from napari_semxai.algorithms.masks.metrics import scores


@pytest.mark.parametrize("empty", [False, True])
def test_every_delta_equals_algorithm_3(empty):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    truth = rng.random((20, 30)) > (2 if empty else 0.7)
    colors = [(39, 205, 255)]
    curve = dice_within(color_distances(rgb, colors)[0], truth, DELTAS)
    for delta, dice in zip(DELTAS, curve, strict=True):
        assert dice == scores(concept_masks(rgb, colors, delta)[0], truth).dice


def test_the_best_lies_in_the_middle_of_a_plateau():
    thresholds = np.arange(6.0)
    curve = ThresholdCurve("a map", "delta", thresholds, np.array([0, 0.2, 0.7, 0.7, 0.7, 0.1]))
    assert curve.best == (3.0, 0.7)
    assert curve.nearest(3.4) == 3.0
    assert best_in_words([curve]) == "a map: best δ 3, Dice 0.700"
