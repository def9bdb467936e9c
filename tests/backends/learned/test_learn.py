from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from napari_semxai.algorithms.algorithm1.evidence import stability
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.backends.learned import learn
from napari_semxai.backends.learned.learn import fit_calibration, learn_steps, todays_mask
from napari_semxai.backends.learned.network import Calibration, LearnedNetwork, decided
from napari_semxai.backends.learned.train import _loss
from napari_semxai.backends.sam2.dense import bundled_head
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.cli.works.masks import Pipeline
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.learned import read_version, version_in_use
from napari_semxai.types import (
    IGNORED,
    AlgorithmSettings,
    GenerateSettings,
    InputError,
    MaskSettings,
    Progress,
)
from napari_semxai.types.learned import LearnedVersion, LearnRequest
from tests.learned import QUICK, SHAPE, lot, reviewed_project


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(learn, "features_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(
        learn, "todays_mask", lambda _, image, _s: ~np.zeros(image.gray.shape, bool)
    )
    return tmp_path / "cache"


def learned(folder, settings=QUICK):
    (*updates, version) = learn_steps(LearnRequest(folder, settings))
    assert all(isinstance(update, Progress) for update in updates)
    assert isinstance(version, LearnedVersion)
    return version


def test_a_project_is_learned_and_the_network_used_where_it_is_better(tmp_path, cache):
    with reviewed_project(tmp_path) as project:
        version = learned(project.folder)
    assert version.verdict.better, version.verdict.reason
    assert version_in_use(project.folder) == version
    card = version.card
    assert [one["id"] for one in card["images"]] == [f"i{n:02}" for n in range(12)]
    assert card["annotator"] == "consensus"
    assert all(0 <= one["dice"] <= 1 for one in card["images"])
    assert card["settings"]["steps"] == QUICK.steps
    assert list(cache.iterdir()) == []

    network = LearnedNetwork.load(version.path)
    assert network.sha256 == version.sha256
    pixels, truth = lot(13)
    answer = network.answer(pixels)
    assert answer.mask.shape == SHAPE
    assert scores(answer.mask, truth).dice > 0.8
    assert answer.confidence > 0.5
    strange = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    assert network.answer(strange).unlike > 2 * answer.unlike


def test_stopped_and_asked_again_it_goes_on_and_ends_with_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setattr(learn, "_SAVE_EVERY", 2)
    settings = replace(QUICK, steps=4)
    with reviewed_project(tmp_path / "a") as project:
        steps = learn_steps(LearnRequest(project.folder, settings))
        for update in steps:
            if update.stage == "Training" and update.done >= 5:
                break
        steps.close()
        (*updates, version) = learn_steps(LearnRequest(project.folder, settings))
    stages = [(update.stage, update.done) for update in updates]
    assert not any(stage == "Features" for stage, _ in stages)
    # Both folds had taken two steps when the state was saved last.
    assert next(done for stage, done in stages if stage == "Training") == 4
    first = LearnedNetwork.load(version.path).heads[0].state_dict()
    with reviewed_project(tmp_path / "b") as project:
        again = LearnedNetwork.load(learned(project.folder, settings).path).heads[0].state_dict()
    assert all(bool((first[name] == again[name]).all()) for name in first)


def test_learning_begins_as_the_map_of_defects(tmp_path):
    with reviewed_project(tmp_path) as project:
        version = learned(project.folder, replace(QUICK, steps=1, rate=0.0))
    network = LearnedNetwork.load(version.path)
    head, grey = bundled_head()
    assert network.grey == pytest.approx(grey)
    for name, value in head.state_dict().items():
        torch.testing.assert_close(network.heads[0].state_dict()[name], value)


def test_of_many_unknown_proposals_a_random_part_is_made(tmp_path, monkeypatch):
    made = []

    def propose(_, image, _settings):
        made.append(image)
        return np.zeros(image.gray.shape, dtype=bool)

    monkeypatch.setattr(learn, "todays_mask", propose)
    monkeypatch.setattr(learn, "MOST_PROPOSALS", 1)
    monkeypatch.setattr(learn, "MOST_JUDGED", 10)
    with reviewed_project(tmp_path, judged=False) as project:
        version = learned(project.folder, replace(QUICK, steps=1))
    assert version.verdict.rows[0].images == 10
    assert version.images == 12
    assert 1 <= len(made) <= 3


