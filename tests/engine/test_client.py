from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from napari_semxai.engine import client as client_module
from napari_semxai.engine.client import EngineClient
from napari_semxai.types import InputError
from tests.engine.conftest import FAKE
from tests.engine.fake_service import Chatter, Count, Echo, Fail, Hang, Leave

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.conftest import Inbox, Mailbox

PARENT = textwrap.dedent(
    """
    import sys, threading
    from napari_semxai.engine.client import EngineClient
    from tests.engine.fake_service import Count, Hang
    client = EngineClient({service!r})
    said = threading.Event()
    def say(update):
        if not said.is_set():
            print(client.pid, flush=True)
        said.set()
    client.submit({request}, destination="a", on_update=say, on_done=print, on_failed=print)
    {then}
    """
)


@pytest.fixture
def mailed(mailbox: Mailbox) -> Iterator[EngineClient]:
    """Return a client whose callbacks wait in the mailbox."""
    client = EngineClient(FAKE, deliver=mailbox.deliver)
    yield client
    client.close()


def test_round_trip_of_an_array(client: EngineClient, inbox: Inbox) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4096, 4096), dtype=np.uint8)
    client.submit(Echo(image), destination="a", **inbox.of("a"))
    (_, _, answer), done = inbox.until("a", "done")
    np.testing.assert_array_equal(answer, image)
    assert done == ("a", "done", None)


def test_updates_arrive_in_order_and_done_once(client: EngineClient, inbox: Inbox) -> None:
    client.submit(Count(5), destination="a", **inbox.of("a"))
    expected = [("a", "update", number) for number in range(5)]
    assert inbox.until("a", "done") == [*expected, ("a", "done", None)]
    client.submit(Count(0), destination="b", **inbox.of("b"))
    assert inbox.until("b", "done") == [("b", "done", None)]


def test_two_destinations_are_both_served(client: EngineClient, inbox: Inbox) -> None:
    client.submit(Count(3), destination="a", **inbox.of("a"))
    client.submit(Count(3), destination="b", **inbox.of("b"))
    events = inbox.until("a", "done") + inbox.rest()
    if ("b", "done", None) not in events:
        events += inbox.until("b", "done")
    for name in "ab":
        assert [event[2] for event in events if event[0] == name] == [0, 1, 2, None]


def test_nothing_arrives_after_cancel(
    mailed: EngineClient, mailbox: Mailbox, inbox: Inbox
) -> None:
    mailed.submit(Count(3), destination="a", **inbox.of("a"))
    calls = mailbox.hold(4)
    calls[0]()
    mailed.cancel("a")
    for call in calls[1:]:
        call()
    assert inbox.rest() == [("a", "update", 0)]


def test_nothing_arrives_after_a_newer_submit(
    mailed: EngineClient, mailbox: Mailbox, inbox: Inbox
) -> None:
    mailed.submit(Count(2), destination="a", **inbox.of("old"))
    stale = mailbox.hold(3)
    mailed.submit(Count(2), destination="a", **inbox.of("new"))
    # The cancel of the old job, which was over, is answered too.
    for call in stale + mailbox.hold(4):
        call()
    assert inbox.rest() == [("new", "update", 0), ("new", "update", 1), ("new", "done", None)]


def test_nothing_arrives_after_close(mailed: EngineClient, mailbox: Mailbox, inbox: Inbox) -> None:
    mailed.submit(Count(2), destination="a", **inbox.of("a"))
    calls = mailbox.hold(3)
    mailed.close()
    for call in calls:
        call()
    assert inbox.rest() == []


def test_foreground_before_background(client: EngineClient, inbox: Inbox) -> None:
    client.submit(Count(1000, 0.02), destination="queue", background=True, **inbox.of("queue"))
    inbox.until("queue", "update")
    client.submit(Count(5, 0.02), destination="click", **inbox.of("click"))
    inbox.until("click", "update")
    assert {event[0] for event in inbox.until("click", "done")} == {"click"}
    inbox.until("queue", "update")


