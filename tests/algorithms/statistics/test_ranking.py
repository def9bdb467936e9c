from dataclasses import replace

import numpy as np
import pytest

from napari_semxai.algorithms.statistics.ranking import (
    measured,
    most_to_gain,
    nearest,
    standardised,
    suspicion,
)

SHAPE = (72, 90)


def groups(rng, sizes):
    """Return features of images in groups that look alike, and the group of each."""
    middles = rng.normal(0, 4, (len(sizes), 24))
    label = np.repeat(np.arange(len(sizes)), sizes)
    noise = rng.normal(0, 1, (len(label), 24))
    return standardised((middles[label] + noise).astype(np.float32)), label


def test_the_nearest_are_of_the_same_group_and_never_the_image_itself():
    features, label = groups(np.random.default_rng(0), (12, 12, 12))
    order, alike = nearest(features, 13)
    assert sorted([13, *order]) == list(range(36))
    assert set(label[order[:11]]) == {1}
    assert np.all(np.diff(alike) <= 0)


def test_a_channel_of_large_numbers_does_not_decide():
    features, label = groups(np.random.default_rng(1), (8, 8))
    loud = np.random.default_rng(2).normal(0, 1e4, (16, 1)).astype(np.float32)
    order, _ = nearest(standardised(np.hstack([features, loud])), 0)
    assert (label[order[:7]] == 0).mean() > 0.8


def faint_groups(seed):
    """Return features in which classes differ in three of 120 channels, and the class of each."""
    rng = np.random.default_rng(seed)
    label = np.arange(160) % 4
    features = rng.normal(0, 1, (160, 120))
    features[:, :3] += 3 * rng.normal(0, 1, (4, 3))[label]
    return standardised(features.astype(np.float32)), label.astype(str)


def same(features, label, row, classes=()):
    """Return how many of the ten nearest are of the class of an image, which nobody is told."""
    known = ["" if number == row else name for number, name in enumerate(classes)]
    return (label[nearest(features, row, known)[0][:10]] == label[row]).mean()


def test_known_classes_tell_what_counts():
    features, label = faint_groups(5)
    reviewed = np.where(np.arange(160) < 80, label, "")
    rows = range(80, 160)
    plain = np.mean([same(features, label, row) for row in rows])
    learned = np.mean([same(features, label, row, reviewed) for row in rows])
    assert plain < 0.75
    assert learned > plain + 0.15


@pytest.mark.parametrize(
    "classes", [[], ["1"] * 160, ["1", "2"] * 15 + [""] * 130, ["1"] * 60 + ["2", "2"] + [""] * 98]
)
def test_too_few_known_classes_change_nothing(classes):
    """None, one, too few images, a class of too few."""
    features, _ = faint_groups(6)
    plain, order = nearest(features, 159), nearest(features, 159, classes)
    np.testing.assert_array_equal(order[0], plain[0])
    np.testing.assert_allclose(order[1], plain[1])


def test_two_classes_are_told_apart_too():
    features, label = faint_groups(7)
    pair = np.isin(label, ["0", "1"])
    features, label = features[pair], label[pair]
    plain = np.mean([same(features, label, row) for row in range(80)])
    assert np.mean([same(features, label, row, label) for row in range(80)]) > plain + 0.1


def test_every_group_comes_before_any_comes_twice():
    features, label = groups(np.random.default_rng(3), (30, 5, 5, 5))
    reviewed = np.zeros(45, bool)
    reviewed[:2] = True
    order, _ = most_to_gain(features, np.full(45, 0.5), reviewed)
    assert sorted(order) == list(range(2, 45))
    # Two of the large group are known already, so that the others have more to tell.
    assert set(label[order[:3]]) == {1, 2, 3}


def test_of_images_that_look_alike_the_unsure_one_comes_first():
    features = np.ones((6, 8), np.float32) + np.eye(6, 8, dtype=np.float32) * 0.01
    doubt = np.array([0.1, 0.2, 0.9, 0.1, 0.2, 0.1])
    order, _ = most_to_gain(features, doubt, np.zeros(6, bool))
    assert order[0] == 2


