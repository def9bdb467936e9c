import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_semxai.algorithms.explanations.localisation import (
    DELTAS,
    TOP_K,
    TYPICAL_DEFECT_SHARE,
    RankedMap,
    ThresholdCurve,
    best_in_words,
    centre_disc,
    dice_within,
    otsu_mask,
    trivial_baselines,
)
from napari_semxai.algorithms.explanations.masks import (
    color_distances,
    concept_masks,
    threshold_mask,
)
from napari_semxai.algorithms.masks.metrics import scores

# Few different values, so that ties are the rule.
PAIRS = st.tuples(st.integers(1, 8), st.integers(2, 8)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, shape, elements=st.sampled_from([-1, 0, 0.25, 0.5, 0.75, 2, 3.5])),
        arrays(bool, shape),
    )
)


@given(PAIRS)
def test_equals_scikit_learn(pair):
    values, truth = pair
    found = RankedMap(values).localisation(truth)
    if truth.any():
        expected = average_precision_score(truth.ravel(), values.ravel())
        assert found.average_precision == pytest.approx(expected)
    if truth.any() and not truth.all():
        assert found.auroc == pytest.approx(roc_auc_score(truth.ravel(), values.ravel()))
    else:
        assert math.isnan(found.auroc)


def by_their_formulas(values, truth):
    """Every score of a map, as its definition reads; no ties beside the values 0 and below."""
    falling = truth.ravel()[np.argsort(-values.ravel(), kind="stable")]
    positive, area, many = np.maximum(values, 0), truth.sum(), min(TOP_K, truth.size)
    taus = np.append(np.sort(values[values > 0]) / values.max() - 1e-6, 0)
    return {
        "relevance_mass": positive[truth].sum() / positive.sum(),
        "relevance_rank": falling[:area].sum() / area,
        "top_k": falling[:many].sum() / many,
        "pointing_game": float(truth.ravel()[values.argmax()]),
        "auroc": roc_auc_score(truth.ravel(), values.ravel()),
        "average_precision": average_precision_score(truth.ravel(), values.ravel()),
        "best_dice": max(scores(values > tau * values.max(), truth).dice for tau in taus),
    }


def test_200_random_maps_and_truths_equal_the_definitions():
    rng = np.random.default_rng(8)
    for number in range(200):
        shape = (40, 45) if number % 50 == 1 else (9, 11)
        values = rng.permutation(np.linspace(0.01, 1, math.prod(shape))).reshape(shape)
        values = values.astype(np.float32)
        truth = rng.random(shape) < rng.uniform(0.05, 0.6)
        truth &= number % 5 != 0
        values *= number % 7 != 0
        found = dataclasses.asdict(RankedMap(values).localisation(truth))
        if truth.any() and not values.any():
            share = pytest.approx(truth.mean())
            shares = dict.fromkeys(("relevance_rank", "top_k", "average_precision"), share)
            nothing = dict.fromkeys(("relevance_mass", "pointing_game", "best_tau"), math.nan)
            expected = shares | nothing | {"auroc": 0.5, "best_dice": 0.0}
            assert found == pytest.approx(expected, nan_ok=True)
            continue
        if not truth.any():
            assert all(map(math.isnan, found.values()))
            continue
        reached = scores(threshold_mask(values, found.pop("best_tau")), truth).dice
        assert reached == pytest.approx(found["best_dice"])
        assert found == pytest.approx(by_their_formulas(values, truth), rel=1e-5)


def test_top_k_by_hand(monkeypatch):
    """With fewer pixels than the map has, and a tie at the last of them."""
    monkeypatch.setattr("napari_semxai.algorithms.explanations.localisation.TOP_K", 3)
    values = np.array([[5, 4, 2, 2], [1, 1, 1, 0]], np.float32)
    truth = np.array([[1, 0, 1, 0], [1, 1, 1, 1]], bool)
    assert RankedMap(values).localisation(truth).top_k == pytest.approx((1 + 0 + 0.5) / 3)


def test_a_truth_of_all_pixels_and_undefined_relevance():
    values = np.array([[np.nan, 3.0], [1.0, 2.0]], np.float32)
    whole = RankedMap(values).localisation(np.ones((2, 2), bool))
    assert math.isnan(whole.auroc)
    assert (whole.relevance_mass, whole.relevance_rank, whole.average_precision) == (1, 1, 1)
    truth = np.array([[1, 0], [0, 0]], bool)
    assert RankedMap(values).localisation(truth) == RankedMap(np.nan_to_num(values)).localisation(
        truth
    )


