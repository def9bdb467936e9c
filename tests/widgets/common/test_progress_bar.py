from dataclasses import replace
from functools import partial
from threading import Event

import numpy as np
import pytest

from napari_semxai.algorithms.masks.click_edits import AnswerDoubts
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.state.open_image import SaveStage, SaveState
from napari_semxai.state.review import Clicks, ClickState, Offer
from napari_semxai.state.session import Session
from napari_semxai.types import IDLE, Failure, JobState, Progress, Prompts
from napari_semxai.widgets.common.progress_bar import JobBar, WorkLine, WorkMonitor, progress_text
from tests.open_images import make_image, open_image

HALF = Progress("decode", 64, 128, 7.4)


@pytest.mark.parametrize(
    ("progress", "text", "counted"),
    [
        (IDLE, "", ""),
        (Progress("load", 0, 128), "Loading the network …", "Loading the network …"),
        (HALF, "Decode: 64 of 128, about 7 s left …", "64 of 128 points, about 7 s left"),
        (Progress("starting"), "Starting …", "0 of 0 points"),
        (replace(HALF, state=JobState.CANCELLED), "Cancelled", "Cancelled after 64 of 128 points"),
        (Progress(state=JobState.FAILED, message="no network"), "⚠ no network", "⚠ no network"),
        (replace(HALF, state=JobState.DONE), "", ""),
    ],
)
def test_every_state_has_its_words(progress, text, counted):
    assert progress_text(progress) == text
    assert progress_text(progress, "points") == counted


def test_a_running_job_can_be_cancelled_and_moves_nothing(qtbot):
    bar = JobBar("Start it", "It starts")
    qtbot.addWidget(bar)
    bar.show()
    bar.set_idle("Nothing yet")
    room = bar.sizeHint()
    seen = []
    for progress in (IDLE, HALF, replace(HALF, state=JobState.DONE)):
        bar.set_progress(progress)
        seen.append((bar.start.isEnabled(), bar.cancel.isEnabled(), bar.progress.isVisible()))
        assert bar.sizeHint() == room
    assert seen == [(True, False, False), (False, True, True), (True, False, False)]
    assert bar.status.text() == "Nothing yet"
    assert (bar.progress.value(), bar.progress.maximum()) == (64, 128)


@pytest.fixture
def monitor(qtbot):
    session = Session()
    monitor = WorkMonitor(session)
    line = WorkLine(monitor, lambda: None)
    qtbot.addWidget(line)
    yield session, monitor, line
    monitor.release()


def test_the_line_says_what_runs_then_what_was_done(monitor):
    session, _, line = monitor
    session.generation = Progress("decode", 64, 1024, 7.2)
    assert line.text.text() == "Generating candidates: 64 of 1,024 points, about 7 s left"
    assert not line.progress.isHidden()
    # Two at a time are both told.
    session.batch = Progress("Masks", 3, 10)
    assert "64 of 1,024" in line.text.text()
    assert "Masks: 3 of 10" in line.text.text()
    session.batch = IDLE
    session.generation = Progress("decode", 1024, 1024, state=JobState.DONE)
    assert line.text.text() == "Generating candidates: done"
    assert line.progress.isHidden()


def test_the_line_says_that_an_engine_failed_and_a_click_waits(monitor):
    session, _, line = monitor
    session.generation = Progress(state=JobState.FAILED, message="the engine stopped")
    assert line.text.text() == "⚠ Generating candidates: the engine stopped"
    session.clicks = Clicks(state=ClickState.ENCODING, message="Encoding the image …")
    assert line.text.text() == "SAM click: Encoding the image …"
    session.clicks = Clicks()
    assert "the engine stopped" in line.text.text()


def test_the_line_tells_of_an_answer_that_is_offered_until_it_is_decided_on(monitor):
    session, _, line = monitor
    session.say("3 masks exported")
    nothing = np.zeros((8, 8), bool)
    offer = Offer(nothing, ~nothing, Prompts(), AnswerDoubts(covered=0.7), "SAM click", {})
    session.clicks = Clicks(message="Predicted IoU 0.93", offer=offer)
    session.generation = Progress("decode", 64, 1024)
    said = "⚠ SAM answer not applied: covers 70% of the image. Alt+T applies it"
    assert line.text.text().startswith(said)
    session.clicks = Clicks()
    assert "64 of 1,024" in line.text.text()


def test_an_answer_is_announced_when_it_takes_long(monitor, qtbot):
    session, _, line = monitor
    answering = Clicks(state=ClickState.ANSWERING, message="SAM 2 answers …")
    session.clicks = answering
    session.clicks = Clicks()
    assert line.text.text() == ""
    session.clicks = answering
    assert line.text.text() == ""
    qtbot.waitUntil(lambda: line.text.text() == "SAM click: SAM 2 answers …")
    session.clicks = Clicks()
    assert line.text.text() == ""


def test_what_is_not_saved_stays_until_it_is(monitor):
    session, _, line = monitor
    open_image(session, make_image())
    session.update_image(save=SaveState(SaveStage.FAILED, message="the disk is full"))
    session.say("3 masks exported")
    assert line.text.text() == "⚠ Not saved: the disk is full"
    session.update_image(save=SaveState(SaveStage.SAVED, message="Saved"))
    assert line.text.text() == "3 masks exported"


def test_all_that_was_said_is_in_the_log(monitor):
    session, watched, _ = monitor
    said = []
    watched.said.connect(said.append)
    session.say("3 masks exported")
    session.say(Failure("a.png: cannot be read"))
    assert [line[10:] for line in watched.log] == ["3 masks exported", "⚠ a.png: cannot be read"]
    assert said == ["3 masks exported", "a.png: cannot be read"]


def test_a_job_that_fails_says_a_failure():
    session, gate = Session(), Event()
    jobs = Jobs(lambda function: (function(), gate.set()), say=session.say)
    jobs.run("read", partial(open, "no such file"))
    assert gate.wait(20)
    jobs.close()
    assert isinstance(session.message, Failure)
