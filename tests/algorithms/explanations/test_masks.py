import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import napari_semxai as sx
from napari_semxai.algorithms.explanations.masks import (
    color_distances,
    concept_masks,
    gradcam_mask,
    resized_mask,
    threshold_mask,
    weighted_map,
)

SIDES = st.tuples(st.integers(1, 7), st.integers(1, 7))
PICTURES = SIDES.flatmap(lambda sides: arrays(np.uint8, (*sides, 3)))
MAPS = SIDES.flatmap(
    lambda sides: arrays(
        np.float32, sides, elements=st.floats(-1, 4, width=32) | st.just(np.float32("nan"))
    )
)
COLORS = st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=4)


def literal_algorithm_2(rgb, tau):
    rows, columns = rgb.shape[:2]
    mask = np.zeros((rows, columns), bool)
    peak = max(int(rgb[r, c, 0]) for r in range(rows) for c in range(columns))
    for r in range(rows):
        for c in range(columns):
            mask[r, c] = peak > 0 and int(rgb[r, c, 0]) / peak > tau
    return mask


def literal_algorithm_3(rgb, colors, delta, crop):
    row0, column0, row1, column1 = crop
    masks = np.zeros((len(colors), row1 - row0, column1 - column0), bool)
    for i, color in enumerate(colors):
        for r in range(row0, row1):
            for c in range(column0, column1):
                squares = [(int(rgb[r, c, n]) - color[n]) ** 2 for n in range(3)]
                masks[i, r - row0, c - column0] = math.sqrt(sum(squares)) <= delta
    return masks


@given(PICTURES, st.floats(0, 1))
def test_algorithm_2_to_the_letter(rgb, tau):
    np.testing.assert_array_equal(gradcam_mask(rgb, tau), literal_algorithm_2(rgb, tau))


@given(st.data(), PICTURES, COLORS, st.floats(0.01, 450) | st.integers(1, 450))
def test_algorithm_3_to_the_letter(data, rgb, colors, delta):
    rows, columns = rgb.shape[:2]
    row0, column0 = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    crop = (row0, column0, data.draw(st.integers(row0 + 1, rows)),
            data.draw(st.integers(column0 + 1, columns)))  # fmt: skip
    expected = literal_algorithm_3(rgb, colors, delta, crop)
    np.testing.assert_array_equal(concept_masks(rgb, colors, delta, crop=crop), expected)
    whole = literal_algorithm_3(rgb, colors, delta, (0, 0, rows, columns))
    np.testing.assert_array_equal(concept_masks(rgb, colors, delta), whole)


def test_a_pixel_exactly_delta_away_belongs_to_the_mask():
    rgb = np.array([[[3, 4, 0], [3, 4, 1]]], np.uint8)
    np.testing.assert_array_equal(concept_masks(rgb, [(0, 0, 0)], 5), [[[True, False]]])


def test_opacity_is_left_out():
    rgba = np.random.default_rng(0).integers(0, 256, (4, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(gradcam_mask(rgba, 0.4), gradcam_mask(rgba[..., :3], 0.4))
    assert color_distances(rgba, [(1, 2, 3)]).shape == (1, 4, 5)


def test_no_red_is_no_mask():
    assert not gradcam_mask(np.zeros((3, 3, 3), np.uint8), 0.0).any()


@pytest.fixture(scope="module")
def opencv_jet():
    """What grad-cam renders with; in a process of its own, for cv2 and Qt do not mix."""
    code = "import cv2, numpy; print(cv2.applyColorMap(numpy.arange(256, dtype='u1'), 2).tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return np.array(json.loads(done.stdout), np.uint8).reshape(256, 3)[:, ::-1]


@pytest.mark.parametrize(
    ("tau", "low", "high"),
    [(0.7, 0.553, 0.949), (0.9, 0.603, 0.900), (0.4, 0.476, 1.0), (0.2, 0.426, 1.0)],
)
def test_the_jet_ring_is_real(opencv_jet, tau, low, high):
    chosen = np.flatnonzero(gradcam_mask(opencv_jet[None], tau)[0]) / 255
    assert (chosen.min(), chosen.max()) == pytest.approx((low, high), abs=0.004)
    # The float map keeps its peak, whatever the threshold.
    assert threshold_mask(np.linspace(0, 1, 256)[None, :], tau)[0, -1]


@given(MAPS, st.floats(0, 1))
def test_thresholds_on_floats(values, tau):
    known = values[np.isfinite(values)]
    peak = max(float(known.max()), 0.0) if known.size else 0.0
    cut = np.float32(tau * peak)
    expected = [[bool(value > cut) for value in row] for row in values]
    mask = threshold_mask(values, tau)
    np.testing.assert_array_equal(mask, expected)
    assert not mask[~(values > 0)].any()


def test_weights_act_on_maps_in_their_own_unit():
    maps = np.array([[[0, 10, 5]], [[0.1, 0, np.nan]], [[7, 7, 7]], [[0, 0, 0]]], np.float32)
    total = weighted_map(maps, np.array([0.5, 0.25, -1.0, 3.0]))
    np.testing.assert_allclose(total, [[0.025, 5, 2.5]])


def test_a_mask_of_a_crop_fits_the_image():
    mask = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(resized_mask(mask, (4, 6)), np.kron(mask, np.ones((2, 3), bool)))
    np.testing.assert_array_equal(resized_mask(np.kron(mask, np.ones((2, 3), bool)), (2, 2)), mask)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda rgb: gradcam_mask(rgb[..., 0], 0.5), "RGB or RGBA"),
        (lambda rgb: concept_masks(rgb, [(1, 2)], 5), r"\(k, 3\)"),
        (lambda rgb: concept_masks(rgb, [(1, 2, 3)], 5, crop=(0, 0, 9, 9)), "4 x 5 pixels"),
        (lambda rgb: concept_masks(rgb, [(1, 2, 3)], 5, crop=(2, 0, 2, 4)), "does not lie within"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(np.zeros((4, 5, 3), np.uint8))


def test_public_names():
    assert sx.gradcam_mask is gradcam_mask
    assert sx.concept_masks is concept_masks
