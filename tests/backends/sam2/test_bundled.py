from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from skimage.io import imread

from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import SceneSpec, make_scene
from napari_semxai.backends.sam2.checkpoints import (
    BUNDLED_WEIGHTS,
    build_bundled,
    build_bundled_architecture,
    fit_feature_sizes,
    image_predictor,
)
from napari_semxai.backends.sam2.segmenter import generate_candidates
from napari_semxai.types import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")


@pytest.fixture(scope="module")
def network():
    return build_bundled()


@pytest.fixture(scope="module")
def scene():
    return make_scene(SceneSpec(radius=50, contrast=1.2, noise=2.0, strip=(0, 3, 0, 0)), 11)


@pytest.fixture(scope="module")
def predictor(network, scene):
    predictor = image_predictor(network)
    predictor.set_image(np.repeat(scene.image[:, :, None], 3, axis=2))
    return predictor


def inner(mask):
    rows, columns = np.nonzero(mask)
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return np.array([[columns[middle], rows[middle]]], np.float32)


def best_iou(masks, truth):
    masks = masks > 0
    return max((mask & truth).sum() / (mask | truth).sum() for mask in masks)


def test_weights_are_small_and_match_the_architecture():
    assert BUNDLED_WEIGHTS.stat().st_size <= 20e6
    state = load_file(BUNDLED_WEIGHTS)
    assert state.keys() == build_bundled_architecture().state_dict().keys()
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_one_click_finds_the_defect(predictor, scene):
    masks, scores, logits = predictor.predict(inner(scene.defect), np.array([1]))
    assert masks.shape == (3, *scene.image.shape)
    assert logits.shape == (3, 128, 128)
    assert np.all((scores >= 0) & (scores <= 1))
    assert best_iou(masks, scene.defect) > 0.7


def test_box_and_mask_prompt_find_the_defect(predictor, scene):
    rows, columns = np.nonzero(scene.defect)
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], np.float32)
    masks, _, logits = predictor.predict(box=box, multimask_output=False)
    assert best_iou(masks, scene.defect) > 0.6
    again, _, _ = predictor.predict(
        inner(scene.defect), np.array([1]), mask_input=logits, multimask_output=False
    )
    assert best_iou(again, scene.defect) > 0.7


@pytest.mark.slow
def test_reference_generator_runs_and_finds_the_surface(network, scene):
    generator = SAM2AutomaticMaskGenerator(
        network, points_per_side=6, pred_iou_thresh=0.3, stability_score_thresh=0.8
    )
    fit_feature_sizes(generator.predictor)
    found = generator.generate(np.repeat(scene.image[:, :, None], 3, axis=2))
    (surface,) = [region.mask for region in scene.regions if region.kind == "surface"]
    masks = np.stack([item["segmentation"] for item in found]).astype(bool)
    assert best_iou(masks, surface) > 0.85


@pytest.mark.slow
def test_real_particle_is_outlined_with_default_settings():
    folder = Path(__file__).parents[4] / "shared" / "data" / "real"
    if not folder.is_dir():
        pytest.skip("the real images are not here")
    image = imread(folder / "carinthia_a.png")
    truth = imread(folder / "carinthia_a_outline.png") > 127
    pool = generate_candidates(image)
    answer = ground_truth(pool, ignore_border=edge_strips(image))
    assert scores(answer.mask, truth).dice >= 0.88


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        build_bundled(tmp_path / "none.safetensors")


def test_damaged_weights_are_named(tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(BUNDLED_WEIGHTS.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged"):
        build_bundled(path)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="not weights of the bundled network"):
        build_bundled(path)
