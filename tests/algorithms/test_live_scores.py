import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import regionprops

from napari_semxai.algorithms.live_scores import LiveScores
from napari_semxai.algorithms.metrics import scores

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


@given(STROKES)
def test_incremental_counts_are_the_counts_from_scratch(strokes):
    rng = np.random.default_rng(0)
    mask = (rng.random((20, 30)) < 0.3).astype(np.uint8)
    truth = rng.random((20, 30)) < 0.3
    live = LiveScores(mask, truth)
    for row, column, height, width, seed in strokes:
        box = slice(row, row + height), slice(column, column + width)
        mask[box] = np.random.default_rng(seed).random(mask[box].shape) < 0.5
        live.update(box, mask[box])
    assert live.scores == scores(mask, truth)
    np.testing.assert_array_equal(live.mask, mask != 0)
    region = regionprops(mask)[0] if mask.any() else None
    size = live.size
    if region is None:
        assert (size.area, size.height, size.width) == (0, 0, 0)
    else:
        top, left, bottom, right = region.bbox
        assert (size.area, size.height, size.width) == (region.area, bottom - top, right - left)
        assert size.equivalent_diameter == pytest.approx(region.equivalent_diameter_area)


def test_update_says_whether_something_changed():
    live = LiveScores(np.zeros((8, 8), np.uint8))
    box = slice(2, 4), slice(2, 4)
    assert live.update(box, np.ones((2, 2), np.uint8))
    assert not live.update(box, np.ones((2, 2), np.uint8))
    assert live.scores is None


def test_a_truth_of_another_shape_is_no_truth():
    live = LiveScores(np.ones((8, 8), bool), np.ones((4, 4), bool))
    assert live.scores is None
    live.set_truth(np.ones((8, 8), bool))
    assert live.scores is not None
    assert live.scores.dice == 1.0
    live.replace(np.zeros((8, 8), bool))
    assert live.scores.dice == 0.0
