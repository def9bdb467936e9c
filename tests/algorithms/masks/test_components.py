import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label

from napari_semxai.algorithms.masks.components import largest_component


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.sampled_from([4, 8]))
@settings(max_examples=300, deadline=None)
def test_equals_pixel_labelling(mask, connectivity):
    labels = label(mask, connectivity=connectivity // 4)
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    found = largest_component(mask, connectivity)
    assert found.sum() == sizes.max()
    assert len(np.unique(labels[found])) == bool(mask.any())


@pytest.mark.parametrize("density", [0.02, 0.4, 0.6, 0.98])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_equals_pixel_labelling_on_a_large_noisy_mask(density, connectivity):
    mask = np.random.default_rng(1).random((211, 307)) < density
    labels = label(mask, connectivity=connectivity // 4)
    winner = np.bincount(labels.ravel())[1:].argmax() + 1
    np.testing.assert_array_equal(largest_component(mask, connectivity), labels == winner)


def test_rows_do_not_wrap():
    mask = np.array([[0, 0, 1], [1, 0, 0], [1, 0, 0]], bool)
    assert largest_component(mask, 8).sum() == 2


def test_the_input_is_not_changed():
    mask = np.eye(5, dtype=bool)
    before = mask.copy()
    largest_component(mask, 4)
    np.testing.assert_array_equal(mask, before)


def test_connectivity_is_checked():
    with pytest.raises(ValueError, match="connectivity"):
        largest_component(np.ones((2, 2), bool), 1)
