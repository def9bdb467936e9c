import numpy as np
import pytest

from napari_semxai.algorithms.statistics.gate import Compared, interval, judge


def compared(today, learned, empty=None, groups=None, labels=None):
    count = len(today)
    return Compared(
        np.asarray(today, float),
        np.asarray(learned, float),
        np.zeros(count, bool) if empty is None else np.asarray(empty),
        range(count) if groups is None else groups,
        [""] * count if labels is None else labels,
    )


def noisy(mean, count, seed=0):
    return np.clip(np.random.default_rng(seed).normal(mean, 0.1, count), 0, 1)


def test_a_clear_gain_comes_into_use_with_its_numbers():
    empty = np.arange(20) % 4 == 0
    verdict = judge(compared(noisy(0.6, 20), noisy(0.9, 20, 1), empty, labels=["a", "b"] * 10))
    assert verdict.better
    assert [row.name for row in verdict.rows] == [
        "all", "defect", "no defect", "class a", "class b",
    ]  # fmt: skip
    whole = verdict.rows[0]
    assert whole.images == 20
    assert whole.low < whole.difference < whole.high
    assert f"{whole.learned:.3f} against {whole.today:.3f}" in verdict.reason


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (compared(noisy(0.5, 9), noisy(0.9, 9)), "too few to tell"),
        (compared(noisy(0.5, 12), noisy(0.9, 12), np.arange(12) > 3), "masks with a defect"),
        (compared(noisy(0.8, 20), noisy(0.81, 20, 1)), "not shown to be better"),
        (compared(noisy(0.1, 20), noisy(0.4, 20, 1)), "below 0.5"),
    ],
)
def test_what_is_not_shown_stays_out_of_use(values, reason):
    verdict = judge(values)
    assert not verdict.better
    assert reason in verdict.reason


def test_a_gain_on_defects_does_not_pay_for_a_loss_on_no_defect():
    empty = np.arange(30) < 8
    today = np.where(empty, 1.0, noisy(0.5, 30))
    learned = np.where(empty, 0.0, noisy(0.98, 30, 1))
    verdict = judge(compared(today, learned, empty))
    assert not verdict.better
    assert "'no defect' it is worse" in verdict.reason


def test_saying_no_defect_everywhere_is_no_gain():
    empty = np.arange(30) < 15
    verdict = judge(compared(np.where(empty, 0.0, 0.6), np.where(empty, 1.0, 0.0), empty))
    assert not verdict.better


def test_images_of_a_wafer_are_drawn_together():
    values = np.repeat([0.0, 1.0], 50)
    alone = interval(values, range(100))
    together = interval(values, [value > 0.5 for value in values])
    assert alone[0] > 0.35
    assert together == (0.0, 1.0)
