from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.ndimage import find_objects

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask, known_by
from napari_semxai.algorithms.algorithm1.evidence import (
    BESIDE,
    SAID,
    differing,
    seen_defects,
)
from napari_semxai.algorithms.algorithm1.reference import GREYS, SAME, Difference
from napari_semxai.algorithms.algorithm1.robust import gathered, robust_defect
from napari_semxai.algorithms.algorithm1.suspects import (
    COMPARED,
    LOOKS,
    SHOWN,
    Suspects,
    judge_suspects,
)
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import DEFECT_STEPS, AlgorithmSettings, LeftOut
from tests.pools import pool_of

SHAPE = (200, 240)
SETTINGS = {"connectivity": 8, "left_out": LeftOut()}


COLUMNS = (*LOOKS, *(f"{name} of the difference" for name in (*SAID, *SHOWN)), *BESIDE)


def judged(gray, pool, shown, left_out=SETTINGS["left_out"]):
    evidence, surface = differing(shown, left_out), pool.mask(0)
    return judge_suspects(gray, surface, pool, evidence, connectivity=8, left_out=left_out)


def mapped(pool, shown):
    """Return candidates with the network's map of what differs strongly, as they come."""
    odds = np.where(shown.strength > 8, 4, -6) * DEFECT_STEPS
    return replace(pool, compared_logits=odds.astype(np.int8))


def compared_defect(gray, surface, pool, shown, **settings):
    pool = mapped(pool, shown)
    evidence = partial(gathered, pool, settings["left_out"], shown)
    return robust_defect(gray, surface, pool, evidence=evidence, **settings)


def disc(row, column, radius):
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def lines():
    """Dark lines, one of which a bright particle lies on; the ground is the surface."""
    rng = np.random.default_rng(0)
    pattern = np.broadcast_to((np.arange(SHAPE[1]) % 60 < 22)[None], SHAPE).copy()
    particle = disc(100, 70, 14)
    gray = 140 - 60 * pattern
    gray = np.where(particle, 220, gray) + rng.normal(0, 4, SHAPE)
    return np.clip(gray, 0, 255).astype(np.uint8), pattern, particle


def difference(*masks, strength=9.0):
    values = np.abs(np.random.default_rng(1).normal(1, 0.1, SHAPE)).astype(np.float32)
    parts = np.zeros(SHAPE, np.int32)
    for number, mask in enumerate(masks, 1):
        parts[mask] = number
        values[mask] = strength
    signed = np.clip(SAME + GREYS * np.where(parts, values, 0), 0, 255).astype(np.uint8)
    return Difference(values, parts, 0.95, signed=signed)


def column(found, name):
    return found.features[:, COLUMNS.index(f"{name} of the difference")]


def test_what_differs_is_the_defect_though_the_pattern_is_large():
    gray, pattern, particle = lines()
    pool = pool_of([~pattern & ~particle, particle])
    found = compared_defect(gray, pool.mask(0), pool, difference(disc(100, 70, 13)), **SETTINGS)
    assert scores(found.mask, particle).dice > 0.9
    assert found.confidence > 0.8


def test_a_pattern_that_differs_nowhere_is_no_defect():
    gray, pattern, particle = lines()
    gray[particle] = 80
    pool = pool_of([~pattern])
    found = compared_defect(gray, pool.mask(0), pool, difference(), **SETTINGS)
    assert not found.mask.any()
    assert found.reason == f"nothing looks like a defect, confidence {found.confidence:.2f}"


