import numpy as np
import pytest

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import SceneSpec, make_scene
from napari_semxai.backends.sam2.clicks import (
    AROUND,
    answer_prompts,
    answers,
    mask_logits,
    nearby,
    redrawn,
)
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.types import PredictedMask, Prompts
from training.prompting import click_ious


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter("bundled", device="cpu")


@pytest.fixture(scope="module")
def scene():
    return make_scene(SceneSpec(shape=(240, 240), radius=30), seed=3)


def centre_of(mask):
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())


def test_a_mask_prompt_is_certain_inside_and_outside_and_even_on_the_edge():
    mask = np.zeros((8, 8), dtype=bool)
    mask[:, 4:] = True
    np.testing.assert_allclose(mask_logits(mask, (4, 4))[0], [-10, -10, 10, 10])
    np.testing.assert_allclose(mask_logits(mask, (2, 1)), 0)


def test_boxes_find_plain_defects(segmenter):
    found = []
    for seed in range(5):
        scene = make_scene(SceneSpec(radius=40), seed=seed)
        rows, columns = np.nonzero(scene.defect)
        box = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        answer = answer_prompts(segmenter, scene.image, Prompts(box=box))
        assert 0 <= answer.predicted_iou <= 1.05
        found.append(scores(answer.mask, scene.defect).iou)
    assert np.median(found) > 0.8


def test_fine_strokes_outlive_a_click_that_does_not_mean_them(segmenter, scene):
    mask = scene.defect.copy()
    dots = np.zeros_like(mask)
    # Single pixels: nothing that the network's own mask could hold.
    dots[5, ::24] = True
    mask |= dots
    answer = answer_prompts(segmenter, scene.image, Prompts((centre_of(mask),), (True,)), mask)
    assert answer.mask[dots].all()


def test_a_single_click_takes_the_best_of_three(segmenter, scene, monkeypatch):
    monkeypatch.setattr(segmenter.defects, "meant", lambda *_: None)
    point = centre_of(scene.defect)
    answer = answer_prompts(segmenter, scene.image, Prompts((point,), (True,)))
    three = segmenter.predict(scene.image, np.array([point]), np.array([1]))
    best = int(three.predicted_iou.argmax())
    prompts = Prompts((point,), (True,))
    drawn, _ = redrawn(scene.image, three.masks[best], three.logits[best], prompts)
    np.testing.assert_array_equal(answer.mask, drawn)


def test_a_click_means_the_surface_last(segmenter, scene, monkeypatch):
    monkeypatch.setattr(segmenter.defects, "meant", lambda *_: None)
    prompts = Prompts((centre_of(scene.defect),), (True,))
    three = segmenter.predict(scene.image, np.array(prompts.points), np.array([1]))
    three.masks[0], three.logits[0], three.predicted_iou[:] = True, 9, (0.9, 0.4, 0.3)
    monkeypatch.setattr(segmenter, "predict", lambda *_, **__: three)
    drawn, _ = redrawn(scene.image, three.masks[1], three.logits[1], prompts)
    np.testing.assert_array_equal(answer_prompts(segmenter, scene.image, prompts).mask, drawn)
    # Where nothing else is offered it is the surface.
    three.masks[:], three.logits[:] = True, 9
    assert answer_prompts(segmenter, scene.image, prompts).predicted_iou == np.float32(0.9)


def test_a_click_may_mean_what_the_map_shows(segmenter, scene):
    prompts = Prompts((centre_of(scene.defect),), (True,))
    shown = segmenter.defects.meant(scene.image, prompts)
    three = segmenter.predict(scene.image, np.array(prompts.points), np.array([1]))
    found = answers(segmenter, scene.image, prompts)
    assert len(found) == 3
    assert sum((answer.mask == shown.mask).all() for answer in found) == 1
    # Instead of the one that the network thinks least of.
    kept = sorted(three.predicted_iou.tolist())[1:]
    assert sorted(answer.predicted_iou for answer in found) == sorted([*kept, shown.predicted_iou])
    best = answer_prompts(segmenter, scene.image, prompts)
    assert best.predicted_iou == max(answer.predicted_iou for answer in found)


