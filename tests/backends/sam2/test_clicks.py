import numpy as np
import pytest

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import SceneSpec, make_scene
from napari_semxai.backends.sam2.clicks import answer_prompts, mask_logits
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.types import Prompts


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


def test_a_single_click_takes_the_best_of_three(segmenter, scene):
    point = centre_of(scene.defect)
    answer = answer_prompts(segmenter, scene.image, Prompts((point,), (True,)))
    three = segmenter.predict(scene.image, np.array([point]), np.array([1]))
    best = int(three.predicted_iou.argmax())
    np.testing.assert_array_equal(answer.mask, three.masks[best])
