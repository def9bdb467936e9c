import threading

import pytest

from napari_semxai.controllers.runs import RunController


@pytest.fixture
def runs(session):
    runs = RunController(session, lambda function: function())
    yield runs
    runs.close()


def ended(session, act):
    done = threading.Event()
    session.events.run.connect(lambda run: done.set() if run.state != "running" else None)
    act()
    assert done.wait(60)


def test_a_run_is_followed_to_its_end(session, runs, tmp_path):
    ended(session, lambda: runs.start(["survey", "summary", "--help"], tmp_path))
    assert session.run.state == "done"
    assert any("usage: semxai survey summary" in line for line in session.run.lines)
    ended(session, lambda: runs.start(["survey", "summary", str(tmp_path / "no")], tmp_path))
    assert session.run.state == "failed"
    assert "no: cannot be read" in session.run.lines[-1]


def test_one_run_at_a_time_and_it_can_be_stopped(session, runs, tmp_path):
    runs.start(["demo", "--no-window", "-o", str(tmp_path)], tmp_path)
    first = session.run
    runs.start(["models", "list"], tmp_path)
    assert session.run.command == first.command
    assert "stop it first" in session.message
    runs.stop()
    assert session.run.state == "stopped"
    runs.close()
    assert not runs._reader.is_alive()
    assert session.run.state == "stopped"