def test_cancel_between_steps_keeps_the_process(
    client: EngineClient, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine must not bring the kill.
    monkeypatch.setattr(client_module, "CANCEL_SECONDS", 30.0)
    client.submit(Count(10_000, 0.02), destination="a", **inbox.of("a"))
    inbox.until("a", "update")
    pid = client.pid
    client.cancel("a")
    # In the background: it runs only when the foreground job has really ended.
    client.submit(Count(1), destination="b", background=True, **inbox.of("b"))
    inbox.until("b", "done")
    assert client.pid == pid


def test_a_hanging_step_is_ended_by_force_and_others_begin_anew(
    client: EngineClient, inbox: Inbox
) -> None:
    client.submit(Hang(), destination="a", **inbox.of("a"))
    inbox.until("a", "update")
    client.submit(Count(1), destination="b", background=True, **inbox.of("b"))
    pid = client.pid
    client.cancel("a")
    assert inbox.until("b", "done") == [("b", "update", 0), ("b", "done", None)]
    assert client.pid != pid
    assert not psutil.pid_exists(pid)
    assert inbox.rest() == []


def test_a_hanging_step_does_not_block_its_successor(
    client: EngineClient, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "RESTART_SECONDS", 0.1)
    client.submit(Hang(), destination="a", **inbox.of("old"))
    inbox.until("old", "update")
    client.submit(Count(1), destination="a", **inbox.of("new"))
    assert inbox.until("new", "done") == [("new", "update", 0), ("new", "done", None)]


def test_cancel_while_loading_waits_for_the_network(
    client: EngineClient, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "CANCEL_SECONDS", 0.0)
    client.submit(Count(1), destination="a", **inbox.of("a"))
    pid = client.pid
    client.cancel("a")
    client.submit(Count(1), destination="b", **inbox.of("b"))
    inbox.until("b", "done")
    assert client.pid == pid


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_fails_its_jobs_once_and_is_replaced(
    client: EngineClient, inbox: Inbox
) -> None:
    client.submit(Hang(), destination="a", **inbox.of("a"))
    client.submit(Count(1), destination="b", background=True, **inbox.of("b"))
    inbox.until("a", "update")
    os.kill(client.pid, signal.SIGKILL)
    killed = "The engine was killed, probably because the machine ran out of memory."
    assert inbox.until("b", "failed") == [("a", "failed", killed), ("b", "failed", killed)]
    assert not client.alive
    client.submit(Count(1), destination="a", **inbox.of("a"))
    assert inbox.until("a", "done") == [("a", "update", 0), ("a", "done", None)]
    assert client.alive


def test_a_crash_is_told_with_the_last_line_of_the_log(client: EngineClient, inbox: Inbox) -> None:
    client.submit(Leave(3, "libfoo.so: not found"), destination="a", **inbox.of("a"))
    *_, (_, _, message) = inbox.until("a", "failed")
    assert message == "The engine ended unexpectedly (exit code 3): libfoo.so: not found"


def test_a_process_that_cannot_start_fails_its_jobs(inbox: Inbox) -> None:
    client = EngineClient("tests.engine.fake_service:build_broken")
    client.submit(Count(1), destination="a", **inbox.of("a"))
    [(_, _, message)] = inbox.until("a", "failed")
    assert message.startswith("The engine ended unexpectedly (exit code 1): ")
    assert message.endswith("no network library here")
    client.close()


def test_a_failed_callback_can_cancel_the_others(client: EngineClient, inbox: Inbox) -> None:
    calls = inbox.of("a")
    failed = calls["on_failed"]

    def cancel_b(message: str) -> None:
        client.cancel("b")
        failed(message)

    client.submit(Leave(3, "gone"), destination="a", **{**calls, "on_failed": cancel_b})
    client.submit(Count(9), destination="b", background=True, **inbox.of("b"))
    client.submit(Count(9), destination="c", background=True, **inbox.of("c"))
    assert {event[0] for event in inbox.until("c", "failed")} == {"a", "c"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("a.pt: cut off"), "a.pt: cut off"),
        (RuntimeError("no memory"), "RuntimeError: no memory"),
    ],
)
def test_a_failed_job_leaves_the_process_alive(
    client: EngineClient, inbox: Inbox, error: Exception, message: str
) -> None:
    client.submit(Fail(error), destination="a", **inbox.of("a"))
    assert inbox.until("a", "failed")[-1][2] == message
    pid = client.pid
    client.submit(Count(1), destination="a", **inbox.of("a"))
    inbox.until("a", "done")
    assert client.pid == pid


