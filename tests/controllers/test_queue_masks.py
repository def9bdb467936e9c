"""Masks for a whole project, with an engine that a test answers for."""

import numpy as np
import pytest

from napari_semxai.algorithms.ground_truth import ground_truth
from napari_semxai.controllers.queue_masks import QueueMasks
from napari_semxai.types import GenerateUpdate, ModelInfo, ReviewState
from tests.controllers.desk import SHAPE, Desk
from tests.pools import pool_of


def surface_and_defect():
    masks = np.zeros((2, *SHAPE), dtype=bool)
    masks[0] = True
    masks[:, 8:14, 10:18] = False
    masks[1, 8:14, 10:18] = True
    return pool_of(masks)


class Engine:
    def __init__(self):
        self.requests, self.forgotten = [], []

    def submit(self, request, *, destination, on_update, on_done, on_failed, background):
        assert (destination, background) == ("queue", True)
        self.requests.append((request, on_update, on_done, on_failed))

    def forget(self, destination):
        self.forgotten.append(destination)

    def answer(self):
        _, on_update, on_done, _ = self.requests.pop(0)
        on_update(ModelInfo("fake", "abc", "cpu"))
        on_update(GenerateUpdate("decode", 1, 1, 0.0, surface_and_defect()))
        on_done()


@pytest.fixture
def desk(folder):
    desk = Desk(folder)
    desk.engine = Engine()
    desk.masks = QueueMasks(
        desk.session, desk.review, desk.queue, desk.engine, desk.jobs, desk.writes
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
    assert desk.session.batch.title == ""
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


def test_three_failures_in_a_row_or_a_mask_that_cannot_be_written_stop_it(desk):
    desk.masks.start()
    for _ in range(3):
        desk.turn(lambda: desk.engine.requests)
        desk.engine.requests.pop(0)[3]("no such network")
    assert "no more masks are made" in desk.session.message
    assert (desk.session.batch.title, desk.engine.requests) == ("", [])
    reviews = desk.session.queue.folder / "reviews"
    (reviews / "anna").write_text("in the way")
    desk.masks.start()
    work(desk, 1)
    desk.turn(lambda: "anna" in desk.session.message)
    assert "no more masks are made" in desk.session.message
    assert desk.session.batch.title == ""
