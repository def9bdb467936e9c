"""Masks for a whole project, with an engine that a test answers for."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask
from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.controllers.project.batch_masks import QueueMasks
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.companions import compared
from napari_semxai.types import (
    IDLE,
    GenerateUpdate,
    LeftOut,
    MaskSettings,
    ModelInfo,
    ReviewChange,
    ReviewState,
    WarmRequest,
)
from napari_semxai.types.learned import (
    Learned,
    LearnedMask,
    LearnedRequest,
    LearnedVersion,
    Verdict,
)
from tests.controllers.desk import Desk, surface_and_defect


class Engine:
    def __init__(self):
        self.requests, self.forgotten, self.asked, self.sha256 = [], [], 0, "abc"
        self.compares = False

    def submit(self, request, *, destination, on_update, on_done, on_failed, background):
        assert (destination, background) == ("queue", True)
        if isinstance(request, WarmRequest):
            on_update(ModelInfo("fake", self.sha256, "cpu"))
            on_done()
            return
        self.asked += 1
        self.requests.append((request, on_update, on_done, on_failed))

    def forget(self, destination):
        self.forgotten.append(destination)

    def answer(self):
        request, on_update, on_done, _ = self.requests.pop(0)
        on_update(ModelInfo("fake", self.sha256, "cpu"))
        if self.compares:
            on_update(compared(request.image, request.compare))
        on_update(GenerateUpdate("decode", 1, 1, 0.0, surface_and_defect()))
        on_done()


@pytest.fixture
def desk(folder):
    desk = Desk(folder)
    desk.engine = Engine()
    desk.masks = QueueMasks(
        desk.session, desk.images, desk.queue, desk.engine, desk.jobs, desk.writes
    )
    desk.open()
    yield desk
    desk.masks.cancel()
    desk.close()


def work(desk, count):
    for _ in range(count):
        desk.turn(lambda: desk.engine.requests)
        desk.engine.answer()


def test_every_image_gets_a_mask_with_recipe_and_score(desk):
    desk.masks.start()
    assert desk.session.batch.total == 5
    work(desk, 5)
    desk.turn(lambda: "ready" in desk.session.message)
    expected = ground_truth(surface_and_defect(), ignore_border=0).mask
    assert expected.sum() == 48
    for image in desk.project().images:
        record = desk.project().record(image.id, "Anna")
        assert record.state is ReviewState.CANDIDATE
        assert record.recipe.base == "automatic"
        assert record.recipe.settings["model"] == {"name": "bundled", "sha256": "abc"}
        assert record.recipe.settings["alpha"] == desk.session.algorithm.alpha
        assert 0 <= record.score <= 1
        np.testing.assert_array_equal(desk.project().mask(image.id, "Anna"), expected)


def test_the_open_image_shows_its_mask_when_it_comes_and_may_be_accepted(desk):
    desk.masks.start()
    work(desk, 1)
    desk.turn(lambda: desk.live.mask.any())
    assert not desk.session.edited
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.turn(lambda: desk.session.queue.shown[0].state is ReviewState.ACCEPTED)


def test_the_candidates_are_there_when_one_comes_to_an_image(desk):
    desk.masks.start()
    work(desk, 5)
    desk.turn(lambda: "ready" in desk.session.message)
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    image_id, automatic = desk.session.entry.id, desk.session.automatic
    record = desk.project().record(image_id, "Anna")
    assert automatic.origin.sha256 == "abc"
    assert array_digest(automatic.truth.mask) == record.mask_sha256
    np.testing.assert_array_equal(desk.live.mask, automatic.truth.mask)
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 3)
    # Looking changes nothing.
    assert desk.project().record(image_id, "Anna") == record
    desk.stroke(3, 5)
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 2)
    assert desk.session.automatic is not None
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 3)
    # Candidates stay beside a mask that was painted on.
    assert desk.session.edited
    assert desk.session.automatic is not None
    assert desk.live.mask[3, 5]
    desk.session.algorithm = replace(desk.session.algorithm, connectivity=4)
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 2)
    # Other settings would make another mask than the one that is there.
    assert desk.session.automatic is None


def test_masks_of_people_are_left_alone(desk):
    desk.stroke(3, 5)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.stroke(6, 6)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    desk.masks.start()
    assert desk.session.batch.total == 4
    work(desk, 1)
    desk.queue.step(1)
    work(desk, 3)
    desk.turn(lambda: "ready" in desk.session.message)
    assert desk.project().mask("wafer_0", "Anna").sum() == 16
    assert desk.project().mask("wafer_1", "Anna").sum() == 16


def test_cancelling_keeps_what_is_done(desk):
    desk.masks.start()
    work(desk, 2)
    desk.turn(lambda: desk.engine.requests)
    desk.masks.cancel()
    assert desk.session.batch == IDLE
    assert desk.engine.forgotten == ["queue"]
    desk.engine.answer()
    found = [desk.project().mask(image.id, "Anna") for image in desk.project().images]
    assert sum(mask is not None for mask in found) == 2


def test_a_failure_is_said_and_the_next_image_follows(desk):
    desk.masks.start()
    desk.turn(lambda: desk.engine.requests)
    desk.engine.requests.pop(0)[3]("out of memory")
    assert desk.session.message == "out of memory"
    desk.turn(lambda: desk.engine.requests)


def test_an_image_that_cannot_be_read_keeps_its_mark_and_is_not_counted(desk, folder):
    (folder / "images" / "wafer_3.png").write_bytes(b"damaged")
    desk.masks.start()
    work(desk, 4)
    desk.turn(lambda: "ready" in desk.session.message)
    assert desk.session.message == "Masks for 4 images are ready; 1 failed"
    shown = desk.session.queue.shown
    desk.turn(lambda: desk.session.queue.shown is not shown)
    assert list(desk.session.queue.unreadable) == ["wafer_3"]
    # Asked for by a person, it is tried again.
    desk.queue.refresh()
    assert not desk.session.queue.unreadable


def test_no_mask_is_written_under_an_image_that_is_worked_on(desk):
    desk.masks.start()
    desk.turn(lambda: desk.engine.requests)
    desk.stroke(3, 5)
    desk.engine.answer()
    work(desk, 4)
    desk.turn(lambda: "ready" in desk.session.message)
    assert desk.project().record("wafer_0", "Anna") is None
    desk.queue.step(1)
    cache = desk.session.project.cache
    desk.turn(lambda: desk.session.queue.number == 2 and not cache.unwritten("wafer_0"))
    record = desk.project().record("wafer_0", "Anna")
    assert (record.score, record.recipe.base) == (None, "empty")
    assert desk.project().mask("wafer_0", "Anna").sum() == 16


def test_three_failures_in_a_row_or_a_mask_that_cannot_be_written_stop_it(desk):
    desk.masks.start()
    for _ in range(3):
        desk.turn(lambda: desk.engine.requests)
        desk.engine.requests.pop(0)[3]("no such network")
    assert "Batch generation stopped" in desk.session.message
    assert (desk.session.batch, desk.engine.requests) == (IDLE, [])
    reviews = desk.session.queue.folder / "reviews"
    (reviews / "anna").write_text("in the way")
    desk.masks.start()
    work(desk, 1)
    desk.turn(lambda: "anna" in desk.session.message)
    assert "Batch generation stopped" in desk.session.message
    assert desk.session.batch == IDLE


def make_all(desk, asked):
    """Run to the end, and see how many images the network was asked for."""
    before, desk.session.message = desk.engine.asked, ""
    desk.masks.start()
    work(desk, asked)
    desk.turn(lambda: "ready" in desk.session.message)
    assert desk.engine.asked == before + asked


def test_a_run_goes_on_where_one_was_cancelled(desk):
    desk.masks.start()
    work(desk, 2)
    desk.turn(lambda: desk.engine.requests)
    desk.masks.cancel()
    desk.engine.requests.clear()
    make_all(desk, 3)
    make_all(desk, 0)


def test_other_settings_and_other_weights_make_the_masks_anew(desk):
    make_all(desk, 5)
    desk.session.algorithm = replace(desk.session.algorithm, alpha=7.0)
    make_all(desk, 5)
    desk.session.generate = replace(desk.session.generate, points_per_side=8)
    make_all(desk, 5)
    desk.engine.sha256 = "def"
    make_all(desk, 5)
    make_all(desk, 0)
    assert desk.project().record("wafer_4", "Anna").recipe.settings["model"]["sha256"] == "def"


@pytest.mark.parametrize(
    ("values", "asked"), [({"overridden": True}, 0), ({"points_done": 16, "points_total": 64}, 1)]
)
def test_a_chosen_winner_stays_and_a_partial_mask_is_completed(desk, values, asked):
    make_all(desk, 5)
    project = desk.session.project.project
    recipe = project.record("wafer_2", "Anna").recipe
    changed = replace(recipe, settings={**recipe.settings, **values})
    mask = project.mask("wafer_2", "Anna")
    project.write_review("wafer_2", "Anna", ReviewChange(mask=mask, recipe=changed))
    make_all(desk, asked)


@pytest.mark.parametrize(("missing", "asked"), [("algorithm", 0), ("alpha", 1)])
def test_an_older_recipe_is_the_paper_s_and_one_that_cannot_be_read_is_made_anew(
    desk, missing, asked
):
    desk.session.algorithm = replace(desk.session.algorithm, algorithm="paper")
    make_all(desk, 5)
    project = desk.session.project.project
    recipe = project.record("wafer_2", "Anna").recipe
    settings = {name: value for name, value in recipe.settings.items() if name != missing}
    mask = project.mask("wafer_2", "Anna")
    change = ReviewChange(mask=mask, recipe=replace(recipe, settings=settings))
    project.write_review("wafer_2", "Anna", change)
    make_all(desk, asked)


def test_the_masks_are_those_of_the_command_line(desk):
    """The same settings make the same mask in window, queue and command."""
    desk.session.algorithm = replace(desk.session.algorithm, beta=0.2, ignore_border=1)
    make_all(desk, 5)
    settings, image = desk.session.settings, desk.project().read_image("wafer_1")
    pool = surface_and_defect()
    chosen = pool.take(filter_candidates(pool, settings.filters))
    expected = automatic_mask(chosen, image, settings.algorithm, LeftOut((1, 1, 1, 1)))
    np.testing.assert_array_equal(desk.project().mask("wafer_1", "Anna"), expected.mask)
    recipe = desk.project().record("wafer_1", "Anna").recipe
    assert MaskSettings.from_json(recipe.settings, "auto") == settings
    assert recipe.settings["winner"] == expected.winner


def test_the_confidence_of_a_mask_is_its_own_before_the_networks():
    truth = ground_truth(surface_and_defect(), ignore_border=0)
    predicted_iou = np.array([0.5, 0.75])
    assert truth.certainty(predicted_iou) == predicted_iou[truth.winner]
    assert replace(truth, confidence=0.25).certainty(predicted_iou) == 0.25
    assert replace(truth, confidence=0.5, stability=0.5).certainty(predicted_iou) == 0.25
    assert replace(truth, winner=None).certainty(predicted_iou) is None


def test_masks_of_a_learned_network_name_its_version_and_are_made_once(desk, tmp_path):
    session = desk.session
    path = tmp_path / "0001.safetensors"
    version = LearnedVersion(path, "f" * 64, "", "p", 20, Verdict(True, ""))
    session.learned = Learned((version,), version)
    session.algorithm = replace(session.algorithm, algorithm="learned", network=str(path))
    desk.masks.start()
    for _ in range(5):
        desk.turn(lambda: desk.engine.requests)
        request, on_update, on_done, _ = desk.engine.requests.pop(0)
        assert isinstance(request, LearnedRequest)
        on_update(ModelInfo("0001", "f" * 64, "cpu"))
        mask = np.zeros(request.image.shape, dtype=bool)
        mask[4:8, 4:8] = True
        on_update(LearnedMask(mask, 0.9))
        on_done()
    desk.turn(lambda: "ready" in session.message)
    for image in desk.project().images:
        record = desk.project().record(image.id, "Anna")
        assert record.recipe.settings["network"] == {"path": str(path), "sha256": "f" * 64}
        assert record.area == 16
    session.message = ""
    desk.masks.start()
    desk.turn(lambda: "ready" in session.message)
    assert not desk.engine.requests


def test_masks_for_all_are_compared_with_references(desk):
    """By file, whose digest tells whether a mask would be another one."""
    golden = desk.folder / "images" / "wafer_1_reference.png"
    pixels = np.full((24, 32), 90, np.uint8)
    Image.fromarray(pixels).save(golden)
    desk.engine.compares = True
    make_all(desk, 5)
    recipe = desk.project().record("wafer_1", "Anna").recipe
    assert recipe.settings["compared"]["reference"] == golden.name
    assert "too small" in recipe.settings["compared"]["reason"]
    assert desk.project().record("wafer_2", "Anna").recipe.settings["compared"]["sha256"] == ""
    make_all(desk, 0)
    Image.fromarray(pixels + 1).save(golden)
    make_all(desk, 1)


def test_that_a_run_stopped_is_over_once_all_masks_are_ready(desk):
    over = []
    desk.session.events.failure_over.connect(over.append)
    desk.masks.start()
    for _ in range(3):
        desk.turn(lambda: desk.engine.requests)
        desk.engine.requests.pop(0)[3]("no such network")
    stopped = desk.session.message
    desk.masks.start()
    work(desk, 5)
    desk.turn(lambda: "ready" in desk.session.message)
    assert over == [stopped]