def test_prints_of_libraries_do_not_reach_pipe_or_terminal(
    client: EngineClient, inbox: Inbox, capfd: pytest.CaptureFixture[str]
) -> None:
    client.submit(Chatter(), destination="a", **inbox.of("a"))
    assert inbox.until("a", "done")[0] == ("a", "update", "")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("request_", [Count(1), Hang(), Leave(3, "gone")])
def test_close_leaves_nothing(inbox: Inbox, request_: Any) -> None:
    me = psutil.Process()
    threads, children = set(threading.enumerate()), set(me.children())
    files = me.num_fds() if hasattr(me, "num_fds") else me.num_handles()
    client = EngineClient(FAKE)
    client.submit(request_, destination="a", **inbox.of("a"))
    inbox.until("a", "update")
    client.cancel("a")
    client.close()
    client.close()
    assert not client.alive
    assert set(me.children()) == children
    assert set(threading.enumerate()) == threads
    assert (me.num_fds() if hasattr(me, "num_fds") else me.num_handles()) <= files


def test_close_from_a_callback(inbox: Inbox) -> None:
    threads = set(threading.enumerate())
    client = EngineClient(FAKE)
    calls = inbox.of("a")
    done = calls["on_done"]

    def close() -> None:
        client.close()
        done()

    client.submit(Count(1), destination="a", **{**calls, "on_done": close})
    inbox.until("a", "done")
    for thread in set(threading.enumerate()) - threads:
        thread.join()
    assert not client.alive


def test_the_parent_never_imports_a_network_library() -> None:
    script = (
        "import sys\n"
        "import napari_semxai.engine.client\n"
        "heavy = 'torch torchvision sam2 cv2 tensorflow pytorch_grad_cam xplique qtpy napari'\n"
        "sys.exit(' '.join(name for name in heavy.split() if name in sys.modules) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def start_parent(request: str, then: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """Start a program that uses an engine, and return it with its engine's process."""
    script = PARENT.format(service=FAKE, request=request, then=then)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, psutil.Process(int(parent.stdout.readline()))


def ends(process: psutil.Process, seconds: float) -> bool:
    """Wait for a process to end; a zombie, which nobody has collected yet, has ended."""
    give_up = time.monotonic() + seconds
    while psutil.wait_procs([process], timeout=0.02)[1]:
        with suppress(psutil.NoSuchProcess):
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        if time.monotonic() > give_up:
            return False
    return True


@pytest.mark.parametrize("request_", ["Hang()", "Count(10_000, 0.01)"])
def test_no_orphan_when_the_parent_is_killed(request_: str) -> None:
    parent, engine = start_parent(request_, "threading.Event().wait()")
    parent.kill()
    parent.communicate()
    assert ends(engine, seconds=20.0)


@pytest.mark.parametrize("ending", ["sys.exit()", "raise RuntimeError", "import os; os._exit(0)"])
def test_no_orphan_when_the_parent_ends_without_closing(ending: str) -> None:
    parent, engine = start_parent("Hang()", f"said.wait(); {ending}")
    parent.communicate()
    assert ends(engine, seconds=20.0)


def test_the_process_ends_with_its_input() -> None:
    command = [sys.executable, "-P", "-m", "napari_semxai.engine", FAKE]
    ended = subprocess.run(command, input=b"", capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")
