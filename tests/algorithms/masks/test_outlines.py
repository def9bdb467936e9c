import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask
from skimage.draw import polygon2mask

from napari_semxai.algorithms.masks.measurements import outlines

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


@given(mask=masks)
def test_pycocotools_gets_the_mask_back(mask):
    polygons = [corners[:, ::-1].ravel().tolist() for corners in outlines(mask)]
    found = np.zeros_like(mask)
    for polygon in polygons:
        one = coco_mask.decode(coco_mask.frPyObjects([polygon], *mask.shape))[..., 0] != 0
        assert not (found & one).any()
        found |= one
    np.testing.assert_array_equal(found, mask)


@given(mask=masks)
def test_area_inside_is_that_of_the_mask(mask):
    """The shoelace formula, which knows nothing of pixels."""
    doubled = 0
    for corners in outlines(mask):
        row, column = corners.T
        doubled += abs(np.sum(row * np.roll(column, -1) - column * np.roll(row, -1)))
    assert doubled == 2 * mask.sum()


def test_ring_is_cut_through_its_hole():
    ring = np.ones((5, 5), dtype=bool)
    ring[2, 2] = False
    parts = outlines(ring)
    assert len(parts) == 2
    drawn = np.zeros_like(ring)
    for corners in parts:
        drawn |= polygon2mask(ring.shape, corners - 0.5)
    np.testing.assert_array_equal(drawn, ring)