def test_components_parts_and_candidates_on_them_are_judged():
    gray, pattern, particle = lines()
    elsewhere = disc(30, 200, 10)
    pool = pool_of([~pattern & ~particle, particle, elsewhere])
    found = judged(gray, pool, difference(disc(100, 70, 12)))
    # Four lines, of which one has the particle; the part; the candidate on it, not the other.
    assert len(found.boxes) == 6
    np.testing.assert_array_equal(column(found, "part"), [0, 0, 0, 0, 1, 0])
    whole = np.zeros(SHAPE, bool)
    whole[found.boxes[5]] = found.masks[5]
    np.testing.assert_array_equal(whole, particle)
    assert column(found, "coverage")[4] == 1
    assert column(found, "match")[4] == 1
    expected = scores(particle, disc(100, 70, 12)).iou
    assert column(found, "match")[5] == pytest.approx(expected)
    assert found.features[4, LOOKS.index("agreement")] == pytest.approx(expected)
    assert column(found, "inside")[5] > column(found, "around")[5] + 1
    assert column(found, "share")[4] == pytest.approx(1, abs=0.01)
    # The line that the particle lies on holds it all, and much that does not differ.
    assert column(found, "share")[0] > 0.9
    assert column(found, "coverage")[0] < 0.2
    assert not column(found, "share")[1:4].any()


def test_nothing_lies_in_the_ignored_border():
    gray, pattern, _ = lines()
    pool = pool_of([~pattern, disc(100, 235, 20)])
    found = judged(gray, pool, difference(disc(100, 235, 18)), LeftOut((0, 20, 0, 0)))
    assert all(box[1].stop <= SHAPE[1] - 20 for box in found.boxes)


def test_what_overlaps_with_a_better_one_is_left_out():
    one, two, apart = disc(60, 60, 20), disc(62, 60, 22), disc(150, 150, 9)
    full = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))
    found = Suspects([full] * 3, [one, two, apart], np.empty((3, len(COLUMNS))))
    assert found.chosen(np.array([1.0, 2.0, 0.5])) == [1, 2]
    # A defect is the strongest at least; the others must be likely by themselves.
    assert found.chosen(np.array([-1.0, -2.0, -0.5])) == [2]


def test_those_alike_draw_the_outline_together():
    left, middle, right = (disc(60, column, 20) for column in (57, 60, 63))
    every = (left, middle, right, disc(60, 60, 5))
    boxes = [find_objects(mask.astype(int))[0] for mask in every]
    masks = [mask[box] for mask, box in zip(every, boxes, strict=True)]
    found = Suspects(boxes, masks, np.empty((4, 1)))

    def outline(number, logits):
        drawn = np.zeros(SHAPE, bool)
        box, mask = found.mean_outline(number, np.array(logits))
        drawn[box] = mask
        return drawn

    np.testing.assert_array_equal(outline(0, [1.0, 1.0, 1.0, 9.0]), middle)
    # A likely one has the say of several; what is unlike has none.
    np.testing.assert_array_equal(outline(1, [-2.0, -2.0, 3.0, 9.0]), right)


