"""How many prompts to decode at once, measured, and on how many threads with one core each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from threading import Barrier
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_BATCH = 0.3
"""Seconds after which a batch should be over, so that a cancel is heard."""
TRIALS = 2
CPU_SIZES = (1, 2, 4, 8)
"""For each of the `lanes`."""
GPU_SIZES = (32, 64, 128, 256)
T = TypeVar("T")
R = TypeVar("R")


class BatchSizer:
    """Try each batch size on real work, then keep to the fastest.

    Parameters
    ----------
    device : torch.device
        CPUs are fastest with small batches that stay in the cache, GPUs with large ones.
    steady : bool
        Keep to the middle size without a trial.
    """

    def __init__(self, device: torch.device, *, steady: bool = False) -> None:
        count = lanes(device)
        sizes = [count * size for size in (CPU_SIZES if device.type == "cpu" else GPU_SIZES)]
        self._sizes = [sizes[len(sizes) // 2]] if steady else sizes
        self._times: dict[int, list[float]] = {size: [] for size in self._sizes}

    def size(self) -> int:
        """Batch size to use next."""
        tried: list[int] = []
        for size in self._sizes:
            # The next size would take twice as long as the last one did at its best.
            if tried and 2 * tried[-1] * min(self._times[tried[-1]]) > LONGEST_BATCH:
                break
            if len(self._times[size]) < TRIALS:
                return size
            tried.append(size)
        return min(tried, key=lambda size: min(self._times[size]))

    def record(self, size: int, seconds: float) -> None:
        """Note how long a batch of `size` prompts took."""
        self._times.setdefault(size, []).append(seconds / size)

    def halve(self, size: int) -> int:
        """Forbid batches of `size` prompts, for which memory was short; return what to try."""
        smaller = max(1, size // 2)
        self._sizes = [each for each in self._sizes if each <= smaller] or [smaller]
        for each in self._sizes:
            self._times.setdefault(each, [])
        return smaller


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether torch ran out of memory; CPU and MPS have no exception class of their own."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    texts = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


def lanes(device: torch.device) -> int:
    """Return how many parts of a batch `side_by_side` works on at once."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def side_by_side(function: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """Call a function with each part, in threads whose torch operations use one core each.

    Operations on one prompt are short. Split over the cores, each of them ends with a wait of
    all for the slowest, which takes as long as the work; whole prompts hardly ever wait.

    Parameters
    ----------
    function : callable
        Called in another thread, where there are several parts: gradients are on there.
    parts : sequence
        At most as many as there are lanes.

    Returns
    -------
    list
        In the order of the parts; the first exception is raised.
    """
    if len(parts) == 1:
        return [function(parts[0])]
    threads = _threads(torch.get_num_threads())
    futures = [threads.submit(function, part) for part in parts]
    # Who tries again after an error must not share the memory with parts that still run.
    wait(futures)
    return [future.result() for future in futures]


def on_one_core(function: Callable[[], R]) -> R:
    """Call a function in a thread whose torch operations use one core.

    One prompt of a small network is answered sooner so, see `side_by_side`, and the window has
    the other cores.
    """
    count = torch.get_num_threads()
    return function() if count == 1 else _threads(count).submit(function).result()


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    """Return threads of one core each; everybody else keeps `count`."""
    threads = ThreadPoolExecutor(count, "semxai-lane", initializer=_take_one_core)
    met = Barrier(count)
    list(threads.map(lambda _: met.wait(), range(count)))
    # What a thread sets for itself becomes the rule for threads and libraries to come.
    torch.set_num_threads(count)
    return threads


def _take_one_core() -> None:
    torch.set_num_threads(1)
    # Asked for the first time, a thread takes over the rule, which is 1 only now.
    torch.get_num_threads()
