import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from napari_semxai.algorithms.statistics.paired import holm, paired_test

STEPS = st.lists(st.integers(-4, 4), min_size=1, max_size=8)


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
