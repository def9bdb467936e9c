from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label

from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.algorithm1.robust import robust_defect
from napari_semxai.algorithms.algorithm1.suspects import LOOKS, PLAIN, SEEN, judge_suspects
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.types import LeftOut
from tests.pools import pool_of

SHAPE = (160, 200)
NONE = pool_of(np.zeros((0, *SHAPE), bool))
SETTINGS = {"connectivity": 8, "left_out": LeftOut()}


def scene(defects, *, strip=False, specks=(), seed=0):
    """Even noise with bright squares, which the surface leaves out, and dull specks too."""
    rng = np.random.default_rng(seed)
    truth, surface = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    for row, column in defects:
        truth[row : row + 18, column : column + 22] = True
    for row, column in specks:
        surface[row : row + 7, column : column + 9] = False
    gray = 90 + 70 * truth + rng.normal(0, 4, SHAPE)
    surface &= ~truth
    if strip:
        gray[:, -8:] = 5
        surface[:, -8:] = False
    return gray.astype(np.uint8), surface, truth


def pieces(truth):
    """Return every component as a mask of its own, as candidates are."""
    labels, count = label(truth)
    return [labels == number for number in range(1, count + 1)]


@pytest.mark.parametrize("defects", [[(60, 80)], [(20, 30), (60, 120), (120, 150)]])
def test_every_defect_is_found_and_the_strip_is_not(defects):
    gray, surface, truth = scene(defects, strip=True, specks=[(100, 20)])
    pool = pool_of([surface, *pieces(truth)])
    found = robust_defect(gray, surface, pool, connectivity=8, left_out=LeftOut((0, 8, 0, 0)))
    assert scores(found.mask, truth).dice == 1
    assert 0.5 < found.confidence <= 1
    assert (found.reason, found.touches_edge) == ("", False)


def test_specks_that_look_like_the_surface_are_doubted():
    specks = [(row, column) for row in (20, 60, 100) for column in (30, 150)]
    gray, surface, _ = scene([], specks=specks)
    seen = judge_suspects(gray, surface, NONE, None, **SETTINGS)
    # Each is no defect, rather; that there is one at all stays possible.
    assert len(seen.boxes) == 6
    assert (PLAIN.logits(seen.features) < -0.5).all()
    assert robust_defect(gray, surface, NONE, **SETTINGS).confidence < 0.7
    assert ground_truth(surface[None]).mask.any()


def test_a_surface_without_holes_has_no_defect():
    gray, surface, _ = scene([])
    found = robust_defect(gray, surface, NONE, **SETTINGS)
    assert not found.mask.any()
    assert found.confidence == 1 - PLAIN.probability(np.empty(0))
    assert f"confidence {found.confidence:.2f}" in found.reason
    assert found.confidence > 0.5


def test_all_defects_are_found_where_the_paper_takes_the_largest():
    gray, surface, truth = scene([(20, 30), (60, 120)])
    assert scores(ground_truth(surface[None]).mask, truth).dice < 0.7
    pool = pool_of([surface, *pieces(truth)])
    assert scores(robust_defect(gray, surface, pool, **SETTINGS).mask, truth).dice == 1


def test_features_say_what_they_are_called():
    gray, surface, _ = scene([(60, 80), (60, 130)], strip=True, specks=[(100, 20)])
    found = judge_suspects(gray, surface, NONE, None, **SETTINGS)
    columns = dict(zip(LOOKS, found.features.T, strict=True))
    strip, one, other, speck = range(4)
    assert columns["size"].argmax() == strip
    assert columns["edge"][strip] > 1
    assert columns["edge"][one] == 0
    assert columns["contrast"][one] > columns["contrast"][speck] + 1
    assert columns["outline"][one] > columns["outline"][speck]
    np.testing.assert_allclose(columns["repetition"], np.log1p([0, 1, 1, 0]))
    assert columns["fill"][one] == columns["fill"][other] == 1


def test_a_component_that_is_a_candidate_is_believed_sooner():
    gray, surface, truth = scene([(60, 80), (60, 130)])
    one, other = pieces(truth)
    shifted = np.roll(other, 4, axis=1)
    alone = judge_suspects(gray, surface, NONE, None, **SETTINGS)
    seen = judge_suspects(gray, surface, pool_of([surface, one, shifted]), None, **SETTINGS)
    column = LOOKS.index("agreement")
    np.testing.assert_allclose(alone.features[:, column], 0)
    np.testing.assert_allclose(np.sort(seen.features[:, column]), [18 / 26, 1])
    np.testing.assert_array_equal(
        np.delete(seen.features, column, 1), np.delete(alone.features, column, 1)
    )
    assert (PLAIN.logits(seen.features) > PLAIN.logits(alone.features)).all()


def test_more_evidence_means_more_confidence():
    found = [SEEN.probability(np.array([-1.0, logit])) for logit in (-1.0, 0.0, 2.0, 9.0)]
    assert found == sorted(found)
    assert found[-1] > 0.9


def test_what_is_ignored_is_neither_a_defect_nor_the_surface_around_one():
    gray, surface, truth = scene([(20, 30), (60, 120)])
    pool = pool_of([surface, *pieces(truth)])
    ignored = np.zeros(SHAPE, bool)
    ignored[10:50, 20:70] = True
    settings = {"connectivity": 8, "left_out": LeftOut(region=ignored)}
    found = robust_defect(gray, surface, pool, **settings)
    np.testing.assert_array_equal(found.mask, truth & ~ignored)
    # A smear beside the defect, marked by a person, does not change how the defect looks.
    smeared = np.where(ignored, 255, gray).astype(np.uint8)
    assert robust_defect(smeared, surface, pool, **settings).confidence == found.confidence
    ignored |= truth
    assert not robust_defect(gray, surface, pool, **settings).mask.any()


def test_the_network_s_map_finds_what_the_surface_covers():
    gray, surface, truth = scene([(60, 80)])
    surface[:] = True
    pool = pool_of([surface])
    assert not robust_defect(gray, surface, pool, **SETTINGS).mask.any()
    logits = np.where(truth, 64, -80).astype(np.int8)
    # A speck is none, however sure the network is.
    logits[20:24, 20:24] = 100
    for shown in (logits, logits[::2, ::2]):
        found = robust_defect(gray, surface, replace(pool, defect_logits=shown), **SETTINGS)
        assert scores(found.mask, truth).dice > 0.95
        assert found.confidence > 0.8
        assert not found.mask[:40, :40].any()
    nothing = replace(pool, defect_logits=np.full(SHAPE, -80, np.int8))
    assert not robust_defect(gray, surface, nothing, **SETTINGS).mask.any()
    ignored = {"connectivity": 8, "left_out": LeftOut(region=truth)}
    shown = replace(pool, defect_logits=logits)
    assert not (robust_defect(gray, surface, shown, **ignored).mask & truth).any()