def test_the_time_left_counts_the_proposals_that_are_made_anew(tmp_path, monkeypatch):
    now = [0.0]

    def propose(_, image, _settings):
        now[0] += 10.0
        return np.zeros(image.gray.shape, dtype=bool)

    monkeypatch.setattr(learn, "todays_mask", propose)
    monkeypatch.setattr(learn, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with reviewed_project(tmp_path, judged=False) as project:
        steps = learn_steps(LearnRequest(project.folder, replace(QUICK, steps=1)))
        left = {}
        for update in steps:
            if update.stage == "Features":
                break
            left[update.done] = update.seconds_left
        steps.close()
    # The first, the fifth and the ninth are told by no recipe.
    assert (left[0], left[1], left[4], left[5], left[8], left[9]) == (None, 20, 20, 10, 10, 0)


@pytest.mark.parametrize("stage", ["Features", "Judge"])
def test_the_time_left_is_told_from_the_second_image_on(tmp_path, monkeypatch, stage):
    monkeypatch.setattr(learn, "time", SimpleNamespace(monotonic=count().__next__))
    with reviewed_project(tmp_path) as project:
        steps = learn_steps(LearnRequest(project.folder, replace(QUICK, steps=1)))
        told = [step for step in steps if getattr(step, "stage", "") == stage]
    assert [step.done for step in told] == list(range(12))
    assert told[0].seconds_left is None
    assert [step.seconds_left for step in told[1:]] == list(range(11, 0, -1))


def test_proposals_that_were_made_before_a_cancel_are_kept(tmp_path, monkeypatch):
    made = []

    def propose(_, image, _settings):
        made.append(image.name)
        return np.zeros(image.gray.shape, dtype=bool)

    monkeypatch.setattr(learn, "todays_mask", propose)
    request = replace(QUICK, steps=1)
    with reviewed_project(tmp_path, judged=False) as project:
        steps = learn_steps(LearnRequest(project.folder, request))
        for update in steps:
            if update.stage == "Today's proposals" and update.done == 6:
                break
        steps.close()
        assert made == ["i00", "i04"]
        learned(project.folder, request)
    # All others are in their recipes.
    assert made == ["i00", "i04", "i08"]


def test_no_proposal_that_was_judged_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(learn, "todays_mask", None)
    with reviewed_project(tmp_path) as project:
        learned(project.folder, replace(QUICK, steps=1))


def test_todays_proposal_is_compared_with_the_reference_as_in_semxai_mask(tmp_path):
    rng = np.random.default_rng(0)
    lines = 90 + 60 * (np.indices((240, 240))[1] // 12 % 2)
    for name, spot in (("a_reference", 0), ("a", 90)):
        pixels = lines + rng.normal(0, 4, lines.shape)
        pixels[120:132, 90:102] += spot
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    image = read_image(tmp_path / "a.png")
    settings = MaskSettings(
        generate=GenerateSettings(points_per_side=4),
        algorithm=AlgorithmSettings(reference="auto"),
    )
    segmenter = Segmenter("bundled", device="cpu", steady=True)
    found = todays_mask(segmenter, image, settings)
    np.testing.assert_array_equal(found, Pipeline(settings).run(image).truth.mask)
    assert found[126, 96]
    assert found.sum() < 300


def test_masks_that_say_nothing_are_not_used(tmp_path):
    rng = np.random.default_rng(0)
    masks = []
    for _ in range(12):
        mask = np.zeros(SHAPE, dtype=bool)
        row, column = rng.integers(0, 60, 2)
        mask[row : row + 20, column : column + 20] = rng.random() < 0.8
        masks.append(mask)
    with reviewed_project(tmp_path, masks=masks) as project:
        version = learned(project.folder, replace(QUICK, steps=6))
    assert not version.verdict.better
    assert version_in_use(project.folder) is None
    assert read_version(version.path).verdict == version.verdict


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(InputError, match="no learned network"):
        LearnedNetwork.load(path)


def test_calibration_stays_near_the_head_where_images_are_few():
    few = fit_calibration(np.array([3.0, -2.0]), np.array([True, False]))
    assert few.slope == pytest.approx(1, abs=0.3)
    strengths = np.linspace(-6, 10, 400)
    many = fit_calibration(strengths, strengths > 4)
    assert many.probability(4) == pytest.approx(0.5, abs=0.05)
    assert many.slope > 1.5


def test_no_defect_where_that_is_likelier_and_no_weak_specks_beside_one():
    logits = np.full((40, 40), -6, np.float32)
    logits[5:15, 5:15] = 6
    logits[30:33, 30:33] = 0.5
    mask, confidence = decided(logits, Calibration(1.0, -2.0))
    assert mask.sum() == 100
    assert confidence == pytest.approx(1 / (1 + np.exp(-4)), abs=0.01)
    nothing, sure = decided(logits - 5, Calibration(1.0, -2.0))
    assert not nothing.any()
    assert sure > 0.5


def test_a_mask_is_believed_less_for_a_soft_outline_and_for_parts_that_may_be_none():
    logits = np.full((60, 60), -9, np.float32)
    logits[5:25, 5:25] = 9
    assert stability(logits) == 1
    soft = logits.copy()
    soft[3:27, 3:27] = np.where(logits[3:27, 3:27] > 0, 9, -0.2)
    # Of 176 pixels around 400 nobody knows.
    assert stability(soft) == pytest.approx(400 / 576)
    # A second part that may be none, and one that may be missed.
    for level in (1.5, -1.5):
        other = logits.copy()
        other[40:50, 40:50] = level
        assert stability(other) == pytest.approx(0.8)


def test_ignored_pixels_are_in_no_loss():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((1, 1, 12, 16), generator=generator)
    labels = torch.randint(0, 3, (1, 1, 12, 16), generator=generator).float()
    known = labels != IGNORED
    other = torch.where(known, logits, torch.full_like(logits, 9.0))
    assert float(_loss(logits, labels)) == float(_loss(other, labels))
    assert float(_loss(logits, torch.where(known, labels, 0.0))) != float(_loss(logits, labels))
    loss = _loss(logits.requires_grad_(), labels)
    loss.backward()
    assert not logits.grad[~known].any()
    assert logits.grad[known].all()
    nothing = _loss(logits, torch.full_like(labels, float(IGNORED)))
    assert torch.isfinite(nothing)
