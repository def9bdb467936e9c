"""What the rooms above see of the engine: submit a request, get called back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import RLock
from typing import Any

from napari_semxai.engine.child import Child

CANCEL_SECONDS = 0.5
"""How long a cancelled job may take to stop before its process is killed."""

RESTART_SECONDS = 10.0
"""The same, where a kill would cost more than it saves: while a network is being loaded, and
for a job that made way for a newer one."""


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

    def _on_child_ended(self, child: Child, epitaph: str) -> None:
        self._deliver(lambda: self._bury(child, epitaph))

    def _hand_over(self, child: Child, kind: str, number: int, value: Any) -> None:
        with self._lock:
            job = self._jobs.get(number)
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

    def _bury(self, child: Child, epitaph: str) -> None:
        with self._lock:
            if child is not self._child:
                return
            self._child = None
            self._jobs = {n: job for n, job in self._jobs.items() if not job.dropped}
            if child.forced:
                self._resubmit()
                return
            for number, job in list(self._jobs.items()):
                # A callback before this one may have cancelled it.
                if self._jobs.pop(number, None) is not None and not job.dropped:
                    job.on_failed(epitaph)

    def _resubmit(self) -> None:
        child = self._started()
        for number, job in self._jobs.items():
            job.updated = False
            child.run(number, job.request, job.background)
