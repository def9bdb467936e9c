from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.synthetic import (
    LABELS,
    PATTERNS,
    SceneSpec,
    make_reference,
    make_scene,
    sample_spec,
    scene_of_class,
)

SMALL = (120, 136)


def kinds(scene):
    return {region.kind for region in scene.regions}


def masks_of(scene, kind):
    return [region.mask for region in scene.regions if region.kind == kind]


def test_same_seed_gives_the_same_scene_and_another_seed_another():
    spec = sample_spec(np.random.default_rng(5), SMALL)
    first, again, other = make_scene(spec, 7), make_scene(spec, 7), make_scene(spec, 8)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.defect, again.defect)
    assert [r.kind for r in first.regions] == [r.kind for r in again.regions]
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("label", LABELS)
def test_scene_of_class_has_the_label_and_a_defect_except_none(label):
    for seed in range(4):
        scene = scene_of_class(label, seed, SMALL)
        assert scene.label == label
        assert scene.image.shape == scene.defect.shape == SMALL
        assert scene.image.dtype == np.uint8
        assert scene.defect.dtype == bool
        assert (LABELS[label] == "none") == (not scene.defect.any())


def test_unknown_label_is_refused():
    with pytest.raises(ValueError, match="label 9"):
        make_scene(SceneSpec(shape=SMALL, label=9), 1)


@pytest.mark.parametrize("seed", range(25))
def test_regions_are_consistent(seed):
    rng = np.random.default_rng(seed)
    scene = make_scene(sample_spec(rng, SMALL), seed)
    assert all(region.mask.shape == SMALL and region.mask.any() for region in scene.regions)
    surface = np.logical_or.reduce([np.zeros(SMALL, bool), *masks_of(scene, "surface")])
    frame = np.logical_or.reduce(
        [np.zeros(SMALL, bool), *masks_of(scene, "edge_strip"), *masks_of(scene, "info_bar")]
    )
    defects = np.logical_or.reduce([np.zeros(SMALL, bool), *masks_of(scene, "defect")])
    assert np.array_equal(defects, scene.defect)
    assert np.all(surface.astype(int) + frame + defects == 1)
    for piece in (*masks_of(scene, "pattern_piece"), *masks_of(scene, "pattern")):
        assert not np.any(piece & ~surface)
    for part in masks_of(scene, "defect_part"):
        assert not np.any(part & ~scene.defect)


@pytest.mark.parametrize("pattern", [name for name in PATTERNS if name != "none"])
def test_pattern_and_ground_make_the_surface(pattern):
    spec = SceneSpec(shape=SMALL, label=1, radius=14, pattern=pattern)
    scene = make_scene(spec, 3)
    (surface,) = masks_of(scene, "surface")
    (union,) = masks_of(scene, "pattern")
    (ground,) = masks_of(scene, "ground")
    assert np.array_equal(union ^ ground, surface)
    for piece in masks_of(scene, "pattern_piece"):
        assert ndimage.label(piece)[1] == 1


def test_mask_is_exactly_what_was_painted():
    spec = SceneSpec(shape=SMALL, radius=16, noise=0.0, blur=0.01, tilt=0.0, bumps=0.0)
    changed, expected = np.zeros(SMALL), np.zeros(SMALL, bool)
    for seed in range(12):
        scene = make_scene(replace(spec, label=4), seed)
        level = np.median(scene.image[~scene.defect])
        inside = np.abs(scene.image[scene.defect].astype(float) - level)
        far = ~ndimage.binary_dilation(scene.defect, iterations=2)
        outside = np.abs(scene.image[far].astype(float) - level)
        changed[0, seed], expected[0, seed] = np.median(inside) - np.median(outside), True
    assert np.mean(changed[expected] > 4) > 0.8