@pytest.mark.parametrize("count", [1, 700])
def test_all_are_ordered_whether_few_or_more_than_are_picked(count):
    features, _ = groups(np.random.default_rng(4), (count,))
    order, apart = most_to_gain(features, np.ones(count), np.zeros(count, bool))
    assert len(set(order.tolist())) == count == len(apart)


def disc(row, column, radius):
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def scene(number, drawn=None, **known):
    """Measure the mask of a bright disc, or another mask in its place."""
    rng = np.random.default_rng(number)
    true = disc(*rng.uniform(26, 46, 2), rng.uniform(8, 11))
    pixels = rng.normal(90, 4, SHAPE) + 60 * true
    mask = true if drawn is None else drawn(true)
    known = {"overlap": rng.uniform(0.85, 0.95), "agreed": rng.uniform(0.85, 0.95), **known}
    return measured(pixels.clip(0, 255).astype(np.uint8), mask, "1", **known)


def shifted(mask):
    return np.roll(mask, (9, 9), (0, 1))


def overgrown(mask):
    row, column = (int(values.mean()) for values in np.nonzero(mask))
    return disc(row, column, 16)


def line(mask):
    thin = np.zeros(SHAPE, bool)
    thin[36:40, 5:85] = True
    return thin


def in_a_corner(mask):
    return disc(2, 2, 11)


def nothing(mask):
    return np.zeros(SHAPE, bool)


@pytest.mark.parametrize(
    ("drawn", "known", "reason"),
    [
        (shifted, {}, "soft edge along the outline"),
        (overgrown, {}, "size unlike its class"),
        (line, {}, "shape unlike its class"),
        (in_a_corner, {}, "place unlike its class"),
        (in_a_corner, {}, "touches the edge of the image"),
        (None, {"overlap": 0.1}, "unlike what was proposed or learned"),
        (None, {"agreed": 0.2}, "annotators disagree"),
        (None, {"alike": 1.0}, "a defect, but it looks like images without"),
        (nothing, {"overlap": 0.0}, "no defect, but one was proposed or learned"),
        (nothing, {"alike": 0.0}, "no defect, but it looks like images with one"),
    ],
)
def test_what_was_planted_stands_first_with_its_reason(drawn, known, reason):
    masks = [scene(number, alike=0.0) for number in range(36)]
    masks += [scene(number, nothing, overlap=1.0, agreed=1.0, alike=1.0) for number in range(4)]
    # One "no defect" among few is rare only where most of these have nothing proposed.
    masks += [scene(number, nothing, overlap=1.0, alike=1.0) for number in range(40, 52)]
    masks.append(scene(99, drawn, **{"alike": 0.0 if drawn is not nothing else 1.0, **known}))
    told = suspicion(masks)
    assert reason in told[-1][1]
    worst = max(range(len(told)), key=lambda number: told[number][0])
    assert worst == len(masks) - 1


def test_what_has_no_class_is_compared_with_the_others_without_one():
    masks = [replace(scene(number, alike=0.0), label="") for number in range(36)]
    masks.append(replace(scene(99, overgrown, alike=0.0), label=""))
    reasons = suspicion(masks)[-1][1]
    assert "size unlike the others" in reasons
    assert "class" not in reasons


def test_masks_alike_are_above_suspicion_and_what_is_unknown_says_nothing():
    same = scene(3, overlap=np.nan, agreed=np.nan)
    assert suspicion([same] * 12) == [(0, "")] * 12
    assert suspicion([]) == []
    (one,) = suspicion([scene(3, nothing, overlap=np.nan)])
    assert one == (0, "")


def test_a_class_of_few_has_no_usual_size():
    masks = [scene(number, alike=0.0) for number in range(6)]
    masks.append(scene(7, overgrown, alike=0.0))
    assert "size" not in suspicion(masks)[-1][1]
