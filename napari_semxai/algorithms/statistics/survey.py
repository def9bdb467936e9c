"""Statistics of the explanation-satisfaction scale.

References
----------
.. [1] L. J. Cronbach, "Coefficient alpha and the internal structure of tests", Psychometrika
   16, 1951.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.statistics.evaluation import PairedTest, holm, paired_test
from napari_semxai.types.survey import AGREE, ANSWERS, ItemSummary, SurveySummary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_semxai.types.survey import AnswerSet


@dataclass(frozen=True, slots=True)
class MethodSummary:
    """What was said of one method with one wording of the scale.

    Attributes
    ----------
    method, scale : str
        As in `AnswerSet`.
    n_participants : int
        People who answered at least one item.
    summary : SurveySummary
        Over all their answer sets.
    """

    method: str
    scale: str
    n_participants: int
    summary: SurveySummary


@dataclass(frozen=True, slots=True)
class MethodComparison:
    """Two methods, judged by the people who saw both.

    Attributes
    ----------
    first, second : str
        The methods.
    scale : str
        The wording that both were judged by.
    test : PairedTest
        Of each participant's mean answer to one and to the other.
    p_holm : float
        The p-value adjusted for all comparisons of the survey.
    """

    first: str
    second: str
    scale: str
    test: PairedTest
    p_holm: float


@dataclass(frozen=True, slots=True)
class SurveyReport:
    """Everything a survey comes to."""

    methods: tuple[MethodSummary, ...]
    comparisons: tuple[MethodComparison, ...]


def survey_report(sets: Sequence[AnswerSet]) -> SurveyReport:
    """Summarise every method of a survey and compare the methods.

    Different wordings of the scale are neither pooled nor compared.

    Parameters
    ----------
    sets : sequence of AnswerSet
        Unfinished ones count with what was answered.

    Returns
    -------
    SurveyReport
        Methods in the order in which they come.
    """
    answered = [entry for entry in sets if entry.n_answered]
    groups: dict[tuple[str, str], list[AnswerSet]] = {}
    for entry in answered:
        groups.setdefault((entry.method, entry.scale), []).append(entry)
    methods = tuple(
        MethodSummary(
            method,
            scale,
            len({entry.participant for entry in answer_sets}),
            survey_summary(
                np.array([entry.answers for entry in answer_sets], dtype=float),
                [entry.participant for entry in answer_sets],
            ),
        )
        for (method, scale), answer_sets in groups.items()
    )
    pairs = [(one, other) for one, other in combinations(groups, 2) if one[1] == other[1]]
    tests = [_compare(groups[one], groups[other]) for one, other in pairs]
    # Over all pairs of the survey: with many methods some would differ by chance.
    adjusted = holm([test.p_value for test in tests])
    comparisons = tuple(
        MethodComparison(one[0], other[0], one[1], test, p)
        for (one, other), test, p in zip(pairs, tests, adjusted, strict=True)
    )
    return SurveyReport(methods, comparisons)


def survey_summary(answers: ArrayLike, participants: Sequence[str] | None = None) -> SurveySummary:
    """Summarise answers item by item.

    Parameters
    ----------
    answers : array_like, shape (n, k)
        Answers from 1 to 5 of n answer sets to k items; NaN or None where none was given.
    participants : sequence of str, length n, optional
        Whose answer set each is; by default every one is of somebody else.

    Returns
    -------
    SurveySummary
        A sequence with one row per item: mean, standard deviation (ddof 1), n, n_agree; and
        Cronbach's alpha, NaN where undefined.

    Raises
    ------
    ValueError
        If `answers` is not two-dimensional or holds anything but 1 to 5.

    Examples
    --------
    >>> rows = survey_summary([[4, 5], [2, 3], [3, None]])
    >>> rows[0].mean, rows[0].n_agree, rows[1].n
    (3.0, 1, 2)
    """
    values = np.array(answers, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"answers must have shape (n, k), not {values.shape}")
    given = values[~np.isnan(values)]
    if not np.isin(given, list(ANSWERS)).all():
        wrong = given[~np.isin(given, list(ANSWERS))][0]
        raise ValueError(f"an answer is a whole number from 1 to 5, not {wrong:g}")
    # Alpha compares items of the same people, so an answer set with a hole cannot count.
    complete = values[~np.isnan(values).any(axis=1)]
    people = np.arange(len(values)) if participants is None else np.asarray(participants)
    return SurveySummary(
        items=tuple(_item(column, people) for column in values.T),
        cronbach_alpha=cronbach_alpha(complete),
        n_complete=len(complete),
    )


def cronbach_alpha(answers: NDArray[np.floating]) -> float:
    """Return Cronbach's alpha of complete answers.

    Parameters
    ----------
    answers : ndarray, shape (n, k)
        n answer sets to k items.

    Returns
    -------
    float
        NaN for fewer than two sets or items, or when all sums are equal.
    """
    sets, items = answers.shape
    if sets < 2 or items < 2:
        return float("nan")
    total = answers.sum(axis=1).var(ddof=1)
    if total == 0:
        return float("nan")
    return float(items / (items - 1) * (1 - answers.var(axis=0, ddof=1).sum() / total))


def _item(column: NDArray[np.floating], people: NDArray[Any]) -> ItemSummary:
    known = ~np.isnan(column)
    given = column[known]
    # Who judged many images counts once as a person, however many answers were given.
    means = [given[people[known] == person].mean() for person in np.unique(people[known])]
    counts = [int(np.count_nonzero(given == answer)) for answer in ANSWERS]
    return ItemSummary(
        mean=float(given.mean()) if given.size else float("nan"),
        std=float(given.std(ddof=1)) if given.size > 1 else float("nan"),
        n=int(given.size),
        n_agree=int(np.count_nonzero(given >= AGREE)),
        counts=(counts[0], counts[1], counts[2], counts[3], counts[4]),
        n_experts=len(means),
        n_experts_agree=int(np.count_nonzero(np.asarray(means) >= AGREE)),
    )


def _compare(first: Sequence[AnswerSet], second: Sequence[AnswerSet]) -> PairedTest:
    one, other = _means(first), _means(second)
    # Paired by people: some give high marks to everything.
    both = [participant for participant in one if participant in other]
    return paired_test([one[who] for who in both], [other[who] for who in both])


def _means(sets: Sequence[AnswerSet]) -> dict[str, float]:
    """Return each participant's mean answer."""
    given: dict[str, list[int]] = {}
    for entry in sets:
        answers_so_far = given.setdefault(entry.participant, [])
        answers_so_far += [answer for answer in entry.answers if answer is not None]
    return {participant: float(np.mean(answers)) for participant, answers in given.items()}
