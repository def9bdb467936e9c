"""Reviewed masks that look wrong, each planted in one way among forty that do not."""

import numpy as np
import pytest

from napari_semxai.algorithms.statistics.suspects import measured, suspicion

SHAPE = (72, 90)


def disc(row, column, radius):
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def scene(number, drawn=None, **known):
    """Measure the mask of a bright disc, or another mask in its place."""
    rng = np.random.default_rng(number)
    true = disc(*rng.uniform(26, 46, 2), rng.uniform(8, 11))
    pixels = rng.normal(90, 4, SHAPE) + 60 * true
    mask = true if drawn is None else drawn(true)
    known = {"overlap": rng.uniform(0.85, 0.95), "agreed": rng.uniform(0.85, 0.95), **known}
    return measured(pixels.clip(0, 255).astype(np.uint8), mask, "1", **known)


def shifted(mask):
    return np.roll(mask, (9, 9), (0, 1))


def overgrown(mask):
    row, column = (int(values.mean()) for values in np.nonzero(mask))
    return disc(row, column, 16)


def line(mask):
    thin = np.zeros(SHAPE, bool)
    thin[36:40, 5:85] = True
    return thin


def in_a_corner(mask):
    return disc(2, 2, 11)


def nothing(mask):
    return np.zeros(SHAPE, bool)


@pytest.mark.parametrize(
    ("drawn", "known", "reason"),
    [
        (shifted, {}, "soft edge along the outline"),
        (overgrown, {}, "size unlike its class"),
        (line, {}, "shape unlike its class"),
        (in_a_corner, {}, "place unlike its class"),
        (in_a_corner, {}, "touches the edge of the image"),
        (None, {"overlap": 0.1}, "unlike what was proposed or learned"),
        (None, {"agreed": 0.2}, "annotators disagree"),
        (None, {"alike": 1.0}, "a defect, but it looks like images without"),
        (nothing, {"overlap": 0.0}, "no defect, but one was proposed or learned"),
        (nothing, {"alike": 0.0}, "no defect, but it looks like images with one"),
    ],
)
def test_what_was_planted_stands_first_with_its_reason(drawn, known, reason):
    masks = [scene(number, alike=0.0) for number in range(36)]
    masks += [scene(number, nothing, overlap=1.0, agreed=1.0, alike=1.0) for number in range(4)]
    # One "no defect" among few is rare only where most of these have nothing proposed.
    masks += [scene(number, nothing, overlap=1.0, alike=1.0) for number in range(40, 52)]
    masks.append(scene(99, drawn, **{"alike": 0.0 if drawn is not nothing else 1.0, **known}))
    told = suspicion(masks)
    assert reason in told[-1][1]
    worst = max(range(len(told)), key=lambda number: told[number][0])
    assert worst == len(masks) - 1


def test_masks_alike_are_above_suspicion_and_what_is_unknown_says_nothing():
    same = scene(3, overlap=np.nan, agreed=np.nan)
    assert suspicion([same] * 12) == [(0, "")] * 12
    assert suspicion([]) == []
    (one,) = suspicion([scene(3, nothing, overlap=np.nan)])
    assert one == (0, "")


def test_a_class_of_few_has_no_usual_size():
    masks = [scene(number, alike=0.0) for number in range(6)]
    masks.append(scene(7, overgrown, alike=0.0))
    assert "size" not in suspicion(masks)[-1][1]
