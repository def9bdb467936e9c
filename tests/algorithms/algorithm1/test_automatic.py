import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask, stage_two
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.algorithm1.robust import robust_defect
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import AlgorithmSettings, LeftOut
from tests.pools import pool_of, scene_masks

BORDER = LeftOut((0, 3, 0, 0))


@pytest.fixture
def image():
    gray = np.random.default_rng(0).integers(80, 100, (96, 128), dtype=np.uint8)
    gray[40:60, 50:80] += 90
    return image_from_array(gray, "scene")


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.02), (9.0, 0.2), (2.0, 0.99)])
def test_the_paper_s_variant_is_algorithm_1(image, alpha, beta, connectivity):
    settings = AlgorithmSettings(alpha, beta, connectivity, algorithm="paper")
    found = automatic_mask(pool_of(scene_masks()), image, settings, BORDER)
    expected = ground_truth(
        scene_masks(),
        alpha=alpha,
        beta=beta,
        connectivity=connectivity,
        ignore_border=BORDER.border,
    )
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.surface, expected.surface)
    assert (found.winner, found.reason, found.touches_edge, found.confidence) == (
        expected.winner,
        expected.reason,
        expected.touches_edge,
        None,
    )


def test_the_robust_variant_has_the_same_winner_and_its_own_stage_2(image):
    pool = pool_of(scene_masks())
    found = automatic_mask(pool, image, AlgorithmSettings(), BORDER)
    expected = robust_defect(image.gray, pool.mask(0), pool, connectivity=8, left_out=BORDER)
    assert found.winner == ground_truth(pool).winner == 0
    np.testing.assert_array_equal(found.mask, expected.mask)
    assert found.confidence == expected.confidence is not None


@pytest.mark.parametrize("algorithm", ["paper", "robust"])
def test_without_a_winner_the_mask_is_empty_and_says_why(image, algorithm):
    settings = AlgorithmSettings(beta=0.99, algorithm=algorithm)
    found = automatic_mask(pool_of(scene_masks()), image, settings, BORDER)
    assert (found.winner, found.mask.any(), found.surface.any()) == (None, False, False)
    assert "no candidate is larger than β = 0.99" in found.reason
    nothing = automatic_mask(pool_of(scene_masks()[:0]), image, settings, BORDER)
    assert nothing.reason == "there are no mask candidates"


def test_a_chosen_winner_goes_before_the_ranking(image):
    pool = pool_of(scene_masks())
    settings = AlgorithmSettings(beta=0.99, algorithm="paper")
    found = automatic_mask(pool, image, settings, BORDER, winner=2)
    assert found.winner == 2
    np.testing.assert_array_equal(found.surface, pool.mask(2))
    np.testing.assert_array_equal(
        found.mask, stage_two(settings, image.gray, BORDER, pool)(pool.mask(2)).mask
    )


def test_a_known_stage_2_is_not_computed_again(image):
    pool, settings = pool_of(scene_masks()), AlgorithmSettings()
    surface = pool.mask(0)
    defect = stage_two(settings, image.gray, BORDER, pool)(surface)
    asked = []

    def known(winner):
        asked.append(winner)
        return surface, defect

    found = automatic_mask(pool, image, settings, BORDER, known=known)
    assert asked == [0]
    assert found.surface is surface
    assert found.mask is defect.mask


@pytest.mark.parametrize("algorithm", ["robust", "paper"])
@pytest.mark.parametrize("value", [0, 7, 255])
def test_an_image_of_one_value_has_no_defect_for_that_reason(algorithm, value):
    masks = np.zeros((1, 20, 30), dtype=bool)
    masks[0, 2:, 1:] = True
    pool = pool_of(masks)
    gray = np.full((20, 30), value, np.uint8)
    settings = AlgorithmSettings(algorithm=algorithm)
    found = automatic_mask(pool, image_from_array(gray, "flat"), settings, LeftOut())
    assert not found.mask.any()
    assert found.winner is None
    assert found.reason == "all pixels have the same value, or none"
    # One pixel that differs, or a surface that a person chose, is looked at.
    gray = gray.copy()
    gray[0, 0] = 100
    found = automatic_mask(pool, image_from_array(gray, "speck"), settings, LeftOut())
    assert found.winner == 0
