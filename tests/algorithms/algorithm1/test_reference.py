import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.reference import (
    SAME,
    clear_parts,
    compare,
    outlined,
    prompts_at,
)
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import SceneSpec, make_reference, make_scene

NO_BORDER = (0, 0, 0, 0)
SPEC = SceneSpec(pattern="holes", noise=5.0, radius=20, contrast=1.2)
SEEN = (7, 7, 7, 7)
"""More than a made reference is shifted by: at its edges it shows nothing."""


@pytest.fixture(scope="module")
def scene():
    return make_scene(SPEC, 5), make_reference(SPEC, 5)


def test_the_difference_is_the_defect(scene):
    image, reference = scene
    found = compare(image.image, NO_BORDER, reference, SEEN)
    assert not found.reason
    assert found.correlation > 0.9
    assert scores(found.parts == 1, image.defect).dice > 0.7
    # In units of the noise: about 1 where nothing differs.
    quiet = found.strength[7:-7, 7:-7][found.parts[7:-7, 7:-7] == 0]
    assert 0.6 < np.median(quiet) < 1.2
    assert np.quantile(quiet, 0.99) < 3
    assert not found.strength[:7].any()


def test_the_signed_difference_shows_the_defect_without_the_pattern(scene):
    image, reference = scene
    found = compare(image.image, NO_BORDER, reference, SEEN)
    assert found.signed.dtype == np.uint8
    assert (found.signed[:7] == SAME).all()
    # The other way round it differs as much, with the other sign.
    other = compare(reference, SEEN, image.image, SEEN)
    defect = image.defect & (found.parts == 1)
    one, two = (np.median(each.signed[defect].astype(int)) - SAME for each in (found, other))
    assert abs(one) > 12
    assert one * two < 0
    # The pattern's bright holes and dark ground are alike in it.
    quiet = found.signed[7:-7, 7:-7][found.parts[7:-7, 7:-7] == 0].astype(int)
    assert abs(np.median(quiet) - SAME) <= 1
    assert np.quantile(np.abs(quiet - SAME), 0.95) < 20
    light = found.light
    assert light.is_light
    assert not light.signed.size


def test_brightness_is_matched(scene):
    image, reference = scene
    found = compare(image.image, NO_BORDER, reference, SEEN)
    other = np.clip(reference * 0.6 + 40, 0, 255).astype(np.uint8)
    again = compare(image.image, NO_BORDER, other, SEEN)
    assert scores(again.parts == 1, found.parts == 1).dice > 0.9


def test_a_pattern_is_compared_with_itself(scene):
    found = compare(scene[0].image, NO_BORDER)
    assert not found.reason
    assert scores(found.parts == 1, scene[0].defect).dice > 0.7


def test_no_period_and_another_place_are_said_with_a_number(scene):
    plain = make_scene(SceneSpec(), 3).image
    alone = compare(plain, NO_BORDER)
    assert alone.reason == f"the image has no period: correlation {alone.correlation:.2f}"
    assert not alone.parts.any()
    assert not alone.strength.any()
    assert prompts_at(alone) == ()
    other = compare(plain, NO_BORDER, scene[1])
    assert other.reason == f"the reference does not match: correlation {other.correlation:.2f}"


def test_a_reference_of_another_size_is_refused(scene):
    found = compare(scene[0].image, NO_BORDER, scene[1][:-1])
    assert found.reason == "the reference has 479 x 480 pixels, the image 480 x 480"


def test_what_is_all_border_is_not_compared():
    found = compare(np.zeros((40, 40), np.uint8), (10, 10, 10, 10))
    assert found.reason == "the image is too small to be compared"


def test_large_images_are_compared_at_half_their_size():
    gray = np.tile(make_scene(SPEC, 5).image[:240, :240], (9, 9))[:2100, :2060]
    # Two pictures never have the same noise.
    noise = np.random.default_rng(0).normal(0, 3, gray.shape)
    reference = np.clip(gray + noise, 0, 255).astype(np.uint8)
    gray[1000:1060, 900:980] = 250
    found = compare(gray, NO_BORDER, reference)
    assert found.parts.shape == gray.shape
    truth = np.zeros(gray.shape, bool)
    truth[1000:1060, 900:980] = True
    assert scores(found.parts == 1, truth).dice > 0.85


def test_parts_reach_to_a_share_of_their_own_strength():
    rows, columns = np.ogrid[:80, :160]
    strong = 40 * np.exp(-((rows - 40) ** 2 + (columns - 40) ** 2) / 200)
    faint = 5 * np.exp(-((rows - 40) ** 2 + (columns - 120) ** 2) / 200)
    parts = clear_parts((1 + strong + faint).astype(np.float32))
    assert parts[40, 40] == 1
    assert parts[40, 120] == 2
    # At 2.5 the strong one would be as wide as its farthest trace.
    assert np.count_nonzero(parts == 1) < 2 * np.count_nonzero(parts == 2)


def test_specks_are_no_parts():
    strength = np.ones((60, 60), np.float32)
    strength[10:14, 10:14] = 9
    strength[30:40, 30:40] = 9
    parts = clear_parts(strength)
    assert set(np.unique(parts)) == {0, 1}
    assert parts[35, 35] == 1


def test_the_network_is_asked_about_parts_inside_and_around(scene):
    found = compare(scene[0].image, NO_BORDER, scene[1], SEEN)
    prompts = prompts_at(found)
    ((row, column),) = prompts[0].points
    assert found.parts[int(row), int(column)] == 1
    where = np.argwhere(found.parts == 1)
    assert prompts[0].box == (*where.min(axis=0), *(where.max(axis=0) + 1))
    assert prompts[0].foreground == (True,)
    assert len(prompts) == min(6, found.parts.max())


def test_an_outline_ends_at_a_share_of_its_own_strength():
    rows, columns = np.ogrid[:80, :120]
    body = (rows - 40) ** 2 + (columns - 50) ** 2 < 20**2
    size = np.where(body, 12, 0.8).astype(np.float32)
    # A shadow beside it, a hole in it, and a speck.
    size[30:50, 72:80] = 3
    size[38:42, 48:52] = 0
    size[5:7, 45:47] = 9
    part = (rows - 40) ** 2 + (columns - 52) ** 2 < 26**2
    assert scores(outlined(size, part), body).dice > 0.95
    assert not outlined(np.zeros_like(size), part).any()