@given(PAIRS)
def test_relevance_mass_and_rank_by_their_formulas(pair):
    values, truth = pair
    found = RankedMap(values).localisation(truth)
    positive = np.maximum(values, 0)
    if not truth.any():
        assert math.isnan(found.relevance_mass)
        assert math.isnan(found.relevance_rank)
        return
    if positive.any():
        mass = positive[truth].sum() / positive.sum()
        assert found.relevance_mass == pytest.approx(mass, rel=1e-6)
    # Ties: the mean over all orders, which is what their share within the truth gives.
    number = np.count_nonzero(truth)
    cut = np.sort(values.ravel())[::-1][number - 1]
    above, tied = values > cut, values == cut
    places = number - np.count_nonzero(above)
    share = np.count_nonzero(truth & tied) / np.count_nonzero(tied)
    expected = (np.count_nonzero(truth & above) + places * share) / number
    assert found.relevance_rank == pytest.approx(expected)


@given(PAIRS)
def test_pointing_game_shares_ties(pair):
    values, truth = pair
    found = RankedMap(values).localisation(truth)
    if truth.any() and values.max() > 0:
        assert found.pointing_game == pytest.approx(truth[values == values.max()].mean())
    else:
        assert math.isnan(found.pointing_game)


@given(PAIRS)
def test_the_curve_is_what_the_slider_gives(pair):
    values, truth = pair
    ranked = RankedMap(values)
    taus = np.linspace(0, 1, 29)
    curve = ranked.dice_curve(truth, taus)
    expected = [scores(threshold_mask(values, tau), truth).dice for tau in taus]
    np.testing.assert_allclose(curve, expected)
    if not truth.any():
        return
    found = ranked.localisation(truth)
    assert found.best_dice >= max(expected) - 1e-12 or not math.isfinite(found.best_tau)
    if math.isfinite(found.best_tau):
        reached = scores(threshold_mask(values, found.best_tau), truth).dice
        assert found.best_dice == pytest.approx(reached)


@given(arrays(np.float32, (6, 7), elements=st.floats(0, 1, width=32)), st.floats(0, 1))
def test_curve_and_slider_agree_to_the_last_bit(values, tau):
    truth = np.zeros((6, 7), bool)
    truth[2:4, 1:5] = True
    expected = scores(threshold_mask(values, tau), truth).dice
    assert RankedMap(values).dice_curve(truth, np.array([tau]))[0] == pytest.approx(expected)


def test_nothing_is_learned_from_an_empty_map():
    truth = np.eye(4, dtype=bool)
    found = RankedMap(np.zeros((4, 4), np.float32)).localisation(truth)
    assert found.auroc == 0.5
    assert found.average_precision == pytest.approx(0.25)
    assert found.relevance_rank == pytest.approx(0.25)
    assert math.isnan(found.relevance_mass)
    assert math.isnan(found.pointing_game)
    assert found.best_dice == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        RankedMap(np.zeros((3, 3), np.float32)).localisation(np.zeros((3, 4), bool))


def test_missing_values_are_the_least():
    values = np.array([[np.nan, 1.0], [0.5, 0.0]], np.float32)
    found = RankedMap(values).localisation(np.array([[False, True], [False, False]]))
    assert (found.auroc, found.pointing_game, found.relevance_mass) == (1, 1, pytest.approx(2 / 3))


def test_baselines():
    gray = np.full((100, 100), 90, np.uint8)
    gray[40:50, 40:60] = 200
    found = trivial_baselines(gray)
    assert list(found) == ["empty", "centre disc", "Otsu"]
    assert not found["empty"].any()
    np.testing.assert_array_equal(found["Otsu"], gray == 200)
    np.testing.assert_array_equal(otsu_mask(255 - gray), gray == 200)
    assert not otsu_mask(np.full((9, 9), 7, np.uint8)).any()
    disc = centre_disc((480, 480))
    assert disc.mean() == pytest.approx(TYPICAL_DEFECT_SHARE, rel=0.01)
    np.testing.assert_array_equal(disc, disc[::-1, ::-1])
    np.testing.assert_array_equal(disc, disc.T)


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


def test_ignored_pixels_are_no_part_of_the_ranking():
    rng = np.random.default_rng(3)
    values = np.round(rng.random((20, 30)), 1).astype(np.float32)
    truth, ignored = rng.random((20, 30)) < 0.3, rng.random((20, 30)) < 0.2
    values[5, 5], ignored[5, 5] = 1.0, False
    kept = ~ignored
    ranked = RankedMap(values)
    found, expected = ranked.without(ignored), RankedMap(values[kept][None])
    assert found.localisation(truth) == expected.localisation(truth[kept][None])
    taus = np.linspace(0, 1, 21)
    np.testing.assert_array_equal(
        found.dice_curve(truth, taus), expected.dice_curve(truth[kept][None], taus)
    )
    assert ranked.without(None) is ranked
    nothing = ranked.without(np.ones_like(ignored))
    assert np.isnan(nothing.localisation(truth).auroc)
    assert (nothing.dice_curve(truth, taus) == 1).all()
