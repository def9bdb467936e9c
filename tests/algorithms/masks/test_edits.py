import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.morphology import disk

from napari_semxai.algorithms.masks import edits as mask_edits
from napari_semxai.algorithms.masks.edits import apply_patch, apply_patches, mask_patch
from napari_semxai.types import MaskEdit

SHAPE = (9, 13)
masks = arrays(bool, SHAPE)


@pytest.fixture
def blob():
    mask = np.zeros((60, 80), bool)
    mask[20:40, 25:50] = True
    return mask


def test_fill_holes(blob):
    holed = blob.copy()
    holed[25:27, 30:32] = False
    holed[30:36, 30:40] = False
    np.testing.assert_array_equal(mask_edits.fill_holes(holed), blob)
    small_only = mask_edits.fill_holes(holed, size=4)
    assert blob.sum() - small_only.sum() == 60


def test_remove_specks(blob):
    specked = blob.copy()
    specked[2:4, 2:4] = True
    np.testing.assert_array_equal(mask_edits.remove_specks(specked, 5), blob)
    np.testing.assert_array_equal(mask_edits.remove_specks(specked, 4), specked)


@pytest.mark.parametrize("radius", [1, 3])
def test_grow_and_shrink_are_exact_discs(blob, radius):
    footprint = disk(radius)
    np.testing.assert_array_equal(
        mask_edits.grow(blob, radius), ndimage.binary_dilation(blob, footprint)
    )
    np.testing.assert_array_equal(
        mask_edits.shrink(blob, radius), ndimage.binary_erosion(blob, footprint)
    )


def test_smooth_removes_a_spur_and_keeps_the_body(blob):
    spurred = blob.copy()
    spurred[10:20, 37] = True
    smoothed = mask_edits.smooth(spurred, 2)
    assert not smoothed[10:17].any()
    assert smoothed[22:38, 27:48].all()


def test_keep_largest_and_invert(blob):
    two = blob.copy()
    two[:3, :3] = True
    np.testing.assert_array_equal(mask_edits.keep_largest(two), blob)
    np.testing.assert_array_equal(mask_edits.invert(blob), ~blob)


@pytest.mark.parametrize(
    "edit",
    [
        mask_edits.fill_holes,
        mask_edits.remove_specks,
        mask_edits.smooth,
        mask_edits.grow,
        mask_edits.shrink,
        mask_edits.keep_largest,
    ],
)
def test_an_empty_mask_stays_empty(edit):
    assert not edit(np.zeros((9, 9), bool)).any()


def test_edits_at_the_image_edge():
    mask = np.zeros((10, 10), bool)
    mask[:, :2] = True
    assert mask_edits.grow(mask)[:, 2].all()
    full = np.ones((5, 5), bool)
    assert mask_edits.shrink(full).all()
    assert mask_edits.grow(full).all()


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
