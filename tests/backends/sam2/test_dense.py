from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from skimage.transform import resize

from napari_semxai.algorithms.algorithm1.reference import compare
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import (
    SceneSpec,
    make_reference,
    make_scene,
    scene_of_class,
)
from napari_semxai.backends.sam2 import image as sam2_image
from napari_semxai.backends.sam2.dense import EDGE, DefectFinder, encoded
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.types import DEFECT_STEPS, GenerateSettings, Prompts

QUICK = GenerateSettings(points_per_side=4)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter("bundled", device="cpu")


def last_pool(updates):
    return [update.pool for update in updates if update.pool is not None][-1]


def test_the_map_shows_the_defect_and_nothing_where_there_is_none(segmenter):
    scene = scene_of_class(1, 3)
    logits = segmenter.defects.of(scene.image)
    assert logits.dtype == np.int8
    assert scores(logits > 0, scene.defect).dice > 0.8
    assert logits[~scene.defect].mean() < -3 * DEFECT_STEPS
    nothing = np.random.default_rng(0).normal(120, 8, (240, 240)).astype(np.uint8)
    assert (segmenter.defects.of(nothing) < 0).all()


def test_candidates_carry_the_map_and_encode_the_image_once(segmenter, monkeypatch):
    image = scene_of_class(1, 4, shape=(160, 200)).image
    calls = []
    encode = sam2_image.encode
    monkeypatch.setattr(sam2_image, "encode", lambda *values: calls.append(1) or encode(*values))
    monkeypatch.setattr(
        "napari_semxai.backends.sam2.dense.encoded",
        lambda *values: calls.append(2) or encoded(*values),
    )
    pools = [u.pool for u in segmenter.generate(image, QUICK) if u.pool is not None]
    assert calls == [1]
    # The first one already: a mask that is shown early is judged as the last one.
    for pool in (*pools, segmenter.found(image, QUICK), pools[-1].take(np.array([0]))):
        np.testing.assert_array_equal(pool.defect_logits, segmenter.defects.of(image))
    afresh = Segmenter.from_network(segmenter.network, segmenter.info)
    np.testing.assert_array_equal(afresh.defects.of(image), pools[-1].defect_logits)
    assert calls == [1, 2]


def test_networks_of_others_come_with_the_bundled_map(segmenter):
    image = scene_of_class(1, 5, shape=(160, 200)).image
    other = SimpleNamespace(image_encoder=SimpleNamespace(trunk=None))
    images = SimpleNamespace(seen=lambda image: pytest.fail("what another trunk sees was used"))
    found = DefectFinder(other, images).of(image)
    np.testing.assert_array_equal(found, segmenter.defects.of(image))


@pytest.mark.parametrize("factor", [4, 1 / 4])
def test_the_map_is_drawn_at_the_size_of_the_training(segmenter, factor):
    scene = scene_of_class(1, 3)
    image = resize(scene.image[:320], (320 * factor, 480 * factor), 1, preserve_range=True)
    logits = segmenter.defects.of(image.astype(np.uint8))
    assert logits.shape == (320, EDGE)
    assert scores(logits > 0, scene.defect[:320]).dice > 0.8


