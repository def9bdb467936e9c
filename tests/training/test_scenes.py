from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from training import scenes

WIDE_BEGINNING = "191701ba597fde184ea2e59d66de632a3848ab2a5008dde884eb1861652deb69"
"""Digest of the first wide scene of each kind."""


def test_at_least_five_hundred_scenes_are_held_out():
    assert sum(group.count for group in scenes.GROUPS) >= 500
    assert scenes.WIDE_COUNT * len(scenes.WIDE_KINDS) == 300
    assert scenes.WIDE_VALIDATION_COUNT * len(scenes.WIDE_KINDS) == 60
    streams = {
        scenes.HELD_OUT_STREAM,
        scenes.VALIDATION_STREAM,
        scenes.WIDE_HELD_OUT_STREAM,
        scenes.WIDE_VALIDATION_STREAM,
        scenes.TRAINING_STREAM,
    }
    assert len(streams) == 5


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


def test_wide_sets_hold_every_kind_and_differ():
    held_out, validation = (
        list(of(limit=1, wide=True)) for of in (scenes.held_out, scenes.validation)
    )
    assert [kind for kind, _ in held_out] == list(scenes.WIDE_KINDS)
    assert [kind for kind, _ in validation] == list(scenes.WIDE_KINDS)
    for (_, one), (_, other) in zip(held_out, validation, strict=True):
        assert one.image.shape == scenes.SHAPE
        assert not np.array_equal(one.image, other.image)


def digest_of(arguments):
    """Digest of held-out scenes, made with the matrix kernels that the digests were taken with.

    Other kernels round the last bit otherwise, and now and then a pixel by a grey level.
    """
    code = f"from training import scenes as s; print(s.digest(s.held_out({arguments})))"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"OPENBLAS_CORETYPE": "Haswell"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the digests' kernels are for x86-64")
def test_first_wide_scenes_are_the_committed_ones():
    assert digest_of("1, wide=True") == WIDE_BEGINNING


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the digests' kernels are for x86-64")
def test_held_out_scenes_are_the_committed_ones():
    assert digest_of("") == scenes.HELD_OUT_DIGEST
    assert digest_of("wide=True") == scenes.WIDE_DIGEST