def test_the_map_that_knows_the_reference_speaks_beside_the_difference():
    gray, pattern, particle = lines()
    logits = np.where(particle, 3 * DEFECT_STEPS, -3 * DEFECT_STEPS).astype(np.int8)
    pool, shown = pool_of([~pattern & ~particle, particle]), difference(disc(100, 70, 12))
    places = [COLUMNS.index(name) for name in BESIDE]
    evidence = gathered(replace(pool, compared_logits=logits), LeftOut(), shown)
    found = judge_suspects(gray, pool.mask(0), pool, evidence, **SETTINGS)
    # What the map draws is a suspect, too, before the candidate that is the same.
    drawn, candidate = found.features[-2:, places]
    np.testing.assert_allclose(drawn, [3, -3, 1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(candidate, [3, -3, 1, 1, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(found.masks[-2], found.masks[-1])
    itself = replace(shown, itself=True)
    alone = judged(gray, pool, itself)
    np.testing.assert_array_equal(alone.features[-1, places], [np.nan] * 4 + [0, 1])
    # Pools of earlier versions have no map.
    assert np.isfinite(COMPARED.logits(alone.features)).all()


def test_what_differs_beyond_doubt_is_taken_beside_a_defect_in_another_picture():
    gray, pattern, particle = lines()
    faint = disc(160, 170, 5)
    pool = pool_of([~pattern & ~particle, particle])
    seen = difference(disc(100, 70, 13), faint)
    for strength, itself, taken in ((6.0, False, True), (4.0, False, False), (6.0, True, False)):
        seen.strength[faint] = strength
        shown = replace(seen, itself=itself)
        found = compared_defect(gray, pool.mask(0), pool, shown, **SETTINGS)
        assert found.mask[100, 70]
        assert found.mask[160, 170] == taken


def test_the_automatic_mask_uses_a_difference_unless_it_says_why_not():
    gray, pattern, particle = lines()
    pool, image = pool_of([~pattern & ~particle, particle]), image_from_array(gray, "lines")
    settings = AlgorithmSettings(reference="self")
    seen = difference(disc(100, 70, 13))
    pool = mapped(pool, seen)

    def found(shown):
        known = known_by(settings, gray, LeftOut(), pool, shown)
        return automatic_mask(pool, image, settings, LeftOut(), known=known)

    assert scores(found(seen).mask, particle).dice > 0.9
    plain = automatic_mask(pool, image, settings, LeftOut())
    without = Difference(seen.strength, seen.parts, 0.2, "the reference does not match")
    for answer in (found(without), found(None)):
        np.testing.assert_array_equal(answer.mask, plain.mask)
        assert answer.confidence == plain.confidence


def test_nothing_lies_in_what_is_ignored():
    gray, pattern, _ = lines()
    pool = pool_of([~pattern, disc(100, 70, 13), disc(40, 200, 13)])
    ignored = np.zeros(SHAPE, bool)
    ignored[:, 180:] = True
    ignored[95:100] = True
    shown = difference(disc(100, 70, 13), disc(40, 200, 13))
    settings = {"connectivity": 8, "left_out": LeftOut(region=ignored)}
    found = judged(gray, pool, shown, settings["left_out"])
    assert found.boxes
    for box, mask in zip(found.boxes, found.masks, strict=True):
        assert not (mask & ignored[box]).any()
    assert not (compared_defect(gray, pool.mask(0), pool, shown, **settings).mask & ignored).any()


def test_parts_of_the_map_are_what_is_likely_and_faint_things_of_their_own():
    logits = np.full(SHAPE, -100, np.int8)
    logits[disc(60, 60, 24)] = -16
    logits[disc(60, 60, 14)] = 50
    logits[disc(150, 150, 12)] = -16
    logits[20, 200] = 50
    found = seen_defects(logits, SHAPE, LeftOut())
    assert len(found.boxes) == 2
    np.testing.assert_array_equal(found.parts == 1, disc(60, 60, 14))
    np.testing.assert_array_equal(found.parts == 2, disc(150, 150, 12))
    assert found.values[60, 60] == 50 / 16
    outside = seen_defects(logits, SHAPE, LeftOut(region=disc(60, 60, 30)))
    np.testing.assert_array_equal(outside.parts > 0, disc(150, 150, 12))


def test_a_mask_is_believed_by_the_map_that_drew_it():
    gray, pattern, particle = lines()
    logits = np.where(particle, 5 * DEFECT_STEPS, -6 * DEFECT_STEPS).astype(np.int8)
    pool = replace(pool_of([~pattern & ~particle, particle]), defect_logits=logits)
    found = robust_defect(gray, pool.mask(0), pool, **SETTINGS)
    assert found.stability == 1
    # Nobody knows of the rim.
    logits[disc(100, 70, 20) & ~particle] = -DEFECT_STEPS
    soft = robust_defect(gray, pool.mask(0), pool, **SETTINGS)
    assert soft.stability == pytest.approx(particle.sum() / disc(100, 70, 20).sum())
    # A difference is no probability.
    assert (
        compared_defect(gray, pool.mask(0), pool, difference(particle), **SETTINGS).stability
        is None
    )
