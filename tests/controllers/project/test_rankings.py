"""Orders that need features first, with an engine that a test answers for."""

import pytest

from napari_semxai.controllers.project import rankings
from napari_semxai.controllers.project.rankings import Rankings
from napari_semxai.store.project.ranked import Ranking
from napari_semxai.types import IDLE, Progress
from napari_semxai.types.learned import FeaturesRequest
from tests.learned import Engine


@pytest.fixture
def ready(desk, monkeypatch):
    """A desk whose order needs features that two images lack."""
    desk.missing = 2
    monkeypatch.setattr(rankings, "without_features", lambda project: desk.missing)

    def backwards(project, annotator, image):
        return {one.id: f"{annotator}, {image}" for one in reversed(project.images)}

    monkeypatch.setitem(
        rankings.RANKINGS, "similar", Ranking("Backwards", backwards, by_features=True)
    )
    desk.engine = Engine()
    desk.rankings = desk.queue._rankings = Rankings(desk.session, desk.engine, desk.jobs)
    desk.open()
    return desk


def shown(desk):
    return [row.image for row in desk.session.queue.shown]


def test_features_are_made_first_and_then_the_list_is_in_that_order(ready):
    before = shown(ready)
    ready.queue.set_filter(order="similar")
    ready.turn(lambda: ready.engine.asked)
    request, callbacks = ready.engine.asked
    assert request == FeaturesRequest(ready.project().folder)
    assert ready.engine.low
    callbacks["on_update"](Progress("Features", 1, 3))
    assert ready.session.batch.done == 1
    assert shown(ready) == before
    callbacks["on_done"]()
    ready.turn(lambda: shown(ready) == before[::-1])
    assert ready.session.batch == IDLE
    ranked = ready.session.queue.filter.ranked
    assert ranked[before[0]] == f"{ready.session.queue.annotator}, {before[0]}"
    ready.turn(lambda: ready.engine.closed)


def test_another_filter_keeps_the_order_and_another_order_ends_it(ready):
    ready.missing = 0
    before = shown(ready)
    ready.queue.set_filter(order="similar")
    ready.turn(lambda: shown(ready) == before[::-1])
    assert ready.engine.asked is None
    ready.queue.set_filter(order="similar", text=before[0])
    ready.turn(lambda: shown(ready) == before[:1])
    ready.queue.set_filter(order="number", text="")
    ready.turn(lambda: shown(ready) == before)
    assert ready.session.queue.filter.ranked is None


def test_cancel_stops_and_nothing_is_ordered(ready):
    before = shown(ready)
    ready.queue.set_filter(order="similar")
    ready.turn(lambda: ready.engine.asked)
    ready.queue.cancel()
    assert ready.engine.asked is None
    assert ready.session.batch == IDLE
    assert shown(ready) == before


def test_while_masks_are_made_nothing_begins(ready):
    ready.session.batch = Progress("Masks for all", 3, 9)
    ready.queue.rank("similar")
    assert ready.session.message == "Masks for all: still running; wait for it, or cancel it"
    assert ready.engine.asked is None


def test_a_failure_is_said(ready):
    ready.queue.rank("similar")
    ready.turn(lambda: ready.engine.asked)
    ready.engine.asked[1]["on_failed"]("no space left")
    assert ready.session.message == "no space left"
    assert ready.session.batch == IDLE


def test_a_failure_is_over_once_the_order_is_there(ready):
    over = []
    ready.session.events.failure_over.connect(over.append)
    ready.queue.rank("similar")
    ready.turn(lambda: ready.engine.asked)
    ready.engine.asked[1]["on_failed"]("the drive is full")
    assert ready.session.message == "the drive is full"
    ready.queue.rank("similar")
    ready.turn(lambda: ready.session.batch.running)
    assert over == []
    ready.engine.asked[1]["on_done"]()
    assert over == ["the drive is full"]
