import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from napari_semxai.algorithms.masks.metrics import scores

PAIRS = st.tuples(st.integers(1, 8), st.integers(1, 8)).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


@given(PAIRS)
def test_equals_scikit_learn(pair):
    prediction, truth = pair
    found = scores(prediction, truth)
    y, p = truth.ravel(), prediction.ravel()
    assert found.accuracy == pytest.approx(accuracy_score(y, p))
    assert found.dice == pytest.approx(f1_score(y, p, zero_division=1.0))
    assert found.iou == pytest.approx(
        jaccard_score(y, p, zero_division=1.0) if y.any() or p.any() else 1
    )
    assert found.precision == pytest.approx(
        precision_score(y, p, zero_division=np.nan), nan_ok=True
    )
    assert found.recall == pytest.approx(recall_score(y, p, zero_division=np.nan), nan_ok=True)


@given(PAIRS)
def test_dice_and_iou_say_the_same(pair):
    found = scores(*pair)
    assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))


def test_empty_masks_follow_the_convention():
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    both, one = scores(empty, empty), scores(full, empty)
    assert (both.dice, both.iou) == (1.0, 1.0)
    assert (one.dice, one.iou, one.accuracy) == (0.0, 0.0, 0.0)
    assert math.isnan(both.precision)
    assert math.isnan(one.recall)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 2\) and \(3, 3\)"):
        scores(np.ones((2, 2), bool), np.ones((3, 3), bool))
