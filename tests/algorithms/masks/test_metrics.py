import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import regionprops
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from napari_semxai.algorithms.masks.metrics import LiveMask, LiveScores, scores
from napari_semxai.types import IGNORED, mask_labels, parted

PAIRS = st.tuples(st.integers(1, 8), st.integers(1, 8)).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)
STROKES = st.lists(
    st.tuples(
        st.integers(0, 19),
        st.integers(0, 29),
        st.integers(1, 8),
        st.integers(1, 8),
        st.integers(0, 2**31),
    ),
    max_size=12,
)


@given(PAIRS)
def test_equals_scikit_learn(pair):
    prediction, truth = pair
    found = scores(prediction, truth)
    y, p = truth.ravel(), prediction.ravel()
    assert found.accuracy == pytest.approx(accuracy_score(y, p))
    assert found.dice == pytest.approx(f1_score(y, p, zero_division=1.0))
    assert found.iou == pytest.approx(
        jaccard_score(y, p, zero_division=1.0) if y.any() or p.any() else 1
    )
    assert found.precision == pytest.approx(
        precision_score(y, p, zero_division=np.nan), nan_ok=True
    )
    assert found.recall == pytest.approx(recall_score(y, p, zero_division=np.nan), nan_ok=True)


@given(PAIRS)
def test_dice_and_iou_say_the_same(pair):
    found = scores(*pair)
    assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))


def test_empty_masks_follow_the_convention():
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    both, one = scores(empty, empty), scores(full, empty)
    assert (both.dice, both.iou) == (1.0, 1.0)
    assert (one.dice, one.iou, one.accuracy) == (0.0, 0.0, 0.0)
    assert math.isnan(both.precision)
    assert math.isnan(one.recall)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 2\) and \(3, 3\)"):
        scores(np.ones((2, 2), bool), np.ones((3, 3), bool))


@given(STROKES)
def test_incremental_counts_are_the_counts_from_scratch(strokes):
    rng = np.random.default_rng(0)
    arrays = [(rng.random((20, 30)) < 0.3).astype(np.uint8) for _ in range(2)]
    prediction, truth = (LiveMask(array) for array in arrays)
    live = LiveScores(prediction, truth)
    for row, column, height, width, seed in strokes:
        target = seed % 2
        box = slice(row, row + height), slice(column, column + width)
        array = arrays[target]
        array[box] = np.random.default_rng(seed).random(array[box].shape) < 0.5
        change = (prediction, truth)[target].update(box, array[box])
        if change is not None:
            (live.prediction_changed, live.truth_changed)[target](change)
    assert live.scores == scores(*arrays)
    np.testing.assert_array_equal(prediction.mask, arrays[0] != 0)
    assert_size(prediction.size, arrays[0])


def assert_size(size, mask):
    if not mask.any():
        assert (size.area, size.height, size.width) == (0, 0, 0)
        return
    region = regionprops(mask)[0]
    top, left, bottom, right = region.bbox
    assert (size.area, size.height, size.width) == (region.area, bottom - top, right - left)
    assert size.equivalent_diameter == pytest.approx(region.equivalent_diameter_area)


def test_sync_finds_a_change_anywhere():
    mask = LiveMask(np.zeros((40, 50), np.uint8))
    values = np.zeros((40, 50), np.uint8)
    values[3, 4] = values[20, 40] = 7
    change = mask.sync(values)
    assert change.box == (slice(3, 21), slice(4, 41))
    assert change.delta.sum() == 2
    assert mask.sync(values) is None
    assert mask.size.area == 2


def test_an_edit_that_changes_nothing_is_none():
    mask = LiveMask(np.ones((8, 8), np.uint8))
    assert mask.update((slice(2, 4), slice(2, 4)), np.full((2, 2), 5, np.uint8)) is None


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="same"):
        LiveScores(LiveMask(np.ones((8, 8))), LiveMask(np.ones((4, 4))))


@given(STROKES)
def test_ignored_pixels_count_nowhere_while_both_are_painted(strokes):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, (20, 30)).astype(np.uint8)
    truth_values = (rng.random((20, 30)) < 0.3).astype(np.uint8)
    prediction, truth = LiveMask(labels, marks=True), LiveMask(truth_values)
    live = LiveScores(prediction, truth)
    for row, column, height, width, seed in strokes:
        box = slice(row, row + height), slice(column, column + width)
        array, painted = ((labels, prediction), (truth_values, truth))[seed % 2]
        before = array[box].copy()
        random = np.random.default_rng(seed)
        array[box] = random.integers(0, 2 if painted is truth else 3, array[box].shape)
        change = painted.update(box, array[box])
        if change is None:
            assert np.array_equal(before, array[box])
            continue
        (live.prediction_changed, live.truth_changed)[seed % 2](change)
        if painted is prediction:
            own = (before != array[box]) & (before != IGNORED) & (array[box] != IGNORED)
            assert change.drawn == own.any()
            assert change.region == ((before == IGNORED) != (array[box] == IGNORED)).any()
    kept = labels != IGNORED
    assert live.scores == scores(labels[kept][None] == 1, truth_values[kept][None])
    assert live.scores == scores(labels, truth_values, labels == IGNORED)
    np.testing.assert_array_equal(prediction.labels, labels)
    assert_size(prediction.size, (labels == 1).astype(np.uint8))


def test_where_all_is_ignored_nothing_is_counted():
    found = scores(np.ones((3, 4)), np.zeros((3, 4)), np.ones((3, 4), bool))
    assert (found.tp, found.fp, found.fn, found.tn) == (0, 0, 0, 0)
    assert found.dice == 1
    assert math.isnan(found.accuracy)
    with pytest.raises(ValueError, match="ignored"):
        scores(np.ones((3, 4)), np.zeros((3, 4)), np.ones((4, 3), bool))


def test_labels_come_apart_as_they_were_joined():
    labels = np.array([[0, 1, 2], [7, 2, 0]], np.uint8)
    mask, ignored = parted(labels)
    np.testing.assert_array_equal(mask, [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(mask_labels(mask | ignored, ignored), [[0, 1, 2], [1, 2, 0]])
    live = LiveMask(labels, marks=True)
    first = live.ignored
    assert live.ignored is first
    live.sync(np.zeros((2, 3), np.uint8))
    assert live.ignored is None
    assert first.sum() == 2
