"""Scaling to 8-bit grey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_semxai.algorithms.exposure import intensity_range, luminance, to_gray8, to_uint8


def ramp16() -> np.ndarray:
    return np.linspace(1000, 3000, 100 * 100).astype(np.uint16).reshape(100, 100)


def test_8bit_grey_is_returned_itself() -> None:
    image = np.array([[3, 250]], np.uint8)
    assert to_gray8(image) is image


def test_16bit_ramp_fills_the_range() -> None:
    gray = to_gray8(ramp16())
    assert gray.dtype == np.uint8
    assert gray[0, 0] == 0
    assert gray[-1, -1] == 255
    assert np.all(np.diff(gray.ravel().astype(int)) >= 0)
    assert abs(int(gray[50, 0]) - 128) <= 1


def test_one_hot_pixel_changes_almost_nothing() -> None:
    image = ramp16()
    hot = image.copy()
    hot[40, 40] = 65535
    difference = np.abs(to_gray8(image).astype(int) - to_gray8(hot))
    difference[40, 40] = 0
    assert difference.max() <= 1


def test_input_is_never_changed() -> None:
    image = np.array([[np.nan, 1.0], [np.inf, -np.inf]], np.float32)
    before = image.copy()
    to_gray8(image)
    np.testing.assert_array_equal(image, before)


def test_nan_is_black_and_infinities_are_the_ends() -> None:
    image = np.array([[np.nan, np.inf], [-np.inf, 0.0], [1.0, 2.0]])
    gray = to_gray8(image)
    assert gray[0].tolist() == [0, 255]
    assert gray[1, 0] == 0
    assert gray[1, 1] < gray[2, 0] < gray[2, 1]


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_constant_image_is_black(value: int) -> None:
    assert not to_gray8(np.full((8, 8), value, np.uint16)).any()


def test_all_nan_image_is_black() -> None:
    assert not to_gray8(np.full((4, 4), np.nan)).any()


def test_speck_on_constant_ground_stays_visible() -> None:
    image = np.full((200, 200), 500, np.uint16)
    image[100, 100] = 900
    gray = to_gray8(image)
    assert gray[100, 100] == 255
    assert gray[0, 0] == 0


def test_bool_image_becomes_black_and_white() -> None:
    assert to_gray8(np.array([[True, False]])).tolist() == [[255, 0]]


@pytest.mark.parametrize("channels", [3, 4])
def test_equal_channels_give_exactly_their_value(channels: int) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = np.repeat(values[..., None], channels, axis=2)
    if channels == 4:
        image[..., 3] = 17
    np.testing.assert_array_equal(to_gray8(image), values)


def test_luminance_weights() -> None:
    image = np.eye(3, dtype=np.uint8)[None] * 100
    assert luminance(image).tolist() == [[30, 59, 11]]


def test_large_image_is_sampled_fairly() -> None:
    image = np.tile(np.arange(4096, dtype=np.uint16), (1200, 1))
    low, high = intensity_range(image)
    assert low == pytest.approx(4, abs=2)
    assert high == pytest.approx(4091, abs=2)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 5), (2, 4, 4, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        to_gray8(np.zeros(shape, np.uint8))


def test_complex_values_are_refused() -> None:
    with pytest.raises(ValueError, match="complex64"):
        to_gray8(np.zeros((4, 4), np.complex64))


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int16, np.uint16, np.int64]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    )
)
def test_any_numbers_give_a_monotone_8bit_image(image: np.ndarray) -> None:
    gray = to_gray8(image)
    assert gray.dtype == np.uint8
    assert gray.shape == image.shape
    finite = np.isfinite(image)
    order = np.argsort(image[finite], kind="stable")
    assert np.all(np.diff(gray[finite][order].astype(int)) >= 0)


def test_colours_are_kept_and_scaled_alike():
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(to_uint8(colors), colors)
    np.testing.assert_array_equal(to_uint8(np.dstack([colors, colors[..., :1]])), colors)
    deep = colors.astype(np.uint16) * 100
    low, high = intensity_range(luminance(deep))
    want = np.clip((deep - low) * (255 / (high - low)), 0, 255)
    np.testing.assert_allclose(to_uint8(deep), want, atol=0.51)
    np.testing.assert_array_equal(to_uint8(colors > 128), np.where(colors > 128, 255, 0))


def test_gray_stays_gray():
    gray = np.arange(12, dtype=np.uint16).reshape(3, 4)
    np.testing.assert_array_equal(to_uint8(gray), to_gray8(gray))
