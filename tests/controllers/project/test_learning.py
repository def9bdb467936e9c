"""Learning a project, with an engine that a test answers for."""

from dataclasses import replace

import pytest

from napari_semxai.controllers.project import learning
from napari_semxai.controllers.project.learning import LearningController
from napari_semxai.state.review import Tally
from napari_semxai.types import Progress, ReviewState
from napari_semxai.types.learned import Learned, LearnedVersion, LearnRequest, Verdict
from tests.controllers.desk import Desk
from tests.learned import Engine


class Segment:
    def __init__(self, session):
        self._session = session

    def set_algorithm(self, **change):
        self._session.algorithm = replace(self._session.algorithm, **change)


@pytest.fixture
def stored(monkeypatch):
    """What the project has learned, as its files would say."""
    stored = {"learned": Learned()}
    monkeypatch.setattr(learning, "_learned", lambda folder: stored["learned"])
    return stored


@pytest.fixture
def desk(folder, stored):
    desk = Desk(folder)
    desk.engine = Engine()
    segment = Segment(desk.session)
    desk.learning = LearningController(desk.session, segment, desk.engine, desk.jobs)
    desk.open()
    yield desk
    desk.close()


def version(folder, name, better=True):
    path = folder / "learned" / f"{name}.safetensors"
    return LearnedVersion(path, "", "", "p", 20, Verdict(better, "0.9 against 0.5"))


def test_a_better_version_is_told_and_proposes_masks_at_once(desk, stored):
    session, folder = desk.session, desk.project().folder
    desk.learning.start()
    request, callbacks = desk.engine.asked
    assert request == LearnRequest(folder)
    assert desk.engine.low
    callbacks["on_update"](Progress("Training", 3, 9))
    assert (session.learning.running, session.learning.done) == (True, 3)
    desk.learning.start()
    assert desk.engine.asked[1] is callbacks
    made = version(folder, "0001")
    stored["learned"] = Learned((made,), made)
    callbacks["on_update"](made)
    callbacks["on_done"]()
    desk.turn(lambda: desk.engine.closed and session.learned.used is not None)
    assert session.message == "Version 0001 is in use: 0.9 against 0.5"
    assert session.algorithm.algorithm == "learned"
    assert session.algorithm.network == str(made.path)


def test_a_project_is_opened_with_its_version_in_use(desk, stored):
    session, project = desk.session, desk.session.project
    made = version(desk.project().folder, "0001")
    stored["learned"] = Learned((made,), made)
    session.project = None
    session.project = project
    desk.turn(lambda: session.learned.used is made)
    assert session.algorithm.algorithm == "learned"
    assert session.algorithm.network == str(made.path)


def test_a_version_that_is_no_better_changes_nothing(desk, stored):
    session = desk.session
    desk.learning.start()
    made = version(desk.project().folder, "0001", better=False)
    stored["learned"] = Learned((made,))
    desk.engine.asked[1]["on_update"](made)
    desk.turn(lambda: session.learned.versions)
    assert "not in use: 0.9 against 0.5" in session.message
    assert session.algorithm.algorithm == "robust"


def test_cancelled_and_failed(desk):
    desk.learning.start()
    desk.learning.cancel()
    assert desk.session.learning.state == "cancelled"
    assert desk.engine.asked is None
    desk.learning.start()
    desk.engine.asked[1]["on_failed"]("too few reviewed images")
    assert desk.session.learning.message == "too few reviewed images"


def test_one_step_goes_back_to_the_version_before_and_then_to_none(desk, stored, monkeypatch):
    session, folder = desk.session, desk.project().folder
    first, bad, last = (
        version(folder, name, better=name != "0002") for name in ("0001", "0002", "0003")
    )
    versions = (first, bad, last)
    session.learned = stored["learned"] = Learned(versions, last)
    by_name = {"0001": first, "none": None}

    def use(_, name):
        stored["learned"] = Learned(versions, by_name[name])

    monkeypatch.setattr(learning, "use_version", use)
    assert session.learned.back == "0001"
    desk.learning.use(session.learned.back)
    desk.turn(lambda: session.learned.used is first)
    assert session.algorithm.network == str(first.path)
    assert session.learned.back == "none"
    desk.learning.use(session.learned.back)
    desk.turn(lambda: session.learned.used is None)
    assert (session.algorithm.algorithm, session.algorithm.network) == ("robust", "")


def test_learning_is_offered_after_every_twenty_reviews(desk):
    session = desk.session
    for count, offered in ((19, False), (20, True), (39, False), (40, True)):
        session.message = ""
        session.tally = Tally({ReviewState.ACCEPTED: count})
        assert ("Learn from reviews" in session.message) == offered


def test_another_project_is_not_given_what_this_one_learned(desk):
    session = desk.session
    made = version(desk.project().folder, "0001")
    session.learned = Learned((made,), made)
    session.algorithm = replace(session.algorithm, algorithm="learned", network=str(made.path))
    session.project = None
    assert session.learned == Learned()
    assert session.algorithm.algorithm == "robust"


@pytest.mark.parametrize("chosen", ["paper", "robust"])
def test_what_was_chosen_before_comes_back_when_the_project_is_left(desk, stored, chosen):
    session, project = desk.session, desk.session.project
    session.project = None
    session.algorithm = replace(session.algorithm, algorithm=chosen)
    made = version(desk.project().folder, "0001")
    stored["learned"] = Learned((made,), made)
    session.project = project
    desk.turn(lambda: session.algorithm.algorithm == "learned")
    session.project = None
    assert (session.algorithm.algorithm, session.algorithm.network) == (chosen, "")
    session.project = project
    desk.turn(lambda: session.algorithm.algorithm == "learned")
    stored["learned"] = Learned((made,))
    desk.learning.use("none")
    desk.turn(lambda: session.algorithm.algorithm == chosen)
