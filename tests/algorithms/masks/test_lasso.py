"""Outlines drawn by hand: along edges, corrected, and as masks."""

import time
from functools import partial

import numpy as np
import pytest
import scipy
import skimage

from napari_semxai.algorithms.masks.lasso import Outline, edge_path, nearest_edge, straight
from napari_semxai.algorithms.masks.metrics import scores


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    truth = np.zeros((200, 240), bool)
    truth[skimage.draw.ellipse(100, 120, 40, 60)] = True
    gray = (
        90
        + 80 * scipy.ndimage.gaussian_filter(truth.astype(float), 1)
        + rng.normal(0, 8, truth.shape)
    )
    return np.clip(gray, 0, 255).astype(np.uint8), truth


def blob(seed, shape=(90, 110)):
    noise = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 5)
    labels, _ = scipy.ndimage.label(noise > 0.02, np.ones((3, 3)))
    return labels == np.bincount(labels.ravel())[1:].argmax() + 1


def test_lines_between_few_corners_follow_an_edge(scene):
    gray, truth = scene
    angles = np.arange(6) / 6 * 2 * np.pi
    corners = [(100 + 40 * np.sin(angle), 120 + 60 * np.cos(angle)) for angle in angles]
    drawn = {}
    for name, link in {"straight": straight, "edge": partial(edge_path, gray)}.items():
        outline = Outline()
        for corner in corners:
            outline.add(corner, link)
        drawn[name] = scores(outline.mask(truth.shape, link), truth).dice
    assert drawn["edge"] > 0.97
    assert drawn["straight"] < 0.93


def test_a_path_begins_and_ends_at_its_corners_wherever_they_are(scene):
    gray, _ = scene
    for start, end in [((3.2, 4.7), (190, 230)), ((-4, 10), (5, 260)), ((7, 7), (7, 7))]:
        path = edge_path(gray, start, end)
        assert tuple(path[0]) == start
        assert tuple(path[-1]) == end


def test_a_long_path_takes_no_longer_than_a_short_one():
    gray = np.random.default_rng(1).integers(0, 255, (2048, 2048), dtype=np.uint8)

    def seconds(end):
        times = []
        for _ in range(5):
            begun = time.process_time()
            edge_path(gray, (10.0, 10.0), end)
            times.append(time.process_time() - begun)
        return min(times)

    # Of 1,000 pixels each way: a grid of all its pixels would be 190 times larger.
    assert seconds((1010.0, 1010.0)) < 20 * seconds((80.0, 80.0))


def test_a_corner_goes_to_the_edge_beside_it(scene):
    gray, _ = scene
    row, column = nearest_edge(gray, (100.0, 183.0), 6)
    assert abs(row - 100) <= 6
    assert abs(column - 180) <= 2
    even = np.full((20, 20), 7, np.uint8)
    assert nearest_edge(even, (4.5, 5.5), 3) == (4.5, 5.5)


@pytest.mark.parametrize("seed", range(8))
def test_an_object_taken_up_is_the_same_to_the_pixel(seed):
    mask = blob(seed)
    outline = Outline.around(mask)
    assert 3 <= len(outline.corners) < np.count_nonzero(mask) / 4
    np.testing.assert_array_equal(outline.mask(mask.shape, straight), mask)


def test_an_object_at_the_edge_and_one_of_a_pixel_are_taken_up():
    for window in (np.s_[0:5, 0:7], np.s_[3:4, 9:10], np.s_[:, :]):
        mask = np.zeros((12, 15), bool)
        mask[window] = True
        outline = Outline.around(mask)
        np.testing.assert_array_equal(outline.mask(mask.shape, straight), mask)


def test_moving_a_corner_changes_only_its_surroundings():
    mask = np.zeros((60, 80), bool)
    mask[10:50, 10:70] = True
    mask[20:30, 20:30] = False
    other = np.zeros_like(mask)
    other[55:58, 2:6] = True
    outline = Outline.around(mask)
    corner = outline.corner_at((9.5, 70.0), 3)
    outline.move(corner, (4.0, 76.0), straight)
    after = outline.apply(mask | other, straight)
    assert after[6, 72]
    assert not after[22, 25]
    np.testing.assert_array_equal(after[35:, :35], (mask | other)[35:, :35])


def test_corners_are_inserted_and_removed():
    outline = Outline()
    for corner in [(10.0, 10.0), (10.0, 50.0), (50.0, 50.0), (50.0, 10.0)]:
        outline.add(corner, straight)
    square = outline.mask((60, 60), straight)
    line = outline.line_at((30.0, 51.0), 3)
    assert line == 1
    number = outline.insert(line, (30.0, 56.0), straight)
    assert outline.corners[number] == (30.0, 56.0)
    assert outline.mask((60, 60), straight)[30, 54]
    outline.remove(number, straight)
    np.testing.assert_array_equal(outline.mask((60, 60), straight), square)
    outline.remove(3, straight)
    outline.remove(0, straight)
    assert outline.corners == [(10.0, 50.0), (50.0, 50.0)]
    assert len(outline.lines) == 1
    outline.remove(1, straight)
    outline.remove(0, straight)
    assert outline.corners == outline.lines == []
    assert outline.line_at((1.0, 1.0), 5) is None
    assert outline.corner_at((1.0, 1.0), 5) is None


def test_a_closed_outline_stays_closed_when_corners_go():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    outline = Outline.around(mask)
    while len(outline.corners) > 3:
        outline.remove(len(outline.corners) - 1, straight)
        assert len(outline.lines) == len(outline.corners)
        for place, line in enumerate(outline.lines):
            assert tuple(line[0]) == outline.corners[place]
            assert tuple(line[-1]) == outline.corners[(place + 1) % len(outline.corners)]


def test_an_outline_takes_pixels_out():
    mask = np.ones((20, 20), bool)
    outline = Outline()
    for corner in [(4.5, 4.5), (4.5, 9.5), (9.5, 9.5), (9.5, 4.5)]:
        outline.add(corner, straight)
    after = outline.apply(mask, straight, erase=True)
    assert np.count_nonzero(~after) == 25
