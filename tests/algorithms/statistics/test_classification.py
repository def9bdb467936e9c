"""Scores, calibration, splits and sampling, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from napari_semxai.algorithms.statistics.classification import (
    calibration_error,
    classification_scores,
    fit_temperature,
    sampling_weights,
    stratified_split,
)

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@given(pairs)
def test_scores_equal_scikit_learn(given_pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(given_pairs).T
    scores = classification_scores(truth, predicted, 4)
    labels = np.unique(truth)
    np.testing.assert_array_equal(
        scores.confusion, confusion_matrix(truth, predicted, labels=range(4))
    )
    want = f1_score(truth, predicted, labels=labels, average="macro", zero_division=0)
    assert scores.macro_f1 == pytest.approx(want)
    assert scores.accuracy == pytest.approx((truth == predicted).mean())


def test_a_class_without_images_is_left_out_of_means() -> None:
    scores = classification_scores(np.array([0, 0]), np.array([0, 0]), 3)
    assert scores.macro_f1 == scores.macro_recall == 1
    assert np.isnan(scores.f1[1:]).all()
    assert np.isnan(scores.precision[1:]).all()
    empty = classification_scores(np.array([], int), np.array([], int), 2)
    assert np.isnan([empty.macro_f1, empty.accuracy]).all()


def test_temperature_of_logits_made_too_sharp() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (20_000, 4))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (chances.cumsum(1) < rng.random((20_000, 1))).sum(1)
    assert fit_temperature(logits * 3, truth) == pytest.approx(3, rel=0.05)
    assert calibration_error(chances, truth) < 0.02
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(1, keepdims=True)
    assert calibration_error(sharp, truth) > 0.1
    assert fit_temperature(np.zeros((0, 4)), np.array([], int)) == 1


@pytest.mark.parametrize(("count", "wanted"), [(1, 0), (2, 1), (4, 1), (10, 2), (4008, 802)])
def test_split_of_small_and_large_classes(count: int, wanted: int) -> None:
    labels = np.repeat([0, 1], [count, 50])
    chosen = stratified_split(labels, 0.2, np.random.default_rng(0))
    assert chosen[:count].sum() == wanted
    assert chosen[count:].sum() == 10


def test_sampling_of_a_thousand_to_one() -> None:
    labels = np.repeat([0, 1], [4008, 4])
    for balance, share in ((0, 4 / 4012), (0.5, 2 / (2 + 4008**0.5)), (1, 0.5)):
        weights = sampling_weights(labels, balance)
        assert weights.sum() == pytest.approx(1)
        assert weights[labels == 1].sum() == pytest.approx(share)


def test_the_classes_of_carinthia() -> None:
    counts = np.array([55, 8, 4008, 289, 4, 227])
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(6), counts))
    held_out = stratified_split(labels, 0.2, np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(labels[held_out]), [11, 2, 802, 58, 1, 45])
    trained = labels[~held_out]
    np.testing.assert_array_equal(np.bincount(trained), [44, 6, 3206, 231, 3, 182])
    weights = sampling_weights(trained, 1)
    np.testing.assert_allclose(np.bincount(trained, weights), 1 / 6)
    # An image of the rarest class against one of the most frequent.
    assert weights[trained == 4][0] / weights[trained == 2][0] == pytest.approx(3206 / 3)
    drawn = np.random.default_rng(2).choice(trained, 6000, p=weights)
    assert np.abs(np.bincount(drawn) / 6000 - 1 / 6).max() < 0.02
