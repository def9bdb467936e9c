import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label

from napari_semxai.algorithms.masks.components import (
    components_meeting,
    large_components,
    largest_component,
)


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


@given(arrays(bool, (9, 11)), arrays(bool, (9, 11)))
def test_components_that_meet_another_mask_are_those_of_pixel_labels(mask, other):
    labels = label(mask, connectivity=2)
    met = np.setdiff1d(labels[other], 0)
    np.testing.assert_array_equal(components_meeting(mask, other), np.isin(labels, met))


@pytest.mark.parametrize("connectivity", [4, 8])
@given(mask=arrays(bool, (9, 11)), size=st.integers(1, 6))
def test_large_components_are_those_of_pixel_labels(connectivity, mask, size):
    labels = label(mask, connectivity=connectivity // 4)
    large = [number for number in range(1, labels.max() + 1) if (labels == number).sum() >= size]
    np.testing.assert_array_equal(
        large_components(mask, size, connectivity), np.isin(labels, large)
    )
