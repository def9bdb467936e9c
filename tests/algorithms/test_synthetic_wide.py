from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene
from napari_semxai.algorithms.synthetic.wide.materials import cells
from napari_semxai.algorithms.synthetic.wide.plates import PLATES, Plate, write
from napari_semxai.algorithms.synthetic.wide.scene import draw_bar, write_over

SMALL = (120, 136)
WHOLES = {
    "grain_part": ("grain",),
    "facet": ("object",),
    "clump_part": ("clump",),
    "hole_floor": ("object", "pattern_piece"),
    "pad": ("pattern_piece",),
    "pattern_piece": ("pattern",),
    "ground_piece": ("ground",),
    "defect_part": ("defect",),
    "inclusion": ("surface",),
    "grain": ("surface",),
    "object": ("surface",),
    "clump": ("surface",),
    "pattern": ("surface",),
    "ground": ("surface",),
    "material": ("surface",),
}
"""What each part lies in: the union of these."""
ON_THE_PICTURE = {"info_bar", "text", "text_block", "bar_cell", "scale_bar", "logo", "edge_strip"}


def union(scene, *kinds):
    masks = [region.mask for region in scene.regions if region.kind in kinds]
    return np.logical_or.reduce([np.zeros(scene.image.shape, bool), *masks])


def scenes(count):
    for kind in WIDE_KINDS:
        for seed in range(count):
            yield wide_scene(kind, seed, SMALL)


@pytest.mark.parametrize("kind", WIDE_KINDS)
def test_same_arguments_give_the_same_scene_and_another_seed_another(kind):
    first, again, other = (wide_scene(kind, seed, SMALL) for seed in (7, 7, 8))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.defect, again.defect)
    assert [r.kind for r in first.regions] == [r.kind for r in again.regions]
    assert all(
        np.array_equal(a.mask, b.mask) for a, b in zip(first.regions, again.regions, strict=True)
    )
    assert not np.array_equal(first.image, other.image)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'clouds'"):
        wide_scene("clouds", 1)


@pytest.mark.parametrize("kind", WIDE_KINDS)
def test_every_pixel_is_surface_defect_or_on_the_picture(kind):
    for seed in range(8):
        scene = wide_scene(kind, seed, SMALL)
        assert scene.image.shape == scene.defect.shape == SMALL
        assert scene.image.dtype == np.uint8
        for region in scene.regions:
            assert region.mask.shape == SMALL
            assert region.mask.dtype == bool
            assert region.mask.any()
        assert np.array_equal(union(scene, "defect"), scene.defect)
        owners = union(scene, "surface").astype(int) + union(scene, *ON_THE_PICTURE)
        # A part in the dark is no defect that anybody could see.
        assert np.all(owners + scene.defect == 1)
        assert (scene.label == 6) == (not scene.defect.any())


@pytest.mark.parametrize("kind", WIDE_KINDS)
def test_parts_lie_in_their_wholes(kind):
    for seed in range(12):
        scene = wide_scene(kind, seed, SMALL)
        for part, wholes in WHOLES.items():
            listed = union(scene, *wholes, "rest")
            if any(region.kind in wholes for region in scene.regions):
                assert not np.any(union(scene, part) & ~listed), (part, seed)


def test_regions_of_one_level_do_not_overlap():
    for scene in scenes(4):
        for kind in ("object", "facet", "clump_part", "pattern_piece", "pad", "clump"):
            masks = [region.mask for region in scene.regions if region.kind == kind]
            if masks:
                assert np.sum(masks, axis=0).max() == 1, kind


def test_every_kind_of_region_and_defect_appears_and_levels_are_nested():
    seen, depths = set(), []
    for scene in scenes(12):
        seen |= {region.kind for region in scene.regions}
        masks = np.stack([r.mask for r in scene.regions if r.kind != "rest"])
        depths.append(masks.sum(0).max())
    own = {"particle", "pit", "scratch", "residue", "agglomerate", "dendrite", "void"}
    assert seen >= set(WHOLES) | ON_THE_PICTURE | own | {"defect", "surface", "rest"}
    assert np.median(depths) >= 3


def test_most_scenes_have_a_defect_and_some_have_none():
    share = np.mean([scene.defect.any() for scene in scenes(4)])
    assert 0.6 < share < 0.97


def test_a_scene_of_the_kind_info_bar_has_a_caption():
    for seed in range(12):
        assert union(wide_scene("info bar", seed, SMALL), "text", "info_bar").any()


@pytest.mark.parametrize("name", PLATES)
def test_plates_hold_text_and_scale_bar_where_their_boxes_say(name):
    plate = Plate(np.random.default_rng(3), np.zeros((40, 500), np.float32))
    PLATES[name](plate)
    assert {"text", "scale_bar"} <= {kind for kind, _, _ in plate.boxes}
    assert 0 <= plate.ink.min() < plate.ink.max() <= 1
    outside = plate.ink.copy()
    for kind, rows, columns in plate.boxes:
        if kind in ("text", "scale_bar", "logo"):
            assert plate.ink[rows, columns].max() > 0.3
        outside[rows, columns] = 0
    assert np.mean(outside > 0) < 0.02


def test_bar_changes_its_own_rows_only():
    image = np.full((200, 300), 90, np.float32)
    bar, *parts = draw_bar(np.random.default_rng(0), image)
    assert bar.kind == "info_bar"
    assert np.all(image[~bar.mask] == 90)
    assert all(not np.any(part.mask & ~bar.mask) for part in parts)


def test_caption_over_the_picture_changes_its_boxes_only():
    for seed in range(20):
        image = np.full((240, 320), 90, np.float32)
        regions = write_over(np.random.default_rng(seed), image)
        box = np.logical_or.reduce([region.mask for region in regions])
        # Rules and outlines of letters may reach beyond the boxes by a little.
        far = ~ndimage.binary_dilation(box, iterations=3)
        assert np.mean(image[far] != 90) < 0.01


def test_cells_fill_the_plane_each_around_its_seed():
    labels, seeds = cells(np.random.default_rng(1), (90, 110), 20)
    assert labels.min() >= 1
    rows, columns = np.indices(labels.shape)
    distance = np.hypot(rows[..., None] - seeds[1:, 0], columns[..., None] - seeds[1:, 1])
    nearest = np.take_along_axis(distance, labels[..., None].astype(int) - 1, -1)[..., 0]
    assert np.allclose(nearest, distance.min(-1))


def test_letters_differ_and_scale():
    assert write("0O8B", 14, 10, False).shape[0] == 14
    assert not np.array_equal(write("8", 14, 10, False), write("B", 14, 10, False))
    assert write("I", 20, 12, True).sum() > write("I", 20, 12, False).sum()
