import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, precision_score, recall_score

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.statistics.evaluation import (
    METRICS,
    ImageScores,
    best_threshold,
    bootstrap_interval,
    compare_methods,
    holm,
    method_tables,
    paired_test,
    summarize,
    tuning_split,
)

STEPS = st.lists(st.integers(-4, 4), min_size=1, max_size=8)


def random_masks(count=200):
    """Random pairs of masks, every fifth truth and every seventh prediction empty."""
    rng = np.random.default_rng(4)
    for number in range(count):
        truth, found = (rng.random((12, 15)) < rng.random() for _ in range(2))
        yield found & (number % 7 != 0), truth & (number % 5 != 0)


PAIRS = list(random_masks())
ROWS = [ImageScores(str(n), "", "ours", scores(*pair)) for n, pair in enumerate(PAIRS)]


def independent(name):
    """The same scores by scikit-learn, with the conventions for empty masks written out."""
    functions = {
        "accuracy": accuracy_score,
        "precision": lambda y, p: precision_score(y, p, zero_division=np.nan),
        "recall": lambda y, p: recall_score(y, p, zero_division=np.nan),
        "dice": lambda y, p: f1_score(y, p) if y.any() or p.any() else 1.0,
        "iou": lambda y, p: jaccard_score(y, p) if y.any() or p.any() else 1.0,
    }
    return [functions[name](truth.ravel(), found.ravel()) for found, truth in PAIRS]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("ignore:F-score is ill-defined", "ignore:Jaccard is ill-defined")
def test_200_random_masks_equal_scikit_learn(name):
    expected = independent(name)
    found = [getattr(row.scores, name) for row in ROWS]
    np.testing.assert_allclose(found, expected)
    (table,) = method_tables(ROWS)
    given = [value for value in expected if not math.isnan(value)]
    summary = table.summaries[name]
    assert summary.n == len(given)
    assert summary.mean == pytest.approx(statistics.mean(given))
    assert summary.std == pytest.approx(statistics.stdev(given))
    assert summary.median == pytest.approx(statistics.median(given))
    quartiles = statistics.quantiles(given, method="inclusive")
    assert (summary.q1, summary.q3) == pytest.approx((quartiles[0], quartiles[2]))


def test_empty_masks_are_counted():
    (table,) = method_tables(ROWS)
    assert table.n == 200
    assert table.n_empty_truths == sum(not truth.any() for _, truth in PAIRS) >= 40
    assert table.n_empty_masks == sum(not found.any() for found, _ in PAIRS) >= 28
    assert table.summaries["recall"].n == 200 - table.n_empty_truths


def test_nothing_defined_has_no_mean():
    summary = summarize([math.nan])
    assert summary.n == 0
    assert math.isnan(summary.mean)
    assert math.isnan(summarize([0.5]).std)


def test_methods_are_compared_on_the_images_of_both():
    others = [
        ImageScores(row.image, "", "other", scores(truth, truth))
        for row, (_, truth) in list(zip(ROWS, PAIRS, strict=True))[50:]
    ]
    dice, iou = compare_methods([*ROWS, *others])
    expected = stats.wilcoxon([row.scores.dice - 1 for row in ROWS[50:]])
    assert (dice.metric, iou.metric) == ("dice", "iou")
    assert dice.test.n == 150
    assert dice.test.p_value == pytest.approx(expected.pvalue)
    assert dice.test.rank_biserial == -1
    assert dice.p_holm == dice.test.p_value


def test_the_tuning_split_follows_from_the_names():
    names = [f"{n:03}" for n in range(50)]
    chosen = dict(zip(names, tuning_split(names, 0.2), strict=True))
    assert sum(chosen.values()) == 10
    backwards = dict(zip(names[::-1], tuning_split(names[::-1], 0.2), strict=True))
    assert backwards == chosen
    assert sum(tuning_split(names[:3], 0.0)) == 2
    assert sum(tuning_split(names[:1], 0.5)) == 0


def test_the_best_threshold_is_the_middle_of_the_plateau():
    taus = np.array([0.1, 0.2, 0.3, 0.4])
    curves = np.array([[0.0, 0.5, 0.9, 0.5], [0.0, 0.5, 0.1, 0.5]])
    assert best_threshold(taus, curves) == (0.3, 0.5)


def test_the_bootstrap_interval_has_the_width_of_the_standard_error():
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    low, high = bootstrap_interval([*values, math.nan])
    assert (high - low) / 2 == pytest.approx(1.96 * 0.1 / 20, rel=0.15)
    assert low < values.mean() < high


@settings(deadline=None)
@given(STEPS)
def test_exact_p_value_is_the_share_of_all_signs(differences):
    found = paired_test(differences, np.zeros(len(differences)))
    different = np.array([value for value in differences if value])
    assert found.n_different == len(different)
    if not len(different):
        assert (found.p_value, found.rank_biserial) == (1.0, 0.0)
        return
    ranks = stats.rankdata(np.abs(different))
    seen = abs((np.sign(different) * ranks).sum())
    signs = itertools.product((-1, 1), repeat=len(different))
    extreme = [abs((np.array(own) * ranks).sum()) >= seen - 1e-9 for own in signs]
    assert found.p_value == pytest.approx(np.mean(extreme))


@pytest.mark.parametrize("n", [20, 200])
def test_many_pairs_equal_scipy(n):
    rng = np.random.default_rng(n)
    first, second = rng.random(n), rng.random(n) + 0.1
    assert paired_test(first, second).p_value == pytest.approx(
        stats.wilcoxon(first, second).pvalue
    )


def test_effect_size_is_the_difference_of_favourable_and_unfavourable_ranks():
    # Ranks 1, 2, 3, of which the 2 speaks against.
    assert paired_test([2, 1, 4], [1, 3, 1]).rank_biserial == pytest.approx((1 + 3 - 2) / 6)


def test_pairs_with_a_missing_value_are_left_out():
    found = paired_test([1, math.nan, 3, 4], [0, 0, math.nan, 4])
    assert (found.n, found.n_different, found.median_difference) == (2, 1, 0.5)
    nothing = paired_test([math.nan], [1])
    assert nothing.n == 0
    assert math.isnan(nothing.median_difference)


def test_equal_steps_tie_in_spite_of_rounding():
    assert paired_test([0.3, 0.1], [0.2, 0.2]).rank_biserial == 0


def test_holm_never_exceeds_one_and_keeps_the_order():
    assert holm([0.5, 0.001, 0.6]) == [1.0, 0.003, 1.0]
    assert holm([]) == []
