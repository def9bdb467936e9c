"""What is foreground in masks that somebody else's program wrote."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_semxai.algorithms.masks.foreground import (
    BRIGHT,
    StoredMask,
    foreground,
    parse_rule,
)

ROW, COLUMN = np.mgrid[:96, :128]
DISC = (ROW - 48) ** 2 + (COLUMN - 70) ** 2 < 14**2
DOT = (ROW - 20) ** 2 + (COLUMN - 20) ** 2 < 8**2
SOFT = gaussian_filter(DISC.astype(float), 1.5)


def read(values, rule="auto", **rest):
    return foreground(StoredMask(np.asarray(values), **rest), parse_rule(rule))


def rgb(mask, *color):
    return mask[..., None] * np.array(color, np.uint8)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (bool, 1),
        (np.uint8, 1),
        (np.uint8, 100),
        (np.uint16, 255),
        (np.uint16, 300),
        (np.uint16, 65535),
        (np.int32, 255),
        (np.float32, 1.0),
        (np.float32, 255.0),
        (np.float32, 0.2),
    ],
)
def test_one_value_beside_0(dtype, value):
    mask, _ = read(np.where(DISC, value, 0).astype(dtype))
    np.testing.assert_array_equal(mask, DISC)


@pytest.mark.parametrize(
    ("full", "dtype"), [(255, np.uint8), (250, np.uint8), (65535, np.uint16), (1, np.float32)]
)
def test_soft_edges_are_cut_in_the_middle(full, dtype):
    values = (SOFT / SOFT.max() * full).astype(dtype)
    mask, rule = read(values)
    top = 255 if full == 250 else full
    np.testing.assert_array_equal(mask, values >= top * 128 / 255)
    assert 0.9 < mask.sum() / DISC.sum() < 1.1
    assert rule == "grey from 128 of 255"


def test_a_map_that_is_nowhere_0():
    values = np.clip(SOFT, 0.003, 0.99).astype(np.float32)
    np.testing.assert_array_equal(read(values)[0], values >= 128 / 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 7), (60, 200), (90, 100)])
def test_class_and_instance_numbers(dtype, first, second):
    values = (DISC * first + DOT * second).astype(dtype)
    mask, rule = read(values)
    np.testing.assert_array_equal(mask, DISC | DOT)
    assert rule == "not 0"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_many_small_instances(size):
    values = np.zeros((96, 128), np.uint8)
    for number in range(200):
        row, column = 5 * (number // 20), 5 * (number % 20)
        values[row : row + size, column : column + size] = number + 1
    np.testing.assert_array_equal(read(values)[0], values > 0)


def test_255_instances_of_more_than_8_bits():
    values = np.zeros((96, 128), np.uint16)
    values[:75:5, :85:5] = values[1:75:5, :85:5] = np.arange(1, 256).reshape(15, 17)
    np.testing.assert_array_equal(read(values)[0], values > 0)


def test_colours_with_mixed_edges():
    soft = (SOFT[..., None] / SOFT.max() * [250, 50, 83]).astype(np.uint8)
    assert (read(soft)[0] ^ (SOFT.max() / 2 <= SOFT)).sum() <= 8
    two = rgb(DISC, 0, 0, 90) + rgb(DOT, 250, 50, 83)
    np.testing.assert_array_equal(read(two)[0], DISC | DOT)


DOUBTFUL = {
    "dark on bright": (255 * ~DISC).astype(np.uint8),
    "unknown beside a class": (DISC + DOT * 255).astype(np.uint8),
    "three grey levels": (DISC * 128 + DOT * 255).astype(np.uint8),
    "no 0": (1 + DISC).astype(np.uint8),
    "one number everywhere": np.full((9, 9), 3, np.uint8),
    "faint": (SOFT * 100).astype(np.uint8),
    "faint map": (SOFT * 0.3).astype(np.float32),
    "12 bits": (SOFT * 4095).astype(np.uint16),
    "negative": DISC.astype(np.int32) - 1,
    "no number": np.where(DISC, 1, np.nan),
    "infinite": np.where(DISC, np.inf, 0),
    "no black": rgb(DISC, 200, 0, 0) + rgb(~DISC, 255, 255, 255),
    "one colour everywhere": rgb(DISC | True, 255, 0, 0),
    "logits": (20 * SOFT - 10.5).astype(np.float32),
}


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_what_could_be_two_things_is_refused_with_what_to_do(kind):
    with pytest.raises(ValueError, match=r"save it as 0 and 255, or .* --foreground"):
        read(DOUBTFUL[kind])


def test_empty_and_full_files():
    mask, rule = read(np.zeros((9, 9), np.uint8))
    assert (mask.any(), rule) == (False, "all 0")
    # White may be the background of an image without defect.
    full = np.full((9, 9), 255, np.uint8)
    with pytest.raises(ValueError, match=r"--foreground zero or --foreground nonzero"):
        read(full)
    assert foreground(StoredMask(full), BRIGHT)[0].all()
    assert read(full, "nonzero")[0].all()


@pytest.mark.parametrize("top", [2, 3, 40, 127, 129, 256, 300, 70_000])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.6])
def test_a_mask_is_empty_only_where_the_file_is(top, share):
    rng = np.random.default_rng(0)
    values = rng.integers(0, top, (40, 50)) * (rng.random((40, 50)) < share)
    values[3, 3] = 1
    for one in (values.astype(np.int32), values.clip(0, 255).astype(np.uint8), values / top):
        said = ""
        try:
            found = read(one)[0].any()
        except ValueError as error:
            found, said = False, str(error)
        assert found or "--foreground" in said


def test_alpha_and_black_besides():
    alpha = (255 * (ROW > 40)).astype(np.uint8)
    with pytest.raises(ValueError, match="--foreground alpha or --foreground nonzero"):
        read(255 * DISC.astype(np.uint8), alpha=alpha)
    np.testing.assert_array_equal(read(DISC, "alpha", alpha=alpha)[0], ROW > 40)
    np.testing.assert_array_equal(read(DISC, "nonzero", alpha=alpha)[0], DISC)
    with pytest.raises(ValueError, match="transparent everywhere"):
        read(DISC, alpha=alpha * 0)
    # A constant one says nothing.
    np.testing.assert_array_equal(read(DISC, alpha=alpha * 0 + 7)[0], DISC)


def test_a_colour_table_that_hides_a_class():
    index = (DISC * 9).astype(np.uint8)
    with pytest.raises(ValueError, match='--foreground "palette 9"'):
        read(index * 0, indices=index)
    index[DOT] = 255
    shown = rgb(DISC, 128, 0, 0) + rgb(DOT, 224, 224, 192)
    with pytest.raises(ValueError, match=r'255 beside other classes.*"palette 9,255"'):
        read(shown, indices=index)
    np.testing.assert_array_equal(read(shown, "palette 9", indices=index)[0], DISC)


@pytest.mark.parametrize(
    ("rule", "said", "wanted"),
    [
        ("nonzero", "nonzero", [0, 1, 1, 1]),
        ("ZERO", "zero", [1, 0, 0, 0]),
        (">= 128", ">=128", [0, 0, 1, 1]),
        ("<=127", "<=127", [1, 1, 0, 0]),
        ("palette 127, 255", "palette 127,255", [0, 1, 0, 1]),
    ],
)
def test_rules(rule, said, wanted):
    mask, told = read(np.array([[0, 127, 128, 255]], np.uint8), rule)
    assert mask.tolist() == [list(map(bool, wanted))]
    assert told == said


def test_rules_that_do_not_fit():
    with pytest.raises(ValueError, match="no alpha"):
        read(DISC, "alpha")
    with pytest.raises(ValueError, match="no colour table"):
        read(rgb(DISC, 1, 2, 3), "palette 1")
    np.testing.assert_array_equal(read(rgb(DISC, 1, 2, 3), "color 1,2,3")[0], DISC)
    for text in ("", "some", ">=", ">=x", "palette", "color 1,2", "palette 1.5"):
        with pytest.raises(ValueError, match="is none of nonzero, zero, >=N"):
            parse_rule(text)


def test_files_known_to_be_white_on_black():
    for values in (255 * ~DISC, DISC * 128 + DOT * 255):
        stored = StoredMask(values.astype(np.uint8))
        np.testing.assert_array_equal(foreground(stored, BRIGHT)[0], values >= 128)
    with pytest.raises(ValueError, match="--foreground"):
        foreground(StoredMask((SOFT * 100).astype(np.uint8)), BRIGHT)
