import numpy as np
import pytest
from scipy import ndimage

from napari_semxai.algorithms.algorithm1.appearance import Surroundings, fill_and_edge, grown

WHOLE = (slice(0, 60), slice(0, 70))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_mask_grows_as_by_dilation(steps):
    mask = np.random.default_rng(steps).random((40, 50)) > 0.97
    np.testing.assert_array_equal(
        grown(mask, steps), ndimage.binary_dilation(mask, iterations=steps)
    )


def test_surroundings_are_cut_off_at_the_border_and_leave_out_the_outline():
    box = (slice(0, 10), slice(20, 40))
    found = Surroundings.of(np.ones((10, 20), bool), box, WHOLE)
    assert found.wide == (slice(0, 19), slice(11, 49))
    assert np.count_nonzero(found.region) == 200
    # At the image's own edge there is no outline.
    assert np.count_nonzero(found.outline) == 20 + 2 * 9
    assert not (found.beyond & ndimage.binary_dilation(found.region, iterations=2)).any()
    assert fill_and_edge(np.ones((10, 20), bool), box, WHOLE) == (1.0, 20 / 200**0.5)


def test_a_bright_part_has_contrast_and_an_outline():
    gray = np.random.default_rng(0).normal(100, 3, (60, 70)).clip(0, 255).astype(np.uint8)
    box = (slice(20, 36), slice(30, 46))
    found = Surroundings.of(np.ones((16, 16), bool), box, WHOLE)
    surface = np.ones(gray.shape, bool)
    plain = found.looks(gray, surface)
    gray[box] += 60
    bright = found.looks(gray, surface)
    assert plain[0] < 1 < bright[0]
    assert plain[1] < 1 < bright[1]
