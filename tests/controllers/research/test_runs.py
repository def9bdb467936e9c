import os
import threading

import psutil
import pytest

from napari_semxai.controllers.research.runs import RunController


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
    assert "Stop it first" in session.message
    runs.stop()
    assert session.run.state == "cancelled"
    runs.close()
    assert not runs._reader.is_alive()
    assert session.run.state == "cancelled"


@pytest.mark.skipif(os.name == "nt", reason="process groups")
@pytest.mark.parametrize("end", ["stop", "close"])
def test_stopping_ends_the_workers_too(session, runs, tmp_path, monkeypatch, end):
    """A stand-in for semxai that has started a process which knows nothing of its parent."""
    (tmp_path / "napari_semxai").mkdir()
    (tmp_path / "napari_semxai/__init__.py").touch()
    (tmp_path / "napari_semxai/cli.py").write_text(
        "import subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "print(subprocess.Popen(sleep).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    monkeypatch.chdir(tmp_path)
    started = threading.Event()
    session.events.run.connect(lambda run: started.set() if run.lines else None)
    runs.start([], tmp_path)
    assert started.wait(60)
    worker = psutil.Process(int(session.run.lines[0]))
    getattr(runs, end)()
    worker.wait(30)
