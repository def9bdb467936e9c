import itertools

import numpy as np
import pytest

from napari_semxai.algorithms.statistics.acceptance import (
    AUDITED,
    LAYERS,
    Compared,
    Promise,
    draw_layers,
    interval,
    judge,
    prove,
)


def disc(row, column, radius=6, shape=(48, 60)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def lot(rng, count=1000, slope=9.0, offset=-1.0):
    """Return how sure masks are, and which are wrong: most of those that nobody is sure of."""
    confidence = rng.beta(4, 1.5, count)
    chance = 1 / (1 + np.exp(slope * confidence + offset))
    return confidence, rng.random(count) < chance


def accepted(confidence, wrong, seed, audits=120, promise=None):
    """Return the images that an audit lets one accept."""
    promise = promise or Promise()
    layers, drawn = draw_layers(confidence, audits, seed)
    counts = [int(wrong[part].sum()) for part in drawn]
    left = [len(layer) - len(part) for layer, part in zip(layers, drawn, strict=True)]
    proof = prove([*map(len, layers)], len(drawn[0]), counts, left, promise)
    chosen = [set(layer) - set(part) for layer, part in zip(layers, drawn, strict=True)]
    return sorted(set().union(*chosen[: proof.layers])), proof


def test_the_same_share_of_every_layer_is_drawn_and_by_the_seed_alone():
    confidence, _ = lot(np.random.default_rng(0))
    confidence[3:9] = np.nan
    layers, drawn = draw_layers(confidence, 120, 5)
    of_all = draw_layers(confidence, 120, 5, LAYERS)[0]
    assert sorted(itertools.chain(*of_all)) == list(range(1000))
    # The least sure quarter is left to be reviewed.
    assert layers == of_all[:AUDITED]
    assert [len(part) for part in drawn] == [8] * AUDITED
    assert all(set(part) <= set(layer) for layer, part in zip(layers, drawn, strict=True))
    ends = [(confidence[layer].min(), confidence[layer].max()) for layer in layers[:-1]]
    assert all(low >= high for (low, _), (_, high) in itertools.pairwise(ends))
    # What is not known is least sure.
    assert set(range(3, 9)) <= set(of_all[-1])
    assert draw_layers(confidence, 120, 5) == (layers, drawn)
    assert draw_layers(confidence, 120, 6)[1] != drawn
    with pytest.raises(ValueError, match="too few to draw 120 of them; at least 320 are needed"):
        draw_layers(confidence[:200], 120, 5)


def test_the_promise_holds_in_as_many_repetitions_as_it_says_and_half_are_accepted():
    held, shares = [], []
    for repetition in range(300):
        confidence, wrong = lot(np.random.default_rng([1, repetition]))
        chosen, _ = accepted(confidence, wrong, repetition)
        held.append(not chosen or wrong[chosen].mean() <= 0.05)
        shares.append(len(chosen) / 1000)
    assert np.mean(held) >= 0.95
    assert np.mean(shares) >= 0.5


def test_the_promise_holds_where_masks_are_wrong_just_too_often_to_be_accepted():
    """The worst case: whoever accepts anything at all is wrong."""
    broken = 0
    for repetition in range(400):
        rng = np.random.default_rng([2, repetition])
        wrong = np.zeros(1200, bool)
        wrong[rng.choice(1200, 66, replace=False)] = True
        chosen, _ = accepted(rng.random(1200), wrong, repetition)
        broken += bool(chosen) and wrong[chosen].mean() > 0.05
    # 0.05 of 400, and three deviations of chance.
    assert broken <= 20 + 13


def test_nothing_is_accepted_where_the_surest_are_wrong():
    confidence = np.linspace(0, 1, 1000)
    chosen, proof = accepted(confidence, confidence > 0.6, 0)
    assert chosen == []
    assert proof.layers == 0
    assert "too many already among the surest" in proof.reason


def test_a_small_audit_says_that_it_is_too_small():
    confidence, wrong = lot(np.random.default_rng(3))
    chosen, proof = accepted(confidence, wrong & False, 0, audits=40)
    assert chosen == []
    assert "draw more" in proof.reason


def test_without_wrong_masks_three_quarters_are_accepted_and_the_bound_is_clopper_and_pearsons():
    confidence, wrong = lot(np.random.default_rng(4))
    chosen, proof = accepted(confidence, wrong & False, 0)
    assert len(chosen) == 1000 * AUDITED // LAYERS - 120
    assert (proof.audited, proof.wrong) == (120, 0)
    assert proof.bound == pytest.approx(1 - 0.05 ** (1 / 120))


def test_where_few_are_left_each_of_them_must_be_surer():
    """Else all wrong masks could be among the few."""
    sizes, wrong = [50] * LAYERS, [0] * LAYERS
    assert prove(sizes, 6, wrong, [44] * LAYERS, Promise()).layers == LAYERS
    assert prove(sizes, 6, wrong, [10] * LAYERS, Promise()).layers == 0


def test_wrong_is_what_the_promise_says():
    truth = disc(20, 20) | disc(20, 45, 3)
    usual = Promise()
    assert not usual.is_wrong(truth, truth)
    assert usual.is_wrong(disc(20, 20), truth)
    assert usual.is_wrong(truth, disc(20, 20))
    assert not Promise(iou=0.7, defects=False).is_wrong(disc(20, 20), truth)
    assert usual.is_wrong(disc(24, 24), disc(20, 20))
    assert not Promise(iou=0).is_wrong(disc(24, 24), disc(20, 20))
    none = np.zeros_like(truth)
    assert Promise(iou=0, defects=False).is_wrong(none, truth)
    assert Promise(iou=0, defects=False).is_wrong(truth, none)
    assert not usual.is_wrong(none, none)
    assert "an IoU below 0.8" in str(usual)


def test_a_few_stray_pixels_are_no_part():
    truth = disc(20, 20)
    for stray, counts in ((disc(20, 45, 2), False), (disc(20, 45, 3), True)):
        assert Promise().is_wrong(truth | stray, truth) is counts
        assert Promise().is_wrong(truth, truth | stray) is counts
        # Nothing else: then the whole mask is what was invented.
        assert Promise().is_wrong(stray, np.zeros_like(truth))


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
