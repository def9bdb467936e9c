"""Calls that take longer than a frame, away from the GUI thread."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from napari_semxai.types import Failure, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_logger = logging.getLogger(__name__)


class Failures:
    """What went wrong, by what it was done for, until that goes well.

    Parameters
    ----------
    over : callable
        Told each message then.
    """

    def __init__(self, over: Callable[[str], object]) -> None:
        self._over = over
        self._messages: dict[str, set[str]] = {}

    def note(self, what: str, message: str) -> None:
        """Remember a failure."""
        self._messages.setdefault(what, set()).add(message)

    def end(self, what: str) -> None:
        """Tell that it went well this time."""
        for message in self._messages.pop(what, ()):
            self._over(message)


class Jobs:
    """Run functions in threads and hand their results back, the newest for each destination.

    Parameters
    ----------
    deliver : callable
        Runs a function on the thread that the results belong to.
    threads : int
        How many; 1 keeps the order of the calls.
    say : callable
        Told what went wrong where a call does not say what to do then; by default the log.
    over : callable
        Told what had gone wrong, when the next call for its destination goes well.
    """

    def __init__(
        self,
        deliver: Callable[[Callable[[], None]], None],
        threads: int = 4,
        say: Callable[[str], None] = _logger.warning,
        over: Callable[[str], object] = _logger.debug,
    ) -> None:
        self.deliver, self._say = deliver, say
        # A download may hold one for minutes; opening and saving go on beside it.
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="semxai-job")
        self._closed = False
        self._newest: dict[str, int] = {}
        self._failures = Failures(over)

    def run(
        self,
        destination: str,
        function: Callable[[], T],
        on_done: Callable[[T], None] | None = None,
        on_failed: Callable[[str], None] | None = None,
    ) -> None:
        """Call `function` in a thread; only the newest call for `destination` is delivered.

        Parameters
        ----------
        destination : str
            What is done, in words that a person may read.
        function : callable
            Called in a thread.
        on_done, on_failed : callable, optional
            One of them gets the answer, or one line that says what went wrong, which `say` gets
            by default. An error that nobody foresaw is in the log, too, with where it happened.
        """
        failed = self._say if on_failed is None else on_failed
        number = self._newest.get(destination, 0) + 1
        self._newest[destination] = number

        def work() -> None:
            try:
                result = function()
            except (InputError, OSError, MemoryError) as error:
                message = Failure(str(error) or type(error).__name__)
                self.deliver(lambda: self._hand_over(destination, number, failed, message))
            except Exception as error:
                _logger.exception("%s failed", destination)
                message = Failure(_unforeseen(destination, error))
                self.deliver(lambda: self._hand_over(destination, number, failed, message))
            else:
                self.deliver(lambda: self._hand_over(destination, number, on_done, result))

        try:
            self._threads.submit(work)
        except RuntimeError:
            if self._closed:
                raise
            # An interpreter that ends takes nothing more for its threads; nothing is lost.
            work()

    def forget(self, destination: str) -> None:
        """Drop what is still to come for `destination`."""
        self._newest[destination] = self._newest.get(destination, 0) + 1

    def close(self) -> None:
        """Finish what was asked for, deliver none of it, and take no more."""
        # No number is negative, so what ends now is handed to nobody.
        self._newest = dict.fromkeys(self._newest, -1)
        self._closed = True
        self._threads.shutdown(wait=True)

    def _hand_over(
        self, destination: str, number: int, receiver: Callable[[T], None] | None, value: T
    ) -> None:
        if self._newest[destination] != number:
            return
        if isinstance(value, Failure):
            self._failures.note(destination, value)
        else:
            self._failures.end(destination)
        if receiver is not None:
            receiver(value)


def _unforeseen(destination: str, error: Exception) -> str:
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"An error in the program stopped {destination!r} ({what}); your work is kept. The log "
        "in the terminal has the details: please report them"
    )
