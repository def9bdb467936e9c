from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import psutil
import pytest

from tests.engine.conftest import FAKE

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
