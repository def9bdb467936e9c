from __future__ import annotations

import numpy as np
import pytest

from training import scenes


def test_at_least_five_hundred_scenes_are_held_out():
    assert sum(group.count for group in scenes.GROUPS) >= 500
    streams = {scenes.HELD_OUT_STREAM, scenes.VALIDATION_STREAM, scenes.TRAINING_STREAM}
    assert len(streams) == 3


def test_kinds_hold_what_their_name_says():
    found = list(scenes.validation(limit=2))
    assert len(found) == 2 * len(scenes.GROUPS)
    for kind, scene in found:
        regions = [region.kind for region in scene.regions]
        assert (kind == "no defect") == (not scene.defect.any())
        if kind.startswith("patterned"):
            assert "pattern" in regions
        if kind.startswith("plain"):
            assert "pattern" not in regions


def test_validation_differs_from_held_out():
    first = next(iter(scenes.validation(limit=1)))[1]
    other = next(iter(scenes.held_out(limit=1)))[1]
    assert not np.array_equal(first.image, other.image)


@pytest.mark.slow
def test_held_out_scenes_are_the_committed_ones():
    assert scenes.digest() == scenes.HELD_OUT_DIGEST