def test_shadow_is_not_part_of_the_defect():
    spec = SceneSpec(shape=(200, 200), radius=30, noise=0.0, tilt=0.0, bumps=0.0, level=140)
    shaded = 0
    for seed in range(20):
        scene = make_scene(spec, seed)
        around = ndimage.binary_dilation(scene.defect, iterations=8) & ~scene.defect
        far = ~ndimage.binary_dilation(scene.defect, iterations=60)
        shaded += scene.image[around].mean() < scene.image[far].mean() - 2
    assert shaded >= 8


@pytest.mark.parametrize("strip", [(0, 3, 0, 0), (0, 0, 0, 6), (1, 0, 0, 0), (0, 0, 2, 0)])
def test_strips_are_near_black_and_found(strip):
    scene = make_scene(SceneSpec(shape=SMALL, radius=10, strip=strip, level=120), 2)
    (mask,) = masks_of(scene, "edge_strip")
    assert scene.image[mask].max() <= 15
    assert len(np.unique(scene.image[mask])) > 1
    assert not np.any(scene.defect & mask)
    assert edge_strips(scene.image) == strip


def test_sampled_descriptions_cover_labels_patterns_and_sizes():
    rng = np.random.default_rng(0)
    specs = [sample_spec(rng) for _ in range(400)]
    assert {spec.label for spec in specs} == set(LABELS)
    assert {spec.pattern for spec in specs} == set(PATTERNS)
    assert all((spec.label == 6) == (spec.defects == 0) for spec in specs)
    shares = [np.pi * spec.radius**2 / 480**2 for spec in specs]
    assert min(shares) < 0.002
    assert max(shares) > 0.12
    assert 0.008 < np.median(shares) < 0.03
    assert any(spec.strip != (0, 0, 0, 0) for spec in specs)


def test_jpeg_artefacts_need_no_file_and_keep_the_shape():
    spec = SceneSpec(shape=SMALL, noise=8.0)
    plain, rough = make_scene(spec, 4).image, make_scene(replace(spec, jpeg=30), 4).image
    assert plain.shape == rough.shape
    assert 0 < np.abs(plain.astype(int) - rough).mean() < 12


def test_light_can_be_fixed_and_changes_nothing_else():
    drawn = make_scene(SceneSpec(label=4, radius=40), seed=2)
    fixed = [make_scene(SceneSpec(label=4, radius=40, light=light), seed=2) for light in (0, 3.1)]
    np.testing.assert_array_equal(drawn.defect, fixed[0].defect)
    np.testing.assert_array_equal(drawn.defect, fixed[1].defect)
    bumps = [
        make_scene(SceneSpec(radius=40, light=light, noise=0), seed=2).image.astype(int)
        for light in (0, np.pi)
    ]
    difference = bumps[0] - bumps[1]
    assert np.abs(difference[drawn.defect]).mean() > 3


def test_a_reference_is_the_same_place_without_the_defects():
    # What follows the defects is drawn the same: a footprint, and the pattern's brightness.
    for pattern, label in (("lines", 5), ("holes", 1), ("traces", 3), ("none", 4)):
        spec = SceneSpec(
            SMALL, label, pattern=pattern, radius=12, noise=0.5, blur=0.8, bumps=0, footprint=25
        )
        scene, reference = make_scene(spec, 8), make_reference(spec, 8)
        one, other = scene.image.astype(float), reference.astype(float)
        shift = np.random.default_rng([8, 1]).uniform(-6, 6, 2)
        back = ndimage.shift(other, -shift, order=1)
        inner = np.s_[14:-14, 14:-14]
        calm = ~ndimage.binary_dilation(scene.defect, iterations=14)[inner]
        gain, offset = np.polyfit(back[inner][calm], one[inner][calm], 1)
        rest = np.abs(one - gain * back - offset)[inner]
        assert np.median(rest[calm]) < 3
        assert np.median(rest[scene.defect[inner]]) > 3 * np.median(rest[calm])


def test_references_differ_from_shot_to_shot_and_end_in_black_strips():
    spec = SceneSpec(SMALL, pattern="lines")
    one, again, other = (make_reference(spec, 3, shot) for shot in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.5
    assert sum(edge_strips(one)) > 0
