from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_semxai.algorithms.explanations.concepts import (
    DESIGNS,
    THRESHOLDS,
    best_mean_iou,
    doubts,
    explained_variance,
    iou_curve,
    linear_sobol_indices,
    matched_cosine,
    sobol_indices,
    sobol_masks,
    suggest,
)
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.types import SweepRow
from tests import explanations as make

NAN = math.nan


def test_masks_are_a_then_b_then_a_with_one_column_of_b() -> None:
    masks = sobol_masks(3)
    a, b = masks[:DESIGNS], masks[DESIGNS : 2 * DESIGNS]
    assert masks.shape == (5 * DESIGNS, 3)
    for concept in range(3):
        c = masks[(2 + concept) * DESIGNS : (3 + concept) * DESIGNS]
        others = [index for index in range(3) if index != concept]
        np.testing.assert_array_equal(c[:, concept], b[:, concept])
        np.testing.assert_array_equal(c[:, others], a[:, others])


@given(st.integers(1, 12), st.integers(0, 100))
def test_closed_form_is_the_estimate_of_a_sum(k: int, seed: int) -> None:
    terms = np.random.default_rng(seed).normal(size=k)
    outputs = sobol_masks(k) @ terms + 0.7
    np.testing.assert_allclose(
        linear_sobol_indices(terms), sobol_indices(outputs, k), atol=1e-5, rtol=1e-5
    )


def test_indices_of_a_sum_are_shares_of_the_variance() -> None:
    terms = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    indices = linear_sobol_indices(terms)
    np.testing.assert_allclose(indices[0], [0.9, 0.1, 0], atol=0.15)
    assert not indices[1].any()


def test_concepts_match_in_any_order() -> None:
    vectors = np.random.default_rng(0).random((5, 9))
    assert matched_cosine(vectors, 3 * vectors[::-1]) == pytest.approx(1)
    assert matched_cosine(np.eye(4)[:2], np.eye(4)[2:]) == 0


def test_explained_variance() -> None:
    values = np.array([[1.0, 2], [3, 6]])
    assert explained_variance(values, values) == 1
    assert explained_variance(values, np.broadcast_to(values.mean(axis=0), (2, 2))) == 0


def row(
    n_concepts: int = 10,
    r2: float = 0.5,
    agreement: float = 1.0,
    stability: float = 0.9,
    iou: float = NAN,
) -> SweepRow:
    return SweepRow("last", n_concepts, 64, r2, agreement, stability, 3, iou, 1.0)


def test_curve_is_the_iou_at_each_threshold() -> None:
    rng = np.random.default_rng(0)
    values, truth = 3 * rng.random((20, 30)), rng.random((20, 30)) > 0.7
    curve = iou_curve(values, truth)
    for index in (0, 17, 48):
        predicted = values > THRESHOLDS[index] * values.max()
        assert curve[index] == pytest.approx(scores(predicted, truth).iou)
    assert not iou_curve(values * 0, truth).any()


def test_one_threshold_for_all_maps() -> None:
    truth = np.array([[True, False]])
    early, late = np.array([[1.0, 0.5]]), np.array([[0.3, 1.0]])
    assert best_mean_iou([early], [truth]) == 1
    assert best_mean_iou([early, late], [truth, truth]) == pytest.approx(0.75, abs=0.26)
    assert math.isnan(best_mean_iou([], []))


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([row(r2=0.5), row(r2=0.9)], 1),
        ([row(20, r2=0.91), row(5, r2=0.90)], 1),
        ([row(r2=0.9, iou=0.1), row(r2=0.3, iou=0.4)], 1),
        ([row(r2=0.9, agreement=0.5), row(r2=0.3)], 1),
        ([row(r2=0.9, stability=0.2), row(r2=0.3)], 1),
        ([row(r2=0.9, agreement=0.2), row(r2=0.3, agreement=0.1)], 0),
        ([row(r2=0.9, stability=NAN), row(r2=0.3)], 0),
    ],
)
def test_suggestion(rows: list[SweepRow], chosen: int) -> None:
    assert suggest(rows)[0] == chosen


def test_reasons_say_what_is_not_good() -> None:
    _, reasons = suggest([row(agreement=0.4, stability=0.3)])
    assert "take care" in reasons[0]
    assert "depend on the seed" in reasons[1]
    assert "was not judged" in reasons[2]
    assert "IoU 0.40" in suggest([row(iou=0.4)])[1][2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"n_images": 1}, ["Fitted on 1 image:"]),
        ({"r2": 0.49}, ["R² 0.49"]),
        ({"agreement": 0.12}, ["Agreement 12%"]),
        ({"n_images": 8, "r2": 0.32, "agreement": 0.12}, ["8 images", "R² 0.32", "12%"]),
    ],
)
def test_banks_that_mean_little_are_doubted(changes: dict[str, Any], said: list[str]) -> None:
    bank = replace(make.bank(), **{"n_images": 20, "r2": 0.5, "agreement": 0.9, **changes})
    found = doubts(bank)
    assert len(found) == len(said)
    for doubt, part in zip(found, said, strict=True):
        assert part in doubt
        # With what to do about it.
        assert "; take " in doubt or "or a later layer" in doubt