@pytest.mark.parametrize(("stability", "taken"), [(1.2, True), (-0.2, False)])
def test_a_box_takes_what_the_map_shows_where_that_is_stabler(
    segmenter, scene, monkeypatch, stability, taken
):
    shown = PredictedMask(np.zeros_like(scene.defect), stability)
    monkeypatch.setattr(segmenter.defects, "meant", lambda *_: shown)
    (answer,) = answers(segmenter, scene.image, Prompts(box=(40.0, 40.0, 200.0, 200.0)))
    assert (answer is shown) == taken


def test_far_from_a_correction_the_object_stays():
    image = np.random.default_rng(0).normal(120, 5, (96, 192)).astype(np.uint8)
    mask = np.zeros(image.shape, dtype=bool)
    mask[40:56, 20:170] = True
    # The network has lost the right half.
    logits = np.where(mask, 3, -3).astype(np.float32)[::4, ::4]
    logits[:, 24:] = -3
    prompts = Prompts(((48.0, 90.0), (48.0, 25.0)), (True, False))
    drawn, _ = redrawn(image, mask, logits, prompts, mask)
    assert drawn[42:54, 120:165].all()
    assert not drawn[48, 25]


def test_an_answer_follows_the_picture_where_the_network_is_unsure():
    truth = np.zeros((96, 96), dtype=bool)
    truth[30:60, 30:60] = True
    image = np.where(truth, 180, 90).astype(np.uint8)
    # A blurred and shifted idea of the square, never far from even.
    logits = np.full((24, 24), -0.5, dtype=np.float32)
    logits[9:17, 8:14] = 0.5
    rough = np.zeros_like(truth)
    rough[36:68, 32:56] = True
    prompts = Prompts(((45.0, 45.0),), (True,))
    drawn, near = redrawn(image, rough, logits, prompts)
    assert scores(rough, truth).iou < 0.55
    assert scores(drawn, truth).iou > 0.85
    assert near[45, 45]
    assert not near[5, 5]


def test_a_correction_is_obeyed_as_far_as_the_outline():
    image = np.random.default_rng(0).normal(120, 5, (96, 96)).astype(np.uint8)
    mask = np.zeros((96, 96), dtype=bool)
    mask[30:60, 20:70] = True
    logits = np.where(mask[::4, ::4], 3, -3).astype(np.float32)
    # Ten pixels from the right end: the network stays with what it said.
    prompts = Prompts(((45.0, 30.0), (45.0, 60.0)), (True, False))
    drawn, near = redrawn(image, mask, logits, prompts, mask)
    assert not drawn[42:48, 56:64].any()
    assert drawn[40:50, 25:35].all()
    assert near[45, 60]


def test_what_is_outside_of_a_box_is_left_out():
    image = np.full((96, 96), 120, dtype=np.uint8)
    mask = np.zeros((96, 96), dtype=bool)
    mask[30:60, 20:70] = True
    logits = np.where(mask[::4, ::4], 3, -3).astype(np.float32)
    drawn, _ = redrawn(image, mask, logits, Prompts(box=(30, 20, 60, 50)))
    assert drawn[:, 22:50].any()
    assert not drawn[:, 58:].any()


def test_specks_are_left_out_unless_clicked_at():
    image = np.full((96, 96), 90, dtype=np.uint8)
    mask = np.zeros((96, 96), dtype=bool)
    mask[20:60, 20:60] = mask[75:82, 75:82] = True
    image[mask] = 180
    logits = np.where(mask[::2, ::2], 6, -6).astype(np.float32)
    clicked = Prompts(((40.0, 40.0), (78.0, 78.0)), (True, True))
    assert not redrawn(image, mask, logits, Prompts(((40.0, 40.0),), (True,)))[0][78, 78]
    assert redrawn(image, mask, logits, clicked)[0][78, 78]


