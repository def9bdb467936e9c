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
                self._timer = threading.Timer(self._wait, self.flush)
                self._timer.name = "semxai-autosave"
                self._timer.daemon = True
                self._timer.start()

    @property
    def busy(self) -> bool:
        """Whether a change is not written yet."""
        return self._timer is not None or self._writing.locked()

    def flush(self) -> None:
        """Write now if something changed since the last write; return when it is written."""
        with self._writing:
            # Whoever takes the timer writes: there is no late write of what was taken.
            if self._take_timer():
                self._save()

    def hurry(self) -> None:
        """Start the write of what changed now, without waiting for it."""
        if self._timer is not None:
            threading.Thread(target=self.flush, name="semxai-autosave").start()

    def forget(self) -> None:
        """Write nothing of what changed so far; return when no write of it is under way."""
        with self._writing:
            self._take_timer()

    def _take_timer(self) -> bool:
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return timer is not None


class LateCopies:
    """Copies of masks that were let go, until they are written."""

    def __init__(self) -> None:
        self._left: list[tuple[str, Autosave]] = []

    def take(self, key: str, autosave: Autosave) -> None:
        """Start the copy of a mask that is let go; `key` names it."""
        autosave.hurry()
        self._left = [*(left for left in self._left if left[1].busy), (key, autosave)]

    def of(self, key: str) -> list[Autosave]:
        """Return those of one mask."""
        return [autosave for name, autosave in self._left if name == key]

    def flush(self) -> None:
        """Return when all are written."""
        for _, autosave in self._left:
            autosave.flush()
