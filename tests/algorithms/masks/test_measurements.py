import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask
from skimage.draw import polygon2mask

from napari_semxai.algorithms.masks.measurements import measure, outlines

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


def test_bar_in_pixels_and_micrometres():
    mask = np.zeros((20, 30), dtype=bool)
    mask[4:14, 6:10] = True
    values = measure(mask, pixel_size=2e-9)
    assert (values["row0"], values["column0"], values["row1"], values["column1"]) == (4, 6, 14, 10)
    assert (values["area_px"], values["height_px"], values["width_px"]) == (40, 10, 4)
    assert values["area_um2"] == pytest.approx(40 * 0.002**2)
    assert values["height_um"] == pytest.approx(0.02)
    assert values["equivalent_diameter_px"] == pytest.approx(np.sqrt(160 / np.pi))
    assert (values["centroid_row"], values["centroid_column"]) == (8.5, 7.5)
    assert values["orientation_deg"] == pytest.approx(0)
    assert values["major_axis_px"] > values["minor_axis_px"]
    assert values["components"] == 1


def test_without_pixel_size_or_foreground():
    mask = np.zeros((5, 5), dtype=bool)
    values = measure(mask)
    assert (values["area_px"], values["components"]) == (0, 0)
    assert {values[name] for name in ("row0", "perimeter_px", "area_um2")} == {None}
    assert measure(mask, 1e-9)["area_um2"] == 0
    mask[0, 0] = mask[1, 1] = mask[4, 4] = True
    values = measure(mask)
    assert (values["area_px"], values["components"], values["height_px"]) == (3, 2, 5)
    assert list(values) == list(measure(np.zeros((5, 5), dtype=bool)))


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
