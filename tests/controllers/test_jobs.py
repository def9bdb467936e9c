import subprocess
import sys
import threading
from functools import partial

import pytest

from napari_semxai.controllers.jobs import Jobs
from napari_semxai.types import InputError


@pytest.fixture
def queue():
    return []


@pytest.fixture
def jobs(queue):
    jobs = Jobs(queue.append)
    yield jobs
    jobs.close()


def run(jobs, destination, function, seen):
    jobs.run(destination, function, seen.append, lambda message: seen.append(("failed", message)))


def test_only_the_newest_of_a_destination_is_delivered(jobs, queue):
    seen = []
    for value in (1, 2):
        run(jobs, "a", lambda value=value: value, seen)
    run(jobs, "b", lambda: 3, seen)
    jobs.close()
    assert seen == []
    run_all(queue)
    assert seen == []


def test_results_are_handed_over_where_deliver_says(queue):
    seen = []
    jobs = Jobs(queue.append)
    first = threading.Event()
    run(jobs, "a", first.wait, seen)
    run(jobs, "a", lambda: 2, seen)
    run(jobs, "b", lambda: 3, seen)
    first.set()
    jobs._threads.shutdown(wait=True)
    assert seen == []
    run_all(queue)
    assert sorted(seen) == [2, 3]


def test_what_is_asked_for_while_the_interpreter_ends_is_done(tmp_path):
    script = (
        "import atexit, pathlib, sys\n"
        "from napari_semxai.controllers.jobs import Jobs\n"
        "jobs = Jobs(lambda deliver: deliver())\n"
        "atexit.register(jobs.close)\n"
        "atexit.register(jobs.run, 'last', pathlib.Path(sys.argv[1]).touch)\n"
        "sys.exit(3)\n"
    )
    last = tmp_path / "last"
    command = [sys.executable, "-c", script, str(last)]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert last.exists()


def test_bad_input_is_told_in_its_own_words(queue):
    seen = []
    jobs = Jobs(queue.append)

    def fail():
        raise InputError("x.png: no such file")

    run(jobs, "a", fail, seen)
    jobs._threads.shutdown(wait=True)
    run_all(queue)
    assert seen == [("failed", "x.png: no such file")]


def test_an_error_nobody_foresaw_reaches_the_user_and_the_log(queue, caplog):
    seen = []
    jobs = Jobs(queue.append)
    run(jobs, "open image", lambda: {}["mask"], seen)
    jobs._threads.shutdown(wait=True)
    run_all(queue)
    [(kind, message)] = seen
    assert kind == "failed"
    assert "'open image' (KeyError: 'mask')" in message
    assert "\n" not in message
    [record] = caplog.records
    assert record.exc_info[0] is KeyError


def test_a_failure_is_over_when_the_same_goes_well():
    over = []
    jobs = Jobs(lambda function: function(), threads=1, over=over.append)

    def fail(name):
        raise InputError(f"{name}: the disk is full")

    one, other = partial(fail, "x.png"), partial(fail, "y.png")
    calls = (("a", one), ("b", dict), ("a", one), ("a", other), ("a", dict), ("a", dict))
    for destination, function in calls:
        ended = threading.Event()
        jobs.run(destination, function, lambda _, e=ended: e.set(), lambda _, e=ended: e.set())
        assert ended.wait(20)
    jobs.close()
    assert sorted(over) == ["x.png: the disk is full", "y.png: the disk is full"]


def test_a_forgotten_job_is_not_delivered(queue):
    seen = []
    jobs = Jobs(queue.append)
    run(jobs, "a", lambda: 1, seen)
    jobs.forget("a")
    jobs._threads.shutdown(wait=True)
    run_all(queue)
    assert seen == []


def run_all(queue):
    for function in queue:
        function()
