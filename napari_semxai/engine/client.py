"""What the rooms above see of the engine: submit a request, get called back."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from threading import RLock, Thread, Timer, current_thread
from typing import IO, TYPE_CHECKING, Any, cast

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

CANCEL_SECONDS = 0.5
"""How long a cancelled job may take to stop before its process is killed."""

RESTART_SECONDS = 10.0
"""The same, where a kill would cost more than it saves: while a network is being loaded, and
for a job that made way for a newer one."""
CLOSE_SECONDS = 1.0
LOW_PRIORITY = psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else 10
_TAIL_BYTES = 4096
# Minus SIGKILL, a name that Windows lacks.
_KILLED = -9


@dataclass(slots=True, eq=False)
class _Job:
    request: Any
    destination: str
    background: bool
    on_update: Callable[[Any], None]
    on_done: Callable[[], None]
    on_failed: Callable[[str], None]
    dropped: bool = False
    updated: bool = False


def call_directly(function: Callable[[], None]) -> None:
    """Call `function` in the thread that it arrives in."""
    function()


class EngineClient:
    """An engine process that is started, watched and replaced as needed.

    No method but `close` waits for the process. Callbacks run through `deliver`; whether a job
    is still wanted is decided there, so nothing of a job arrives after `cancel` or after a
    newer `submit` to its destination. A callback must not wait for another thread that uses
    the client.

    Parameters
    ----------
    service : str
        "segment", or "module:function" that returns handlers.
    deliver : callable
        Runs a function on the thread that the callbacks belong to, in order.
    """

    def __init__(
        self,
        service: str = "segment",
        *,
        deliver: Callable[[Callable[[], None]], None] = call_directly,
    ) -> None:
        self._service = service
        self._deliver = deliver
        self._child: Child | None = None
        self._jobs: dict[int, _Job] = {}
        self._numbers = count(1)
        # Reentrant: a callback, called under it, may submit the next request.
        self._lock = RLock()

    @property
    def alive(self) -> bool:
        """Whether the engine process runs."""
        child = self._child
        return child is not None and child.running

    @property
    def pid(self) -> int | None:
        """Id of the engine process; None when there is none."""
        child = self._child
        return None if child is None else child.pid

    def start(self) -> None:
        """Start the engine process unless there is one; it imports its networks by itself."""
        with self._lock:
            self._started()

    def lower_priority(self) -> None:
        """Let whatever else the machine does go before the engine process, where there is one."""
        with suppress(psutil.Error):
            if self.pid is not None:
                psutil.Process(self.pid).nice(LOW_PRIORITY)

    def submit(
        self,
        request: Any,
        *,
        destination: str,
        on_update: Callable[[Any], None],
        on_done: Callable[[], None],
        on_failed: Callable[[str], None],
        background: bool = False,
    ) -> int:
        """Send a request, in place of the one that `destination` waits for.

        Parameters
        ----------
        request : object
            One of the request values of `napari_semxai.types`.
        destination : str
            Where the answer goes; only the newest request of each destination is answered.
        on_update : callable
            Called with every update.
        on_done : callable
            Called once after the last update.
        on_failed : callable
            Called once, instead of `on_done`, with one line that says why.
        background : bool
            Wait for foreground requests, also those that are submitted later.

        Returns
        -------
        int
            Number of the job.
        """
        with self._lock:
            self._drop(destination, RESTART_SECONDS)
            number = next(self._numbers)
            job = _Job(request, destination, background, on_update, on_done, on_failed)
            child = self._started()
            self._jobs[number] = job
            child.run(number, request, background)
            return number

    def cancel(self, destination: str) -> None:
        """Drop what `destination` waits for; a job that does not stop is ended by force.

        Then the process is killed and started again, and the other jobs begin anew.
        """
        with self._lock:
            self._drop(destination, CANCEL_SECONDS)

    def forget(self, destination: str) -> None:
        """Drop what `destination` waits for, without ending a job by force soon."""
        with self._lock:
            self._drop(destination, RESTART_SECONDS)

    def close(self) -> None:
        """End the process and its threads; nothing is delivered any more."""
        with self._lock:
            child, self._child = self._child, None
            self._jobs.clear()
        if child is not None:
            child.close()

    def _started(self) -> Child:
        if self._child is None:
            self._child = Child(self._service, self._on_child_answered, self._on_child_ended)
        return self._child

    def _drop(self, destination: str, patience: float) -> None:
        for number, job in self._jobs.items():
            if job.destination != destination:
                continue
            job.dropped = True
            if self._child is not None:
                self._child.cancel(number, patience if job.updated else RESTART_SECONDS)

    def _on_child_answered(self, child: Child, answer: Any) -> None:
        self._deliver(lambda: self._hand_over(child, *answer))

    def _on_child_ended(self, child: Child, message: str) -> None:
        self._deliver(lambda: self._on_exited(child, message))

    def _hand_over(self, child: Child, kind: str, number: int, value: Any) -> None:
        with self._lock:
            job = self._jobs.get(number)
            # Delivered later: the process may have been replaced since, or the job dropped.
            if child is not self._child or job is None:
                return
            job.updated = True
            if kind != "update":
                del self._jobs[number]
            if job.dropped:
                return
            if kind == "update":
                job.on_update(value)
            elif kind == "done":
                job.on_done()
            else:
                job.on_failed(value)

    def _on_exited(self, child: Child, message: str) -> None:
        with self._lock:
            if child is not self._child:
                return
            self._child = None
            self._jobs = {n: job for n, job in self._jobs.items() if not job.dropped}
            # Ended by us because one job did not stop: the others have done nothing wrong.
            if child.forced:
                self._resubmit()
                return
            for number, job in list(self._jobs.items()):
                # A callback before this one may have cancelled it.
                if self._jobs.pop(number, None) is not None and not job.dropped:
                    job.on_failed(message)

    def _resubmit(self) -> None:
        child = self._started()
        for number, job in self._jobs.items():
            job.updated = False
            child.run(number, job.request, job.background)


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
        # A full pipe blocks; only the writing thread may wait for it, never the window.
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
            # Only ever sooner: a cancel must not be put off by a milder one that follows.
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
            self._on_ended(self, self._exit_message())

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

    def _exit_message(self) -> str:
        with self._log as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
        code = self._process.returncode
        if code == _KILLED:
            return "The engine was killed, probably because the machine ran out of memory."
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        said = next((line for line in reversed(lines) if line), "no message")
        return f"The engine ended unexpectedly ({how}): {said}"
