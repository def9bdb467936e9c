from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_semxai.algorithms.explanations.concepts import (
    DESIGNS,
    explained_variance,
    linear_sobol_indices,
    matched_cosine,
    sobol_indices,
    sobol_masks,
)


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
