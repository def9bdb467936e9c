"""Defects of a mask one by one: found, removed, kept, joined, split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_semxai.algorithms.masks.components import (
    components_at,
    find_defects,
    join_defects,
    keep_defects,
    remove_defects,
    split_defects,
)

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def seeds(*defects) -> np.ndarray:
    return np.array([one.seed for one in defects])


def disc(row: int, column: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[:60, :80]
    return np.hypot(rows - row, columns - column) < radius


@settings(deadline=None)
@given(MASKS)
def test_defects_are_the_components_of_a_mask(mask) -> None:
    defects = find_defects(mask)
    assert [one.number for one in defects] == list(range(1, len(defects) + 1))
    together = np.zeros_like(mask)
    for one in defects:
        part = components_at(mask, seeds(one))
        assert np.array_equal(one.part_of(mask), part)
        row0, column0, row1, column1 = one.box
        assert part[one.seed]
        assert part.sum() == one.area == part[row0:row1, column0:column1].sum()
        assert part[row0].any()
        assert part[:, column1 - 1].any()
        assert not (together & part).any()
        together |= part
    assert np.array_equal(together, mask)


@settings(deadline=None)
@given(MASKS, st.data())
def test_what_is_removed_and_what_is_kept_are_the_mask(mask, data) -> None:
    defects = find_defects(mask)
    chosen = [one for one in defects if data.draw(st.booleans())]
    if not chosen:
        return
    kept, left = keep_defects(mask, seeds(*chosen)), remove_defects(mask, seeds(*chosen))
    assert np.array_equal(kept | left, mask)
    assert not (kept & left).any()
    assert kept.sum() == sum(one.area for one in chosen)


@settings(deadline=None)
@given(MASKS)
def test_all_that_are_joined_are_one(mask) -> None:
    defects = find_defects(mask)
    if len(defects) > 1:
        joined = join_defects(mask, seeds(*defects))
        assert joined[mask].all()
        assert len(find_defects(joined)) == 1


def test_a_bridge_is_short_and_narrow() -> None:
    mask = disc(30, 20, 8) | disc(30, 60, 8)
    joined = join_defects(mask, seeds(*find_defects(mask)))
    bridge = joined & ~mask
    assert find_defects(bridge)[0].box[0] >= 24
    assert bridge.sum() == pytest.approx(3 * 25, abs=12)


def test_two_discs_that_touch_are_cut_at_their_waist() -> None:
    mask = disc(30, 25, 14) | disc(30, 50, 14)
    parts = find_defects(split_defects(mask, seeds(*find_defects(mask))))
    assert len(parts) == 2
    assert sum(one.area for one in parts) > 0.97 * mask.sum()
    assert parts[0].area == pytest.approx(parts[1].area, rel=0.1)


@pytest.mark.parametrize("mask", [disc(30, 40, 15), disc(30, 40, 1), disc(0, 0, 5)])
def test_what_has_no_waist_stays_whole(mask) -> None:
    assert np.array_equal(split_defects(mask, seeds(*find_defects(mask))), mask)


def test_only_the_chosen_one_is_split() -> None:
    mask = disc(15, 15, 8) | disc(15, 28, 8)
    mask[40:, 40:50] = True
    parted = split_defects(mask, np.array([[45, 45]]))
    assert np.array_equal(parted[:30], mask[:30])
