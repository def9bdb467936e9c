"""Recovery copies at most two seconds behind the strokes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_WAIT = 1.0
"""Seconds from the first unsaved change to the start of its write.

Throttled, not debounced: the copy is also made in the middle of long painting.
"""


class Autosave:
    """Call `save` in a thread within `wait` seconds of a change, and again for later changes.

    Parameters
    ----------
    save : callable
        Writes a copy of what is there; called from a timer's thread.
    wait : float
        Seconds.
    """

    def __init__(self, save: Callable[[], None], wait: float = LONGEST_WAIT) -> None:
        self._save = save
        self._wait = wait
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def touch(self) -> None:
        """Note that something changed."""
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(self._wait, self._run)
                self._timer.name = "semxai-autosave"
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write now if something changed since the last write; return when it is written."""
        if self._take_timer():
            self._write()
        # A write that a timer has begun is part of what flush promises.
        with self._writing:
            pass

    def hurry(self) -> None:
        """Start the write of what changed now, without waiting for it."""
        if self._take_timer():
            threading.Thread(target=self._write, name="semxai-autosave").start()

    def forget(self) -> None:
        """Write nothing of what changed so far."""
        self._take_timer()
        with self._writing:
            pass

    def _run(self) -> None:
        with self._lock:
            self._timer = None
        self._write()

    def _write(self) -> None:
        with self._writing:
            self._save()

    def _take_timer(self) -> bool:
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return timer is not None
