"""The engine's side of the pipe: one thread receives, the main thread runs the networks.

Every request is a generator of updates and the scheduler advances one of them by one step at a
time, so a more urgent request or a cancel takes effect between two batches, and no two networks
ever run at once.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from threading import Condition, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NoReturn, TypeAlias

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    Steps: TypeAlias = Generator[Any, None, None]
    Handlers: TypeAlias = Mapping[type, Callable[[Any], Steps]]
    Answer: TypeAlias = Literal["update", "done", "cancelled", "failed"]

REST_SECONDS = 2.0
"""How long the background rests after a foreground job: who has clicked will click again."""


@dataclass(slots=True, eq=False)
class _Job:
    number: int
    request: Any
    background: bool
    steps: Steps | None = None
    cancelled: bool = False

    @property
    def urgent(self) -> bool:
        """Whether this goes before masks for a queue."""
        return self.cancelled or not self.background

    @property
    def urgency(self) -> tuple[bool, bool, int]:
        """Cancels first; then the newest of the foreground; then the oldest of the rest."""
        order = -self.number if self.background else self.number
        return self.cancelled, not self.background, order


class Scheduler:
    """The requests of one client, and which of them moves next.

    Parameters
    ----------
    send : callable
        Takes the kind of an answer, the number of the job and a value.
    """

    def __init__(self, send: Callable[[Answer, int, Any], None]) -> None:
        self._send = send
        self._jobs: dict[int, _Job] = {}
        self._changed = Condition()
        self._rest_until = 0.0

    def take(self, number: int, request: Any, background: bool) -> None:
        """Put a request among the waiting ones."""
        with self._changed:
            self._jobs[number] = _Job(number, request, background)
            self._changed.notify()

    def cancel(self, number: int) -> None:
        """Cancel a job: at once when it has not begun, else at its next step.

        Always answered, for a job that is unknown or over too.
        """
        with self._changed:
            job = self._jobs.get(number)
            if job is not None and job.steps is not None:
                job.cancelled = True
                self._changed.notify()
                return
            self._jobs.pop(number, None)
        self._send("cancelled", number, None)

    def run(self, handlers: Handlers) -> NoReturn:
        """Advance jobs for ever; memory goes back to the system when nobody asks for more."""
        worked = False
        while True:
            with self._changed:
                # Only then: whoever clicks on would wait for it, and need the memory again.
                patience = REST_SECONDS if worked else None
                waiting = self._changed.wait_for(lambda: bool(self._jobs), patience)
            if not waiting:
                worked = False
                give_back_memory()
                continue
            worked = True
            with self._changed:
                rest = self._rest_until - monotonic()
                if rest > 0 and not any(job.urgent for job in self._jobs.values()):
                    self._changed.wait(rest)
                    continue
            self.step(handlers)

    def step(self, handlers: Handlers) -> None:
        """Advance the most urgent job by one step and send what came of it."""
        with self._changed:
            if not self._jobs:
                return
            job = max(self._jobs.values(), key=lambda job: job.urgency)
            if job.steps is None:
                job.steps = handlers[type(job.request)](job.request)
        kind, value = advance(job.steps, job.cancelled)
        if kind != "update":
            with self._changed:
                del self._jobs[job.number]
                if not job.background:
                    self._rest_until = monotonic() + REST_SECONDS
        self._send(kind, job.number, value)


def give_back_memory() -> None:
    """Give the system what networks have freed, where the C library (glibc) keeps it."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def advance(steps: Steps, cancelled: bool = False) -> tuple[Answer, Any]:
    """Take one step, or close the generator, and return what there is to answer."""
    try:
        if cancelled:
            steps.close()
            return "cancelled", None
        return "update", next(steps)
    except StopIteration:
        return "done", None
    except InputError as error:
        return "failed", str(error)
    except Exception as error:  # noqa: BLE001 - whatever fails in a network is reported
        traceback.print_exc()
        return "failed", traceback.format_exception_only(error)[-1].splitlines()[0]


def load_service(name: str) -> Handlers:
    """Return the handlers of "segment", or of any other "module:function"."""
    module, _, function = name.partition(":")
    if not function:
        module, function = f"{__package__}.{name}", "build"
    handlers: Handlers = getattr(import_module(module), function)()
    return handlers


def serve(service: str) -> NoReturn:
    """Answer the requests that arrive on stdin until it closes."""
    # An interrupt in the terminal is for the parent to decide on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = _claim_pipes()
    lock = Lock()

    def send(*answer: Any) -> None:
        with lock:
            pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()

    scheduler = Scheduler(send)
    Thread(target=_receive, args=(requests, scheduler), daemon=True).start()
    # Only now the slow imports: the parent can cancel, and its end be noticed, meanwhile.
    gc.disable()
    handlers = load_service(service)
    # What was imported stays: to look for garbage in it takes a fifth of the time of the imports.
    gc.freeze()
    gc.enable()
    scheduler.run(handlers)


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol; what libraries print goes to stderr."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # A pipe nobody writes to: who reads sees its end, also where os.devnull is an ordinary file.
    nothing, writer = os.pipe()
    os.close(writer)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(sys.stderr.fileno(), 1)
    return requests, answers


def _receive(requests: BinaryIO, scheduler: Scheduler) -> NoReturn:
    """Hand requests to the scheduler; end the process, however busy, when the parent ends."""
    status = 1
    try:
        while True:
            kind, *values = pickle.load(requests)
            (scheduler.take if kind == "run" else scheduler.cancel)(*values)
    except EOFError:
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)
