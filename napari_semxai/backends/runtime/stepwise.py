"""Calls of libraries: stopped where they are told to, and repeatable.

Libraries run a network many times inside one call. Here that call runs in a thread which waits
at every checkpoint until the generator is advanced: only one of the two ever runs, and closing
the generator ends the call. Some take randomness from NumPy's global state, which `numpy_seed`
seeds for them.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Semaphore, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

T = TypeVar("T")


class Stopped(BaseException):
    """Raised inside the call when its generator is closed; passes ``except Exception``."""


class _Call(Generic[T]):
    """One call in a thread of its own."""

    def __init__(self, work: Callable[[Callable[[], None]], T]) -> None:
        self._work = work
        self._go, self._here = Semaphore(0), Semaphore(0)
        self._stop = False
        self.over = False
        self.error: BaseException | None = None
        self.result: T
        self._thread = Thread(target=self._run, name="semxai-stepwise", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._wait()
            self.result = self._work(self._checkpoint)
        except BaseException as error:  # noqa: BLE001 - raised again by the generator
            self.error = error
        self.over = True
        self._here.release()

    def _checkpoint(self) -> None:
        self._here.release()
        self._wait()

    def _wait(self) -> None:
        self._go.acquire()
        if self._stop:
            raise Stopped

    def advance(self) -> None:
        """Run to the next checkpoint or the end."""
        self._go.release()
        self._here.acquire()

    def stop(self) -> None:
        """End the call at the checkpoint where it waits."""
        if not self.over:
            self._stop = True
            self._go.release()
        self._thread.join()


def stepwise(work: Callable[[Callable[[], None]], T]) -> Generator[int, None, T]:
    """Run `work` as a generator.

    Parameters
    ----------
    work : callable
        Gets a function to call at every place where it may be halted or ended.

    Yields
    ------
    int
        Checkpoints reached so far.

    Returns
    -------
    object
        What `work` returns; what it raises is raised.
    """
    call, reached = _Call(work), 0
    try:
        call.advance()
        while not call.over:
            reached += 1
            yield reached
            call.advance()
    finally:
        call.stop()
    if call.error is not None:
        raise call.error
    return call.result


def finish(steps: Generator[object, None, T]) -> T:
    """Run a generator to its end and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


@contextmanager
def numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global state, and put it back as it was at the end."""
    before = np.random.get_state()  # noqa: NPY002 - the libraries know no other
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
