"""Scores over a data set: summaries of each method, and paired comparisons between them.

References
----------
.. [1] F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945.
.. [2] D. S. Kerby, "The simple difference formula: an approach to teaching nonparametric
   correlation", Comprehensive Psychology 3, 2014 (matched-pairs rank-biserial correlation).
.. [3] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
   of Statistics 6, 1979.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.explanations.localisation import Localisation
from napari_semxai.types import Faithfulness, Scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

METRICS = ("accuracy", "precision", "recall", "dice", "iou")
"""The five scores, in the order of the published table."""
_ALL_SIGNS_UP_TO = 13
"""Pairs whose signs are all gone through, ties or not: 8,192 ways."""
COMPARED = ("dice", "iou")
LEAST_TUNED = 2
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class ImageScores:
    """What one method reaches on one image.

    Attributes
    ----------
    image, label, method : str
        Which.
    scores : Scores
        Its mask against the truth.
    localisation : Localisation or None
        Of its map, where there is one.
    faithfulness : Faithfulness or None
        Of its map, where the explained network was asked.
    """

    image: str
    label: str
    method: str
    scores: Scores
    localisation: Localisation | None = None
    faithfulness: Faithfulness | None = None

    @property
    def of_map(self) -> dict[str, float]:
        """All scores of the map by name; none without a map."""
        parts = self.localisation, self.faithfulness
        return {name: value for part in parts if part for name, value in asdict(part).items()}


@dataclass(frozen=True, slots=True)
class Summary:
    """Numbers over images; NaN are left out, and `n` says how many were not.

    Attributes
    ----------
    mean, std, median, q1, q3 : float
        Standard deviation with ddof 1; quartiles by linear interpolation.
    low, high : float
        95 % bootstrap interval of the mean.
    n : int
        Defined values.
    """

    mean: float
    std: float
    median: float
    q1: float
    q3: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class MethodTable:
    """One method over all images.

    Attributes
    ----------
    method : str
        Its name.
    n, n_empty_truths, n_empty_masks : int
        Images, those without a true defect, and those where the method marks nothing.
    summaries : mapping
        Name of a score to its summary.
    """

    method: str
    n: int
    n_empty_truths: int
    n_empty_masks: int
    summaries: Mapping[str, Summary]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods on the images that both did.

    Attributes
    ----------
    first, second, metric : str
        What is compared.
    test : PairedTest
        Of the scores of each image.
    p_holm : float
        The p-value adjusted for all comparisons of this metric.
    """

    first: str
    second: str
    metric: str
    test: PairedTest
    p_holm: float


def summarize(values: ArrayLike) -> Summary:
    """Summarise values, NaN left out.

    Examples
    --------
    >>> summarize([0.2, 0.4, float("nan")]).n
    2
    """
    given = np.asarray(values, dtype=float).ravel()
    given = given[~np.isnan(given)]
    if not given.size:
        return Summary(*(float("nan"),) * 7, 0)
    q1, median, q3 = np.percentile(given, [25, 50, 75])
    std = float(given.std(ddof=1)) if given.size > 1 else float("nan")
    low, high = bootstrap_interval(given)
    return Summary(
        float(given.mean()), std, float(median), float(q1), float(q3), low, high, given.size
    )


def method_tables(rows: Iterable[ImageScores]) -> list[MethodTable]:
    """Summarise every method, in the order in which they come."""
    return [
        MethodTable(
            method=method,
            n=len(scored),
            n_empty_truths=sum(row.scores.tp + row.scores.fn == 0 for row in scored),
            n_empty_masks=sum(row.scores.tp + row.scores.fp == 0 for row in scored),
            summaries=_summaries(scored),
        )
        for method, scored in _by_method(rows).items()
    ]


def compare_methods(rows: Iterable[ImageScores]) -> list[Comparison]:
    """Compare every two methods by Dice and IoU on the images that both did."""
    methods = _by_method(rows)
    found = []
    for metric in COMPARED:
        values = {
            method: {row.image: getattr(row.scores, metric) for row in scored}
            for method, scored in methods.items()
        }
        pairs = list(combinations(values, 2))
        tests = [_paired(values[one], values[other]) for one, other in pairs]
        adjusted = holm([test.p_value for test in tests])
        found += [
            Comparison(one, other, metric, test, p)
            for (one, other), test, p in zip(pairs, tests, adjusted, strict=True)
        ]
    return found


def tuning_split(names: Sequence[str], share: float) -> list[bool]:
    """Say which images parameters are tuned on; the others are for the scores.

    Which ones follows from the names alone, whatever their order.

    Parameters
    ----------
    names : sequence of str
        Names of images.
    share : float
        Share to tune on; at least `LEAST_TUNED` images.
    """
    wanted = min(max(round(share * len(names)), LEAST_TUNED), len(names) - 1)
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    chosen = set(sorted(digests)[: max(wanted, 0)])
    return [digest in chosen for digest in digests]


def best_threshold(
    thresholds: NDArray[np.float64], curves: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the threshold with the best mean Dice, in the middle of a plateau, and that Dice.

    Parameters
    ----------
    thresholds : ndarray, shape (t,)
        Increasing.
    curves : ndarray, shape (n, t)
        Dice of n images.
    """
    mean = curves.mean(axis=0)
    best = np.flatnonzero(mean >= mean.max() - 1e-12)
    return float(thresholds[best[(len(best) - 1) // 2]]), float(mean.max())


def bootstrap_interval(values: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean, images resampled 2,000 times."""
    given = np.asarray(values, dtype=float)
    given = given[~np.isnan(given)]
    if not given.size:
        return float("nan"), float("nan")
    chosen = np.random.default_rng(seed).integers(given.size, size=(_RESAMPLES, given.size))
    low, high = np.percentile(given[chosen].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _by_method(rows: Iterable[ImageScores]) -> dict[str, list[ImageScores]]:
    methods: dict[str, list[ImageScores]] = {}
    for row in rows:
        methods.setdefault(row.method, []).append(row)
    return methods


def _summaries(rows: Sequence[ImageScores]) -> dict[str, Summary]:
    found = {name: summarize([getattr(row.scores, name) for row in rows]) for name in METRICS}
    maps = [row.of_map for row in rows]
    for name in dict.fromkeys(name for values in maps for name in values):
        found[name] = summarize([values[name] for values in maps if name in values])
    return found


def _paired(one: Mapping[str, float], other: Mapping[str, float]) -> PairedTest:
    both = [image for image in one if image in other]
    return paired_test([one[image] for image in both], [other[image] for image in both])


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

    if different.size > _ALL_SIGNS_UP_TO:
        return float(stats.wilcoxon(different).pvalue)
    if different.size == 1:
        return 1.0
    # SciPy's exact distribution knows no ties; going through all signs does, here all at once.
    found = stats.permutation_test(
        (different,),
        lambda values, axis: (np.sign(values) * stats.rankdata(np.abs(values), axis=axis)).sum(
            axis
        ),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
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
