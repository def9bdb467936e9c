"""Runs over a data set: a ``semxai`` command in a process of its own, followed line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.state.research import RunState
from napari_semxai.types import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_semxai.state.session import Session

_LINES_KEPT = 200
_PATIENCE_SECONDS = 5.0


class RunController:
    """Start, follow and stop one run at a time; a run ends with the window.

    Parameters
    ----------
    session : Session
        Where its state goes.
    deliver : callable
        Runs a function on the thread of the session.
    """

    def __init__(self, session: Session, deliver: Callable[[Callable[[], None]], None]) -> None:
        self._session, self._deliver = session, deliver
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether a run is on its way."""
        return self._session.run is not None and self._session.run.state is JobState.RUNNING

    def start(self, command: Sequence[str], output: Path) -> None:
        """Start ``semxai`` with these arguments, unless a run is on its way."""
        if self.running:
            self._session.message = "A run is already in progress. Stop it first."
            return
        self._session.run = RunState(tuple(command), output)
        process = subprocess.Popen(
            [sys.executable, "-m", "napari_semxai.cli", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"SEMXAI_PROGRESS_LINES": "1", "PYTHONIOENCODING": "utf-8"},
            # Its workers end with it.
            start_new_session=True,
        )
        self._process = process
        self._reader = threading.Thread(
            target=self._read, args=(process,), name="semxai-run", daemon=True
        )
        self._reader.start()

    def stop(self) -> None:
        """End the run; what it has done stays, and starting it again goes on from there."""
        if self.running and self._process is not None and self._session.run is not None:
            self._session.run = replace(self._session.run, state=JobState.CANCELLED)
            _end(self._process)

    def close(self) -> None:
        """End the run and wait for it."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        _end(process)
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            _end(process, "SIGKILL")
        reader.join(_PATIENCE_SECONDS)

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Hand every line over, then how it ended; in a thread."""
        with process:
            for line in process.stdout or ():
                text = line.rstrip()
                self._deliver(partial(self._on_line, text))
        self._deliver(lambda: self._on_ended(process.returncode))

    def _on_line(self, text: str) -> None:
        run = self._session.run
        if run is not None and text:
            self._session.run = replace(run, lines=(*run.lines, text)[-_LINES_KEPT:])

    def _on_ended(self, code: int) -> None:
        run = self._session.run
        if run is None or run.state is JobState.CANCELLED:
            return
        # 3: some of many images failed, and the rest is done.
        state = JobState.DONE if code in (0, 3) else JobState.FAILED
        self._session.run = replace(run, state=state)


def _end(process: subprocess.Popen[str], name: str = "SIGTERM") -> None:
    """Send a signal to a run and to all that it has started, unless it has ended."""
    if process.poll() is not None:
        return
    if os.name == "nt":
        # Workers see that their parent has ended, and do so too.
        process.terminate()
    else:
        os.killpg(process.pid, signal.Signals[name])
