"""What is not written yet: it waits in memory, and in recovery copies that a crash spares.

What waits is tried again until its place has taken it. A copy is one NumPy ``.npz`` file, checked
by its own CRC sums. Saving is meant for a worker thread: hand over a copy of the mask (a few
milliseconds at 4096 x 4096) and compress there.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import zipfile
import zlib
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import psutil

from napari_semxai.store.disk.atomic import TEMPORARY_SUFFIX, atomic_write
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from numpy.typing import NDArray

K = TypeVar("K")
V = TypeVar("V")

LONGEST_WAIT = 1.0
"""Seconds from the first unsaved change to the start of its write.

Throttled, not debounced: it is also written in the middle of long painting.
"""
CHANGE = "change"
"""Where `Recovery.info` holds the fields of a review."""
_SUFFIX = ".npz"
_STALE_SECONDS = 24 * 3600.0
_DAMAGED = (
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


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


@dataclass(frozen=True, slots=True, eq=False)
class Recovery:
    """What is known of one recovery copy without reading its mask.

    Attributes
    ----------
    path : Path
        The file.
    key : str
        What was edited, as given to `save_recovery`.
    saved_at : float
        Seconds since the epoch.
    info : dict
        As given to `save_recovery`.
    writer : tuple of (int, float)
        Process number and start time of the process that wrote it.
    """

    path: Path
    key: str
    saved_at: float
    info: dict[str, Any]
    writer: tuple[int, float]

    @property
    def is_change(self) -> bool:
        """Whether it is a review that a project refused, not a mask that was being painted."""
        return CHANGE in self.info

    @property
    def from_this_process(self) -> bool:
        """Whether this very process wrote the copy; process numbers are used again."""
        # Start times are read from the system's clock, which is set while the program runs.
        number, started = _this_process()
        return self.writer[0] == number and abs(self.writer[1] - started) < 1.0


def save_recovery(
    folder: str | Path, key: str, mask: NDArray[Any], info: Mapping[str, Any], *, part: str = ""
) -> Path:
    """Write the recovery copy of one mask, replacing the one that this process wrote before.

    A copy that another process left stays until somebody restores or discards it.

    Parameters
    ----------
    folder : str or Path
        Made when missing.
    key : str
        Names what is edited, for example the image file and page.
    mask : ndarray, shape (M, N)
        Labels as they are in the layer; the type is kept.
    info : mapping
        Values that JSON can hold, handed back on recovery.
    part : str
        Tells several copies of one key apart.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    # The writer is part of the name: two windows on one image never write over each other's copy.
    writer = _this_process()
    name = hashlib.sha256(f"{key} {writer} {part}".encode()).hexdigest()[:24]
    path = Path(folder) / f"{name}{_SUFFIX}"
    head = {"key": key, "saved_at": time.time(), "info": dict(info), "writer": writer}
    text = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    with atomic_write(path) as file:
        np.savez_compressed(file, head=text, mask=mask)
    return path


def list_recoveries(folder: str | Path) -> list[Recovery]:
    """Return the copies that can be offered, newest first.

    Damaged files are left out, and so are those of another program that still runs. Remains
    of interrupted writes older than a day are removed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    _remove_stale(folder)
    found = []
    for path in folder.glob(f"*{_SUFFIX}"):
        try:
            recovery = _read_head(path)
        except InputError:
            continue
        # A copy of a program that still runs is not lost work: its window will save it.
        if not _in_use_elsewhere(recovery.writer):
            found.append(recovery)
    return sorted(found, key=lambda recovery: -recovery.saved_at)


def load_recovery(path: str | Path) -> tuple[NDArray[Any], Recovery]:
    """Return the mask of a recovery copy, and what is known of it.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    path = Path(path)
    return _read_member(path, "mask"), _read_head(path)


def discard_recovery(path: str | Path) -> None:
    """Remove a recovery copy; nothing happens when it is gone already."""
    Path(path).unlink(missing_ok=True)


def _read_head(path: Path) -> Recovery:
    head = json.loads(_read_member(path, "head").tobytes())
    number, started = head["writer"]
    return Recovery(path, head["key"], head["saved_at"], head["info"], (number, started))


def _read_member(path: Path, member: str) -> NDArray[Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return np.asarray(stored[member])
    except _DAMAGED as error:
        raise InputError(f"{path}: the recovery copy is damaged ({error})") from error


def _this_process() -> tuple[int, float]:
    return os.getpid(), _start_time(os.getpid())


@cache
def _start_time(number: int) -> float:
    """Once: the system's answer moves with its clock."""
    return float(psutil.Process(number).create_time())


def _in_use_elsewhere(writer: tuple[int, float]) -> bool:
    """Process numbers are used again, start times are not."""
    number, started = writer
    if number == os.getpid():
        return False
    try:
        return bool(abs(psutil.Process(number).create_time() - started) < 1.0)
    except (psutil.Error, OverflowError, ValueError):
        return False


def _remove_stale(folder: Path) -> None:
    oldest = time.time() - _STALE_SECONDS
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        # One that is being written has its last name a moment later.
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