def test_small_defects_of_small_images_are_seen_beside_a_reference(segmenter):
    lines = 90.0 + 60 * (np.indices((80, 80))[1] // 8 % 2)
    truth = np.zeros((80, 80), bool)
    truth[30:38, 41:49] = True
    noise = np.random.default_rng(0).normal(0, 4, (2, 80, 80))
    image, reference = (
        (lines + one + spot * truth).astype(np.uint8)
        for one, spot in zip(noise, (60, 0), strict=True)
    )
    seen = segmenter.defects.of(image, compare(image, (0, 0, 0, 0), reference))
    assert scores(seen > 0, truth.repeat(6, 0).repeat(6, 1)).dice > 0.8


def test_colours_are_seen_as_grey(segmenter):
    image = scene_of_class(1, 6, shape=(160, 200)).image
    colours = np.dstack([image] * 3)
    assert last_pool(segmenter.generate(colours, QUICK)).defect_logits.shape == (384, 480)
    afresh = Segmenter.from_network(segmenter.network, segmenter.info)
    np.testing.assert_array_equal(afresh.defects.of(colours), segmenter.defects.of(image))


def test_beside_a_reference_the_map_knows_what_differs(segmenter):
    spec = SceneSpec(pattern="holes", noise=5.0, radius=20, contrast=1.2)
    scene, reference = make_scene(spec, 5), make_reference(spec, 5)
    edges = (7, 7, 7, 7)
    difference = compare(scene.image, edges, reference, edges)
    seen = segmenter.defects.of(scene.image, difference)
    assert scores(seen > 0, scene.defect).dice > 0.9
    pools = [u.pool for u in segmenter.generate(scene.image, QUICK, difference) if u.pool]
    for pool in (*pools, pools[-1].take(np.array([0]))):
        np.testing.assert_array_equal(pool.compared_logits, seen)
        np.testing.assert_array_equal(pool.defect_logits, segmenter.defects.of(scene.image))
    afresh = Segmenter.from_network(segmenter.network, segmenter.info)
    only = last_pool(afresh.generate(scene.image, QUICK, difference, mapped=False))
    assert only.defect_logits is None
    np.testing.assert_array_equal(only.compared_logits, seen)


def test_what_could_not_be_compared_is_seen_alone(segmenter):
    image = scene_of_class(1, 8, shape=(160, 200)).image
    without = compare(image, (0, 0, 0, 0), np.roll(image, 40, 0)[:100])
    assert without.reason
    pool = last_pool(segmenter.generate(image, QUICK, without, mapped=False))
    np.testing.assert_array_equal(pool.defect_logits, segmenter.defects.of(image))
    assert pool.compared_logits is None


def test_where_nothing_differs_only_the_trunk_sees_the_difference(segmenter, monkeypatch):
    spec = SceneSpec(pattern="holes", noise=5.0, radius=20, contrast=1.2)
    scene, reference = make_scene(spec, 5), make_reference(spec, 5)
    edges = (7, 7, 7, 7)
    difference = compare(scene.image, edges, reference, edges)
    nothing = replace(difference, parts=np.zeros_like(difference.parts))
    afresh = Segmenter.from_network(segmenter.network, segmenter.info)
    expected = afresh.defects.of(scene.image, difference)
    afresh = Segmenter.from_network(segmenter.network, segmenter.info)
    monkeypatch.setattr(sam2_image, "encode", lambda *values: pytest.fail("it is asked about"))
    np.testing.assert_array_equal(afresh.defects.of(scene.image, nothing), expected)


@pytest.mark.parametrize("size", [480, 720])
def test_what_the_map_shows_at_a_click_and_in_a_box(segmenter, size):
    scene = scene_of_class(1, 3)
    image = resize(scene.image, (size, size), preserve_range=True).astype(np.uint8)
    truth = resize(scene.defect, (size, size), order=0)
    rows, columns = np.nonzero(truth)
    clicked = segmenter.defects.meant(image, Prompts(((rows.mean(), columns.mean()),), (True,)))
    assert clicked.mask.shape == image.shape
    assert scores(clicked.mask, truth).dice > 0.8
    assert 0.5 < clicked.predicted_iou <= 1
    # The box cuts off the right half.
    box = (rows.min() - 5, columns.min() - 5, rows.max() + 6, columns.mean())
    boxed = segmenter.defects.meant(image, Prompts(box=box))
    left = np.arange(size) < columns.mean()
    assert scores(boxed.mask, truth & left).dice > 0.7
    assert not boxed.mask[:, int(columns.mean()) + 2 :].any()


def test_the_map_shows_nothing_at_background_and_to_several_clicks(segmenter):
    scene = scene_of_class(1, 3)
    row, column = np.argwhere(scene.defect).mean(axis=0)
    defect, corner = (row, column), (2.0, 479.9)
    for prompts in (
        Prompts((corner,), (True,)),
        Prompts((defect,), (False,)),
        Prompts((defect, corner), (True, False)),
        Prompts((defect,), (True,), (0.0, 0.0, 480.0, 480.0)),
        Prompts(box=(0.0, 470.0, 10.0, 480.0)),
        Prompts(box=(-9.0, -9.0, -1.0, -1.0)),
    ):
        assert segmenter.defects.meant(scene.image, prompts) is None
