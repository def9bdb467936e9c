"""One engine process as its parent sees it: a pipe each way, a thread for each, a log."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread, Timer, current_thread
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLOSE_SECONDS = 1.0
_TAIL_BYTES = 4096
# Minus SIGKILL, a name that Windows lacks.
_KILLED = -9


class Child:
    """A running engine process.

    Parameters
    ----------
    service : str
        What it serves, see `napari_semxai.engine.host.load_service`.
    on_answer : callable
        Called in a thread of the child's own with the child and each answer.
    on_ended : callable
        Called once, in the same thread, with the child and a sentence on how it ended.
    """

    def __init__(
        self,
        service: str,
        on_answer: Callable[[Child, Any], None],
        on_ended: Callable[[Child, str], None],
    ) -> None:
        self.forced = False
        self._on_answer = on_answer
        self._on_ended = on_ended
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._deadlines: dict[int, Timer] = {}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the reading thread
        # -P: modules in the folder napari was started from must not shadow real ones.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "napari_semxai.engine", service],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Threads that spin while they wait make a busy machine three times slower.
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        name = f"semxai-engine-{self._process.pid}"
        self._threads = [
            Thread(target=self._write, name=f"{name}-write", daemon=True),
            Thread(target=self._read, name=f"{name}-read", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def run(self, number: int, request: Any, background: bool) -> None:
        """Send a request; returns at once."""
        self._outbox.put(("run", number, request, background))

    def cancel(self, number: int, patience: float) -> None:
        """Ask to cancel a job, and kill the process unless it answers within `patience` s."""
        earlier = self._deadlines.get(number)
        if earlier is not None:
            if earlier.interval <= patience:
                return
            earlier.cancel()
        deadline = self._deadlines[number] = Timer(patience, self._force)
        deadline.name, deadline.daemon = f"semxai-engine-cancel-{number}", True
        deadline.start()
        self._outbox.put(("cancel", number))

    def close(self) -> None:
        """End the process and its threads."""
        self._outbox.put(None)
        self._end(CLOSE_SECONDS)
        for thread in [*self._threads, *self._deadlines.values()]:
            if thread is not current_thread():
                thread.join()

    def _force(self) -> None:
        self.forced = True
        self._process.kill()

    def _write(self) -> None:
        # A broken pipe is the reader's to report.
        with suppress(OSError), cast("IO[bytes]", self._process.stdin) as pipe:
            while (message := self._outbox.get()) is not None:
                pickle.dump(message, pipe, pickle.HIGHEST_PROTOCOL)
                pipe.flush()

    def _read(self) -> None:
        try:
            for answer in self._answers():
                if answer[0] != "update" and answer[1] in self._deadlines:
                    self._deadlines.pop(answer[1]).cancel()
                self._on_answer(self, answer)
        finally:
            self._outbox.put(None)
            self._end(CLOSE_SECONDS)
            self._on_ended(self, self._epitaph())

    def _answers(self) -> Iterator[Any]:
        pipe = cast("IO[bytes]", self._process.stdout)
        with pipe, suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                yield pickle.load(pipe)

    def _end(self, patience: float) -> None:
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for deadline in list(self._deadlines.values()):
            deadline.cancel()

    def _epitaph(self) -> str:
        with self._log as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
        code = self._process.returncode
        if code == _KILLED:
            return "The engine was killed, probably because the machine ran out of memory."
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        said = next((line for line in reversed(lines) if line), "no message")
        return f"The engine ended unexpectedly ({how}): {said}"