def test_large_windows_are_reduced():
    truth = np.zeros((1800, 1400), dtype=bool)
    truth[300:1500, 200:1200] = True
    image = np.where(truth, 180, 90).astype(np.uint8)
    logits = np.where(truth[::50, ::50], 2, -2).astype(np.float32)
    drawn, _ = redrawn(image, truth, logits, Prompts(((900.0, 700.0),), (True,)))
    assert drawn.shape == truth.shape
    assert scores(drawn, truth).iou > 0.93


@pytest.mark.parametrize("answer", [np.zeros((48, 48), bool), np.ones((48, 48), bool)])
def test_an_answer_with_one_side_only_stays(answer):
    image = np.full((48, 48), 90, dtype=np.uint8)
    logits = np.where(answer[::4, ::4], 6, -6).astype(np.float32)
    drawn, near = redrawn(image, answer, logits, Prompts(((24.0, 24.0),), (True,)))
    np.testing.assert_array_equal(drawn, answer)
    assert not near.any()


def test_corrections_bring_the_bundled_network_nearer(segmenter):
    first, last = [], []
    for seed in range(3):
        scene = make_scene(SceneSpec(radius=30, pattern="lines"), seed=seed)
        values = click_ious(segmenter, scene.image, scene.defect, corrections=3)
        first.append(values[0])
        last.append(values[-1])
    assert np.mean(last) > np.mean(first)
    assert np.subtract(first, last).max() < 0.05


def test_a_click_on_the_defect_adds_and_one_off_it_takes_away(segmenter, scene):
    # Half of the defect, and as much beside it.
    mask = np.roll(scene.defect, int(np.ptp(np.nonzero(scene.defect)[1])) // 2, 1)
    missed, extra = scene.defect & ~mask, mask & ~scene.defect
    added, taken = (
        answer_prompts(segmenter, scene.image, Prompts((centre_of(part),), (asked,)), mask).mask
        for part, asked in ((missed, True), (extra, False))
    )
    assert not (mask & ~added).any()
    assert not (taken & ~mask).any()
    assert scores(added & missed, missed).recall > 0.5
    assert scores(extra & ~taken, extra).recall > 0.5


def test_a_correction_changes_nothing_far_off():
    mask = np.zeros((100, 200), bool)
    mask[20:40, 20:180] = True
    drawn = mask.copy()
    drawn[40:50, 20:30] = True
    drawn[42:46, 36:40] = True
    drawn[20:40, 170:180] = False
    prompts = Prompts(((30.0, 100.0), (44.0, 25.0)), (True, True))
    expected = drawn | mask
    np.testing.assert_array_equal(nearby(mask, drawn, prompts), expected)
    # The other end, by a click of its own; what lies just within reach of it comes along.
    away = Prompts((*prompts.points, (30.0, 175.0)), (True, True, False))
    np.testing.assert_array_equal(nearby(mask, drawn, away), drawn)
    reach = 2 * np.sqrt(200 / np.pi) + AROUND
    for gap, taken in ((2, True), (-2, False)):
        beside = mask.copy()
        beside[20:40, 170:180] = False
        beside[30, 175 - int(reach) + gap] = False
        found = nearby(mask, beside, Prompts(((30.0, 175.0),), (False,)))
        assert found[30, 175 - int(reach) + gap] != taken


def test_where_no_click_lies_in_a_change_all_of_it_counts():
    mask = np.zeros((60, 60), bool)
    mask[10:20, 10:20] = True
    drawn = np.roll(mask, 30, 1)
    for prompts in (Prompts(((5.0, 5.0),), (False,)), Prompts(box=(0.0, 0.0, 60.0, 60.0))):
        np.testing.assert_array_equal(nearby(mask, drawn, prompts), drawn)
    np.testing.assert_array_equal(nearby(mask, mask, Prompts(((15.0, 15.0),), (True,))), mask)


def test_official_networks_answer_as_they_are(segmenter, scene, monkeypatch):
    assert segmenter.redraws
    monkeypatch.setattr(segmenter, "redraws", False)
    point = centre_of(scene.defect)
    answer = answer_prompts(segmenter, scene.image, Prompts((point,), (True,)))
    three = segmenter.predict(scene.image, np.array([point]), np.array([1]))
    np.testing.assert_array_equal(answer.mask, three.masks[int(three.predicted_iou.argmax())])
