"""What is not written yet: it waits in memory, and is tried again until its place has taken it."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

K = TypeVar("K")
V = TypeVar("V")

LONGEST_WAIT = 1.0
"""Seconds from the first unsaved change to the start of its write.

Throttled, not debounced: it is also written in the middle of long painting.
"""


class SafetyNet(Generic[K, V]):
    """Values that wait to be written, by place, the oldest first; for any thread.

    A value leaves only when it is written, or taken out; one that was put meanwhile stays.

    Parameters
    ----------
    write : callable
        Writes one value to its place; called in any thread, once at a time for a place.
    name : callable
        Of values of one name, only the newest of a place waits; by default each is its own.
    wait : float
        Longest time in seconds from `touch` to the start of the write.
    """

    def __init__(
        self,
        write: Callable[[K, V], Any],
        name: Callable[[V], Hashable] = id,
        wait: float = LONGEST_WAIT,
    ) -> None:
        self._write, self._name, self.wait = write, name, wait
        self._values: dict[K, dict[Hashable, V]] = {}
        self._timers: dict[K, threading.Timer] = {}
        self._lock = threading.Lock()
        # By place: who waits for one need not wait for a slow write elsewhere.
        self._writing: defaultdict[K, threading.Lock] = defaultdict(threading.Lock)

    @property
    def places(self) -> tuple[K, ...]:
        """Where something is to be written."""
        with self._lock:
            return tuple(self._values)

    def waiting(self, place: K) -> tuple[V, ...]:
        """Return what a place is to get, the oldest first."""
        with self._lock:
            return tuple(self._values.get(place, {}).values())

    def put(self, place: K, *values: V) -> None:
        """Let values wait until the next `flush`."""
        with self._lock:
            waiting = self._values.setdefault(place, {})
            waiting.update((self._name(value), value) for value in values)
            if not waiting:
                del self._values[place]

    def touch(self, place: K, value: V) -> None:
        """Put a value, and write it in a thread within `wait` seconds."""
        self.put(place, value)
        with self._lock:
            if place not in self._timers:
                timer = threading.Timer(self.wait, self.flush, (place,))
                timer.name, timer.daemon = "semxai-autosave", True
                self._timers[place] = timer
                timer.start()

    def hurry(self, place: K) -> None:
        """Start the write of what waits now, without waiting for it."""
        if self.waiting(place):
            threading.Thread(target=self.flush, args=(place,), name="semxai-autosave").start()

    def flush(self, *places: K) -> tuple[list[Any], dict[K, InputError | OSError]]:
        """Write what waits, everywhere by default; return when it is written.

        Returns
        -------
        list, dict
            What `write` answered, and the error of each place that refused a value; it and
            those behind it wait on.
        """
        answers, failed = [], {}
        for place in places or self.places:
            with self.held(place):
                self._stop_timer(place)
                for value in self.waiting(place):
                    try:
                        answers.append(self._write(place, value))
                    except (InputError, OSError) as error:
                        failed[place] = error
                        break
                    self.drop(place, value)
        return answers, failed

    def drop(self, place: K, *values: V) -> None:
        """Take values out, unless others of their names have taken their place."""
        with self._lock:
            waiting = self._values.get(place, {})
            for value in values:
                if waiting.get(self._name(value)) is value:
                    del waiting[self._name(value)]
            if not waiting:
                self._values.pop(place, None)

    @contextmanager
    def held(self, place: K) -> Iterator[None]:
        """Wait for the write to a place that is under way, and let no other begin."""
        with self._lock:
            writing = self._writing[place]
        with writing:
            yield

    def _stop_timer(self, place: K) -> None:
        with self._lock:
            timer = self._timers.pop(place, None)
        if timer is not None:
            timer.cancel()
