import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from napari_semxai.algorithms.algorithm1.winner_map import winner_envelope

SHAPE = (40, 50)
candidate = st.tuples(st.integers(0, 2000), st.floats(0, 0.5))


def scores_at(candidates, alpha, beta):
    areas, distances = np.array(candidates, float).reshape(-1, 2).T
    scores = areas * (1 - distances) ** alpha
    return np.where(areas > beta * SHAPE[0] * SHAPE[1], scores, -np.inf)


@example([(1, 0.0), (2, 2.2250738585e-313)], 0.0, 0.0)
@given(
    st.lists(candidate, max_size=30),
    st.floats(0, 20),
    st.floats(0, 1.1),
)
def test_winner_is_the_brute_force_argmax(candidates, alpha, beta):
    areas, distances = np.array(candidates, float).reshape(-1, 2).T
    winner = winner_envelope(areas.astype(int), distances, SHAPE).winner(alpha, beta)
    scores = scores_at(candidates, alpha, beta)
    if winner is None:
        assert not np.isfinite(scores).any()
    else:
        # Scores that tie up to rounding may go either way.
        assert scores[winner] >= scores.max() * (1 - 1e-12)


def test_plane_agrees_with_single_points():
    rng = np.random.default_rng(0)
    areas = rng.integers(1, 2000, 300)
    distances = rng.uniform(0, 0.5, 300)
    envelope = winner_envelope(areas, distances, SHAPE)
    alphas, betas = np.linspace(0, 8, 40), np.linspace(0, 1, 30)
    plane = envelope.winners(alphas, betas)
    for row, beta in enumerate(betas):
        eligible = areas > beta * 2000
        for column, alpha in enumerate(alphas):
            scores = np.where(eligible, areas * (1 - distances) ** alpha, -1)
            expected = scores.argmax() if eligible.any() else -1
            assert plane[row, column] == expected


@pytest.mark.parametrize("limit", [0.0, 3.0, 10.0])
def test_the_candidates_that_can_win_are_those_of_the_plane(limit):
    rng = np.random.default_rng(1)
    areas, distances = rng.integers(1, 2000, 60), rng.uniform(0, 0.5, 60)
    envelope = winner_envelope(areas, distances, SHAPE)
    # Just below the share of every candidate, so that none falls between two steps.
    betas = (np.unique(areas) - 0.5) / (SHAPE[0] * SHAPE[1])
    found = envelope.winners(np.linspace(0, limit, 4001), betas)
    assert set(envelope.reached(limit).tolist()) == set(found[found >= 0].tolist())


def test_equal_candidates_go_to_the_first():
    envelope = winner_envelope([100, 100, 100], [0.2, 0.1, 0.1], SHAPE)
    assert envelope.winner(0.0, 0.0) == 1
    assert envelope.winner(3.0, 0.0) == 1


@pytest.mark.parametrize("areas", [[], [0, 0]])
def test_nobody_wins_without_pixels(areas):
    assert winner_envelope(areas, [0.0] * len(areas), SHAPE).winner(1.0, 0.0) is None
