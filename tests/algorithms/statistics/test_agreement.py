import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from napari_semxai.algorithms.statistics.agreement import (
    cohen_kappa,
    majority_mask,
    pair_agreement,
    pair_scores,
)
from napari_semxai.types import Scores


@given(ratings=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1))
def test_kappa_is_that_of_scikit_learn(ratings):
    first, second = ([pair[place] for pair in ratings] for place in (0, 1))
    kappa = cohen_kappa(first, second)
    if len({*first, *second}) == 1:
        assert math.isnan(kappa)
    else:
        assert kappa == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_without_items():
    assert math.isnan(cohen_kappa([], []))
    with pytest.raises(ValueError, match="2 ratings"):
        cohen_kappa("ab", "a")


def test_majority_needs_more_than_half():
    first, second, third = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(majority_mask([first, second, third]), [True, False, False, 0])
    np.testing.assert_array_equal(majority_mask([first, second]), [True, False, False, False])
    with pytest.raises(ValueError, match="no masks"):
        majority_mask([])


def test_pairs_of_one_image():
    masks = {"a": np.array([[True, True]]), "b": np.array([[True, False]])}
    masks["c"] = ~masks["b"]
    found = pair_scores(masks)
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "b"].dice == pytest.approx(2 / 3)
    assert found["b", "c"].iou == 0


def test_summary_of_a_pair():
    compared = [Scores(2, 0, 2, 6), Scores(0, 0, 0, 10)]
    found = pair_agreement(("a", "b"), compared, [("x", "x"), ("x", "y")], [])
    assert (found.masks, found.empty, found.states, found.labels) == (2, 1, 2, 0)
    assert found.dice_mean == pytest.approx((2 / 3 + 1) / 2)
    assert found.iou_std == pytest.approx(np.std([0.5, 1], ddof=1))
    assert found.state_kappa == 0
    assert math.isnan(found.label_kappa)


def test_what_one_of_a_pair_ignores_is_not_compared():
    one, two, three = (np.zeros((6, 6), bool) for _ in range(3))
    one[:3], two[:3], three[3:] = True, True, True
    two[3, :] = True
    region = np.zeros((6, 6), bool)
    region[3] = True
    masks = {"a": one, "b": two, "c": three}
    found = pair_scores(masks, {"b": region})
    assert found["a", "b"].dice == 1
    assert found["a", "c"] == pair_scores(masks)["a", "c"]
    assert found["b", "c"].tn == 0
    assert sum((found["b", "c"].fp, found["b", "c"].fn)) == 30
