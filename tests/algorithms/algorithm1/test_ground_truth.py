import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_semxai.algorithms.algorithm1.ground_truth import as_border, ground_truth, rank
from napari_semxai.types import LeftOut
from tests.algorithms.paper import literal_ground_truth

SHAPE = (48, 64)


@st.composite
def problems(draw):
    shape = draw(st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9)))
    masks = draw(arrays(bool, shape))
    return (
        masks,
        draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.5])),
        draw(st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0])),
        draw(st.sampled_from([4, 8])),
        draw(st.tuples(*[st.integers(0, 4)] * 4)),
    )


def surface_with_hole(hole=(slice(20, 26), slice(30, 40))):
    masks = np.zeros((2, *SHAPE), bool)
    masks[0] = True
    masks[0][hole] = False
    masks[1, 2:9, 2:9] = True
    return masks


@given(problems())
@settings(max_examples=300, deadline=None)
def test_equals_the_pseudo_code(problem):
    masks, alpha, beta, connectivity, border = problem
    expected, winner = literal_ground_truth(masks, alpha, beta, connectivity, border)
    truth = ground_truth(
        masks, alpha=alpha, beta=beta, connectivity=connectivity, ignore_border=border
    )
    assert truth.winner == winner
    np.testing.assert_array_equal(truth.mask, expected)
    assert bool(truth.reason) == (not expected.any())


def test_the_hole_in_the_surface_is_the_defect():
    truth = ground_truth(surface_with_hole())
    assert truth.winner == 0
    assert truth.mask.sum() == 60
    assert truth.mask[22, 35]
    assert not truth.touches_edge
    assert truth.reason == ""
    np.testing.assert_array_equal(truth.eligible, [True, False])


def test_an_edge_strip_wins_unless_it_is_ignored():
    masks = surface_with_hole()
    masks[0, :, -3:] = False
    with_strip = ground_truth(masks)
    assert with_strip.mask[:, -3:].all()
    assert with_strip.touches_edge
    without = ground_truth(masks, ignore_border=(0, 3, 0, 0))
    assert without.mask.sum() == 60
    np.testing.assert_array_equal(without.areas, with_strip.areas)


def test_a_defect_at_the_ignored_border_touches_the_edge():
    masks = surface_with_hole((slice(10, 16), slice(50, 61)))
    truth = ground_truth(masks, ignore_border=(0, 3, 0, 0))
    assert truth.touches_edge


def test_nothing_passes_beta():
    truth = ground_truth(surface_with_hole(), beta=1.0)
    assert truth.winner is None
    assert not truth.mask.any()
    assert not truth.surface.any()
    assert "β = 1" in truth.reason


def test_no_candidates():
    truth = ground_truth(np.zeros((0, *SHAPE), bool))
    assert truth.mask.shape == SHAPE
    assert truth.reason == "there are no mask candidates"


def test_a_winner_without_complement_means_no_defect():
    truth = ground_truth(np.ones((1, *SHAPE), bool))
    assert truth.winner == 0
    assert "no defect" in truth.reason


def test_only_the_ignored_border_is_left():
    masks = np.ones((1, *SHAPE), bool)
    masks[0, :2] = False
    assert "ignored border" in ground_truth(masks, ignore_border=2).reason


def test_alpha_prefers_the_centre():
    # Larger but far from the centre, against smaller and central.
    areas = np.array([1000, 700])
    centroids = np.array([[5.0, 5.0], [23.5, 31.5]])
    assert rank(areas, centroids, SHAPE, alpha=0, beta=0).winner == 0
    assert rank(areas, centroids, SHAPE, alpha=2, beta=0).winner == 1


def test_distance_is_over_the_diagonal():
    ranking = rank(np.array([1]), np.array([[0.0, 0.0]]), (4, 3), alpha=1, beta=0)
    assert ranking.distances[0] == pytest.approx(np.hypot(1.5, 1.0) / 5)


@pytest.mark.parametrize("bad", [-1, (0, 0, 0, -2), (1, 2, 3)])
def test_a_wrong_border_is_named(bad):
    with pytest.raises(ValueError, match="ignore_border"):
        as_border(bad)


def test_wrong_inputs_are_named():
    with pytest.raises(ValueError, match="connectivity must be 4 or 8, not 6"):
        ground_truth(np.ones((1, 4, 4), bool), connectivity=6)
    with pytest.raises(ValueError, match=r"shape \(n, M, N\)"):
        ground_truth(np.ones((4, 4), bool))


@pytest.mark.parametrize("foreground", [1, 255])
def test_masks_of_numbers_count_as_masks(foreground):
    surface = np.ones((2, 9, 12), dtype=bool)
    surface[0, 3:6, 4:9] = False
    expected = ground_truth(surface, beta=0.1)
    found = ground_truth(surface.astype(np.uint8) * foreground, beta=0.1)
    np.testing.assert_array_equal(found.mask, expected.mask)
    assert (found.winner, found.mask.sum()) == (expected.winner, expected.mask.sum())


def test_a_region_is_left_out_as_the_border_is():
    masks = surface_with_hole()
    masks[0, 5:45, 5:9] = False
    ignored = np.zeros(masks.shape[1:], bool)
    assert ground_truth(masks).mask.sum() == 160
    ignored[:, :10] = True
    without = ground_truth(masks, ignored=ignored)
    assert without.mask.sum() == 60
    assert not without.touches_edge
    np.testing.assert_array_equal(without.areas, ground_truth(masks).areas)
    # What ends at the region is cut off, too.
    rows, columns = np.nonzero(without.mask)
    ignored[rows.min() : rows.max() + 1, columns.min() : columns.min() + 2] = True
    cut = ground_truth(masks, ignored=ignored)
    assert cut.touches_edge
    assert not (cut.mask & ignored).any()
    assert "what is ignored" in ground_truth(masks, ignored=np.ones_like(ignored)).reason


def test_what_is_left_out_is_equal_by_its_pixels():
    one, two = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert LeftOut((0, 1, 0, 0), one) == LeftOut((0, 1, 0, 0), two)
    assert hash(LeftOut(region=one)) == hash(LeftOut())
    two[1, 1] = True
    assert LeftOut(region=one) != LeftOut(region=two)
    assert LeftOut(region=one) != LeftOut()
    assert LeftOut().seen(one) is one
    np.testing.assert_array_equal(
        LeftOut((1, 1, 1, 1), two).kept(~one), [[0] * 4, [0, 0, 1, 0], [0, 1, 1, 0], [0] * 4]
    )
