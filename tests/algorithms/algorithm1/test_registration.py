import numpy as np
import pytest
from scipy import ndimage

from napari_semxai.algorithms.algorithm1.registration import (
    LEAST_CORRELATION,
    LEAST_REPETITION,
    reduced,
    registered,
    repeated,
    shifts_median,
)


def picture(seed=0, shape=(240, 280)):
    """Grey levels of structures a few pixels wide, without any period."""
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.standard_normal(shape), 3)
    return (120 + 40 * np.sign(rough)).astype(np.float32)


def noisy(image, sigma, seed):
    rng = np.random.default_rng(seed)
    soft = ndimage.gaussian_filter(image, 1)
    return (soft + rng.normal(0, sigma, image.shape)).astype(np.float32)


def grid(shape=(240, 280), pitch=(24.0, 31.0)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    down, right = np.cos(2 * np.pi * rows / pitch[0]), np.cos(2 * np.pi * columns / pitch[1])
    return (120 + 50 * np.tanh(4 * (down + right - 0.7))).astype(np.float32)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.4, -5.7), (-21.25, 40.5)])
def test_a_shifted_picture_is_brought_back_to_a_tenth_of_a_pixel(shift):
    place = picture()
    reference = ndimage.shift(place, shift, order=3, mode="nearest")
    expected, correlation = registered(noisy(place, 6, 1), noisy(reference, 6, 2))
    assert correlation > 0.9
    known = np.isfinite(expected)
    assert known.mean() > 0.75
    # An error of a tenth of a pixel on edges of 80 grey levels.
    rest = ndimage.gaussian_filter(
        np.where(known, expected - ndimage.gaussian_filter(place, 1), 0), 2
    )
    inner = ndimage.binary_erosion(known, iterations=8)
    assert np.abs(rest[inner]).max() < 8


def test_a_stretch_of_one_percent_is_followed():
    place = picture()
    matrix = np.array([[1.01, 0.0], [0.002, 0.995]])
    reference = ndimage.affine_transform(place, np.linalg.inv(matrix), order=3, mode="nearest")
    _, correlation = registered(noisy(place, 4, 1), noisy(reference, 4, 2))
    assert correlation > 0.95


def test_a_bright_particle_does_not_pull():
    place = picture()
    reference = ndimage.shift(place, (4.3, 2.6), order=3, mode="nearest")
    image = noisy(place, 5, 1)
    image[60:130, 90:170] = 250
    expected, correlation = registered(image, noisy(reference, 5, 2))
    assert correlation > 0.9
    far = np.isfinite(expected)
    far[50:140, 80:180] = False
    assert np.corrcoef(expected[far], place[far])[0, 1] > 0.9


def test_another_place_does_not_match():
    _, correlation = registered(noisy(picture(0), 5, 1), noisy(picture(7), 5, 2))
    assert correlation < LEAST_CORRELATION


@pytest.mark.parametrize("count", [3, 5, 8])
def test_shifts_have_the_median_of_what_they_show(count):
    rng = np.random.default_rng(count)
    image = rng.integers(0, 255, (90, 70)).astype(np.float32)
    shifts = rng.integers(-34, 45, (count, 2)).tolist()
    copies = np.full((2 * count, *image.shape), np.nan)
    rows, columns = np.ogrid[:90, :70]
    for copy, (down, right) in zip(copies, [*shifts, *-np.array(shifts)], strict=True):
        there = (rows + down >= 0) & (rows + down < 90) & (columns + right >= 0)
        there = there & (columns + right < 70)
        copy[there] = image[(rows + down) % 90, (columns + right) % 70][there]
    copies[:, np.isfinite(copies).sum(axis=0) < 3] = np.nan
    few = np.isnan(copies).all(axis=0)
    expected = np.where(few, np.nan, np.nanmedian(np.where(few, 0, copies), axis=0))
    np.testing.assert_array_equal(shifts_median(image, shifts), expected)


def test_a_pattern_is_its_own_reference():
    clean = grid()
    image = noisy(clean, 8, 1)
    image[100:116, 120:140] += 60
    expected, correlation = repeated(image)
    assert correlation > LEAST_REPETITION
    known = np.isfinite(expected)
    assert known.mean() > 0.95
    # The defect is not in its own reference.
    rest = ndimage.gaussian_filter(np.where(known, image - expected, 0), 2)
    assert rest[104:112, 126:134].min() > 35
    rest[90:126, 110:150] = 0
    assert np.abs(rest).max() < 20


def test_lines_repeat_along_themselves():
    rows = np.arange(240)[:, None]
    lines = np.where(rows % 40 < 17, 90, 150) * np.ones((1, 280))
    expected, correlation = repeated(noisy(lines.astype(np.float32), 10, 3))
    assert correlation > LEAST_REPETITION
    assert np.isfinite(expected).mean() > 0.95


@pytest.mark.parametrize("image", [picture(), np.full((240, 280), 90, np.float32)])
def test_what_has_no_period_says_so(image):
    expected, correlation = repeated(noisy(image, 5, 4))
    assert correlation < LEAST_REPETITION
    assert not np.isfinite(expected).any()


def test_a_large_pattern_is_shifted_by_whole_pixels_of_its_own():
    clean = grid((1300, 1100), (24.0, 31.0))
    expected, correlation = repeated(noisy(clean, 8, 5))
    assert correlation > LEAST_REPETITION
    known = np.isfinite(expected)
    soft = ndimage.gaussian_filter(clean, 1)
    assert np.abs(expected - soft)[known].mean() < 6


def test_blocks_are_averaged():
    np.testing.assert_array_equal(reduced(np.arange(10).reshape(2, 5), 2), [[3, 5]])
    np.testing.assert_array_equal(reduced(np.arange(36).reshape(6, 6), 3), [[7, 10], [25, 28]])
