import math

import numpy as np
import pytest

import napari_semxai as sx
from napari_semxai.algorithms.statistics.survey import survey_report
from napari_semxai.types.survey import ITEMS, AnswerSet

# Textbook-sized: alpha by the literal formula below.
ANSWERS = np.array([[5, 4, 4], [3, 3, 2], [4, 4, 5], [2, 1, 2], [4, 5, 4]])


def whole(participant, method, answer, **rest):
    return AnswerSet(participant, method, answers=(answer,) * len(ITEMS), **rest)


def test_rows_hold_the_statistics_of_each_item():
    rows = sx.survey_summary([[4, 5], [2, None], [5, 3]])
    assert len(rows) == 2
    assert rows[0].mean == pytest.approx(11 / 3)
    assert rows[0].std == pytest.approx(np.std([4, 2, 5], ddof=1))
    assert (rows[0].n, rows[0].n_agree, rows[0].counts) == (3, 2, (0, 1, 0, 1, 1))
    assert (rows[1].n, rows[1].n_agree) == (2, 1)
    assert rows.n_complete == 2


def test_who_answers_for_many_images_is_one_expert():
    answers = [[5], [5], [1], [4], [3], [None]]
    row = sx.survey_summary(answers, ["ann", "ann", "ann", "bob", "cid", "dee"])[0]
    # Ann's mean is 11 / 3: three answers, two of which agree, of one expert who does not.
    assert (row.n, row.n_agree) == (5, 3)
    assert (row.n_experts, row.n_experts_agree) == (3, 1)
    alone = sx.survey_summary(answers)[0]
    assert (alone.n_experts, alone.n_experts_agree) == (5, 3)
    sets = [whole("ann", "gradcam", 5), whole("ann", "gradcam", 4), whole("bob", "gradcam", 2)]
    found = survey_report(sets).methods[0].summary[0]
    assert (found.n_agree, found.n, found.n_experts_agree, found.n_experts) == (2, 3, 1, 2)


def test_cronbach_alpha_equals_the_covariance_form():
    covariance = np.cov(ANSWERS, rowvar=False)
    k = ANSWERS.shape[1]
    expected = k / (k - 1) * (1 - np.trace(covariance) / covariance.sum())
    with_a_gap = [*ANSWERS.tolist(), [5, None, 5]]
    summary = sx.survey_summary(with_a_gap)
    assert summary.cronbach_alpha == pytest.approx(expected)
    assert summary.n_complete == len(ANSWERS)


@pytest.mark.parametrize(
    "answers", [[[4, 5, 3]], [[4], [5]], [[4, 2], [2, 4]], [[None, 3], [3, None]]]
)
def test_cronbach_alpha_is_undefined_without_something_to_compare(answers):
    assert math.isnan(sx.survey_summary(answers).cronbach_alpha)


def test_an_item_without_answers_has_no_mean():
    row = sx.survey_summary([[None, 3]])[0]
    assert row.n == 0
    assert math.isnan(row.mean)
    assert math.isnan(row.std)


@pytest.mark.parametrize("wrong", [0, 6, 3.5])
def test_other_answers_are_refused(wrong):
    with pytest.raises(ValueError, match=f"not {wrong}"):
        sx.survey_summary([[wrong]])


def test_answers_must_be_a_table():
    with pytest.raises(ValueError, match=r"\(n, k\)"):
        sx.survey_summary([1, 2])


def test_methods_are_compared_by_those_who_saw_both():
    sets = [whole(f"P{n}", "A", 4) for n in range(6)] + [whole(f"P{n}", "B", 2) for n in range(7)]
    report = survey_report(sets)
    assert [(entry.method, entry.n_participants) for entry in report.methods] == [
        ("A", 6),
        ("B", 7),
    ]
    (pair,) = report.comparisons
    assert (pair.first, pair.second, pair.test.n) == ("A", "B", 6)
    assert pair.test.median_difference == 2
    assert pair.test.p_value == pytest.approx(2 / 2**6)
    assert pair.test.rank_biserial == 1


def test_several_explanations_of_a_participant_count_once_in_the_comparison():
    sets = [
        whole("P", "A", 5, explanation="one"),
        whole("P", "A", 3, explanation="two"),
        whole("P", "B", 4),
    ]
    (pair,) = survey_report(sets).comparisons
    assert (pair.test.n, pair.test.n_different) == (1, 0)


def test_wordings_are_neither_pooled_nor_compared():
    sets = [whole("P", "A", 4), whole("P", "A", 2, scale="own"), AnswerSet("Q", "C")]
    report = survey_report(sets)
    assert [entry.scale for entry in report.methods] == [sets[0].scale, "own"]
    assert report.comparisons == ()
