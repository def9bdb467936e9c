from __future__ import annotations

import numpy as np
import pytest

from napari_semxai.algorithms.synthetic import Region, Scene
from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene
from training import samples

SIZE = 128


@pytest.fixture
def _wide_only(monkeypatch):
    monkeypatch.setattr(samples, "WIDE", 1.0)


@pytest.mark.usefixtures("_wide_only")
def test_clicks_on_wide_scenes_mean_nested_regions_from_the_smallest_up():
    counts = []
    for seed in range(30):
        sample = samples.make_sample(seed, SIZE, 10)
        masks = np.unpackbits(sample.targets, axis=-1).astype(bool)
        for point, targets, valid in zip(sample.points, masks, sample.valid, strict=True):
            column, row = (int(part) // 2 for part in point)
            there = targets[valid]
            counts.append(len(there))
            areas = there.sum((1, 2))
            assert np.all(np.diff(areas) >= 0)
            near = (slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2))
            assert all(target[near].any() for target in there)
            distinct = {target.tobytes() for target in there}
            assert len(distinct) >= len(there) - 1
    assert np.mean(np.array(counts) >= 2) > 0.5
    assert np.mean(np.array(counts) == samples.TARGETS) > 0.08


def test_half_of_the_samples_are_of_the_wide_kinds(monkeypatch):
    made = []

    def make(kind, seed, shape):
        made.append(kind)
        return wide_scene(kind, seed, shape)

    monkeypatch.setattr(samples, "wide_scene", make)
    for seed in range(80):
        samples._draw_scene(np.random.default_rng(seed), 64)
    assert 25 <= len(made) <= 55
    assert len(set(made)) > len(WIDE_KINDS) / 2


def test_what_is_not_listed_is_neither_meant_nor_clicked():
    left = np.zeros((64, 64), bool)
    left[:, :32] = True
    regions = (Region("rest", left), Region("grain", ~left), Region("surface", left | ~left))
    scene = Scene(np.zeros((64, 64), np.uint8), np.zeros((64, 64), bool), 6, regions)
    masks = np.stack([region.mask for region in regions])
    points = samples._clicks(np.random.default_rng(0), scene, masks, 75)
    # A grain's neighbours that nobody listed are no surface, so few clicks fall there.
    assert np.mean(left[tuple(points.T)]) < 0.3
    assert not samples._wanted("rest", ["rest", "grain"])
    assert not samples._wanted("agglomerate", ["defect", "agglomerate"])


def test_dense_truth_tells_captions_and_patterns_from_defects():
    seen = np.zeros(3, bool)
    for seed in range(10):
        for kind in ("info bar", "holes"):
            scene = wide_scene(kind, seed, (SIZE, SIZE))
            masks = np.stack([region.mask for region in scene.regions])
            areas = masks.sum((1, 2))
            _, kinds = samples._dense(scene, np.ones(len(masks), bool), areas)
            assert np.array_equal(kinds[0], scene.defect[2::4, 2::4])
            assert not np.any(kinds[2] & (kinds[0] | kinds[1]))
            seen |= kinds.any((1, 2))
    assert seen.all()


def test_halving_keeps_what_fills_half_of_four_pixels():
    masks = np.random.default_rng(0).random((5, 32, 32)) < 0.4
    counted = masks.reshape(5, 16, 2, 16, 2).sum((2, 4))
    assert np.array_equal(samples._halved(masks), counted >= 2)
