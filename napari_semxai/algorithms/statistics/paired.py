"""Paired comparison of two methods on the same images or by the same participants.

References
----------
.. [1] F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945.
.. [2] D. S. Kerby, "The simple difference formula: an approach to teaching nonparametric
   correlation", Comprehensive Psychology 3, 2014 (matched-pairs rank-biserial correlation).
.. [3] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
   of Statistics 6, 1979.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_ALL_SIGNS_UP_TO = 13
"""Pairs whose signs are all gone through, ties or not: 8,192 ways."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two-sided Wilcoxon signed-rank test of paired values.

    Attributes
    ----------
    n : int
        Pairs in which both values are defined.
    n_different : int
        Pairs that differ; the test rests on them.
    median_difference : float
        Of first minus second over the `n` pairs; NaN without a pair.
    p_value : float
        1 where no pair differs.
    rank_biserial : float
        Effect size from -1 (second always larger) to 1 (first always larger).
    """

    n: int
    n_different: int
    median_difference: float
    p_value: float
    rank_biserial: float


def paired_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Compare paired values; pairs with a NaN are left out, equal pairs do not count.

    Up to 13 different pairs the p-value is exact, with ties too; beyond that it is SciPy's
    automatic choice.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Values of two methods, in the same order.

    Returns
    -------
    PairedTest

    Examples
    --------
    >>> paired_test([3, 4, 5, 6], [1, 1, 1, 1])
    PairedTest(n=4, n_different=4, median_difference=3.5, p_value=0.125, rank_biserial=1.0)
    """
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    differences = differences[np.isfinite(differences)]
    # 0.3 - 0.2 and 0.2 - 0.1 are a tie.
    differences = np.round(differences, 12)
    different = differences[differences != 0]
    median = float(np.median(differences)) if differences.size else float("nan")
    if not different.size:
        return PairedTest(differences.size, 0, median, 1.0, 0.0)
    # Imported here: it takes longer than most commands that never compare.
    from scipy.stats import rankdata

    ranks = rankdata(np.abs(different))
    effect = float((np.sign(different) * ranks).sum() / ranks.sum())
    return PairedTest(differences.size, different.size, median, _p_value(different), effect)


def _p_value(different: NDArray[np.floating]) -> float:
    from scipy import stats

    if different.size == 1:
        return 1.0
    exact = different.size <= _ALL_SIGNS_UP_TO
    # SciPy's exact distribution knows no ties; going through all signs does.
    found = stats.wilcoxon(different, method=stats.PermutationMethod() if exact else "auto")
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of comparisons, in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    raised = np.minimum(
        np.maximum.accumulate(np.asarray(p_values, dtype=float)[order] * factors), 1
    )
    adjusted = np.empty(len(order))
    adjusted[order] = raised
    return [float(value) for value in adjusted]
