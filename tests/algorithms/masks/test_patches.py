import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_semxai.algorithms.masks.patches import apply_patch, apply_patches, mask_patch
from napari_semxai.types import MaskEdit

SHAPE = (9, 13)
masks = arrays(bool, SHAPE)


@given(before=masks, after=masks)
def test_patch_repeats_and_undoes_the_edit(before, after):
    edit = mask_patch(before, after, "stroke")
    np.testing.assert_array_equal(apply_patch(before, edit), after)
    np.testing.assert_array_equal(apply_patch(after, edit), before)


@given(steps=st.lists(masks, min_size=1, max_size=6))
def test_history_leads_from_the_first_mask_to_the_last(steps):
    edits = [mask_patch(a, b, "edit") for a, b in itertools.pairwise(steps)]
    np.testing.assert_array_equal(apply_patches(steps[0], edits), steps[-1])


def test_nothing_changed():
    mask = np.ones(SHAPE, dtype=bool)
    edit = mask_patch(mask, mask, "nothing")
    assert (edit.box, edit.runs) == ((0, 0, 0, 0), ())
    np.testing.assert_array_equal(apply_patch(mask, edit), mask)


@pytest.mark.parametrize(
    ("box", "runs"),
    [((0, 0, 10, 13), (130,)), ((0, 0, 2, 2), (3,)), ((0, 0, 2, 2), (-1, 5)), ((2, 0, 1, 3), ())],
)
def test_edit_that_does_not_fit(box, runs):
    with pytest.raises(ValueError, match="does not fit"):
        apply_patch(np.zeros(SHAPE, dtype=bool), MaskEdit("stroke", box, runs))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="cannot be compared"):
        mask_patch(np.zeros((2, 2), dtype=bool), np.zeros((2, 3), dtype=bool), "stroke")
