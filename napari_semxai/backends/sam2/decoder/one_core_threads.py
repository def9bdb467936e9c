"""Several prompts at once on a CPU: each has one thread, no operation has several."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from threading import Barrier
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


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
