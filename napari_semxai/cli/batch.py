"""Many images: in this process, in several, or on the workers of a Dask scheduler.

A task is a chunk of paths. Each worker loads the network once and writes results itself; what
comes back is small. A result that is there already for the same content and settings is kept.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Protocol

from napari_semxai.cli.options import count
from napari_semxai.types import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

CHUNK = (16, 64)
"""Fewest and most images of a task, where there are enough images."""
_DEATHS = 3
_TASKS_PER_WORKER = 4
_AHEAD = 2
_BAR = 20
_loaded: dict[Work, Any] = {}
_working = threading.Lock()


class Work(Protocol):
    """What is done to each image: a frozen, hashable value that can be sent to a worker."""

    def load(self) -> Any:
        """Load the network, once for every worker."""

    def do(self, loaded: Any, item: Any) -> dict[str, Any]:
        """Do one image and write its files; `InputError` where it cannot be done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one item.

    Attributes
    ----------
    item : object
        As given.
    result : dict or None
        As `Work.do` returned it.
    error : str
        Why there is none.
    """

    item: Any
    result: dict[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Where a batch runs.

    Attributes
    ----------
    jobs : int
        Processes; 1 is this one.
    scheduler : str
        Address of a Dask scheduler; "" for none.
    threads : int
        Of each worker; 0 shares this machine's cores among the processes.
    """

    jobs: int = 1
    scheduler: str = ""
    threads: int = 0


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of commands that do many images."""
    group = parser.add_argument_group("many images")
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--jobs", type=count, default=1, metavar="N", help="processes (default %(default)s)"
    )
    where.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="Dask scheduler, for example tcp://host:8786; needs napari-semxai[batch]",
    )
    group.add_argument(
        "--threads",
        type=count,
        default=0,
        metavar="N",
        help="threads of each worker (default: the cores shared among the processes; 1 on Dask)",
    )


def batch_options(options: argparse.Namespace) -> BatchOptions:
    """Collect the parsed arguments of `add_batch_options`."""
    return BatchOptions(options.jobs, options.scheduler, options.threads)


def run_batch(
    work: Work,
    items: Sequence[Any],
    options: BatchOptions,
    on_loaded: Callable[[Any], None] | None = None,
) -> Iterator[Answer]:
    """Do every item, and yield what became of each as it ends.

    Parameters
    ----------
    work : Work
        What to do.
    items : sequence
        Values that can be sent to a worker: paths, not arrays.
    options : BatchOptions
        Where.
    on_loaded : callable, optional
        Told what `Work.load` returned in this process, which shows progress within an item.

    Yields
    ------
    Answer
        In order in this process; as they end elsewhere.

    Raises
    ------
    InputError
        When the network cannot be loaded or the scheduler cannot be reached.
    """
    if options.scheduler:
        # One network a worker: more threads than one are the cluster's to give.
        options = BatchOptions(scheduler=options.scheduler, threads=options.threads or 1)
        with _dask(options) as (executor, workers):
            yield from _gather(executor, work, items, options, workers)
    elif options.jobs > 1 and len(items) > 1:
        yield from _processes(work, items, options)
    else:
        if items:
            loaded = _load(work, options.threads)
            if on_loaded is not None:
                on_loaded(loaded)
        for item in items:
            yield from do_chunk(work, [item], options.threads)


def do_chunk(work: Work, items: Sequence[Any], threads: int) -> list[Answer]:
    """Do some items in this process, one after the other."""
    # Networks take one image at a time, however many threads a worker has.
    with _working:
        loaded = _load(work, threads)
        return [_do(work, loaded, item) for item in items]


def pace(done: int, total: int, seconds: float) -> str:
    """Say how far a batch is, how fast, and how long it will take, after a bar."""
    filled = _BAR * done // max(total, 1)
    text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {done}/{total}"
    if not done:
        return text
    left = seconds / done * (total - done)
    return f"{text}, {done / seconds:.2f} images/s, about {clock(left)} left"


def clock(seconds: float) -> str:
    """Return a duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


class Stopwatch:
    """Says how far a batch is."""

    def __init__(self, total: int) -> None:
        self._start, self._total, self._done = time.perf_counter(), total, 0

    def tick(self) -> str:
        """Count one image and return `pace`."""
        self._done += 1
        return pace(self._done, self._total, self.seconds)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start


def _do(work: Work, loaded: Any, item: Any) -> Answer:
    try:
        return Answer(item, work.do(loaded, item))
    except (InputError, MemoryError) as error:
        return Answer(item, error=str(error) or "out of memory")


def _load(work: Work, threads: int) -> Any:
    if work not in _loaded:
        if threads:
            # Read by the libraries when they are imported for the first time.
            os.environ["OMP_NUM_THREADS"] = str(threads)
        _loaded.clear()
        _loaded[work] = work.load()
        if threads and (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(threads)
    return _loaded[work]


def _chunks(items: Sequence[Any], workers: int) -> list[list[Any]]:
    fewest, most = CHUNK
    size = min(max(len(items) // (workers * _TASKS_PER_WORKER), fewest), most)
    size = min(size, -(-len(items) // workers))
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def _gather(
    executor: Executor, work: Work, items: Sequence[Any], options: BatchOptions, workers: int
) -> Iterator[Answer]:
    """Keep a few tasks ahead of the workers and yield answers as tasks end."""
    waiting = iter(_chunks(items, workers))
    running: set[Future[list[Answer]]] = set()
    try:
        while True:
            while len(running) < workers * _AHEAD and (chunk := next(waiting, None)):
                running.add(executor.submit(do_chunk, work, chunk, options.threads))
            if not running:
                return
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                yield from future.result()
    finally:
        for future in running:
            future.cancel()


def _processes(work: Work, items: Sequence[Any], options: BatchOptions) -> Iterator[Answer]:
    """Use processes of our own; when one dies, begin again with what is not done."""
    threads = options.threads or max((os.cpu_count() or 1) // options.jobs, 1)
    options = BatchOptions(options.jobs, threads=threads)
    left = dict.fromkeys(items)
    deaths = 0
    while left:
        before = len(left)
        pool = ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn"))
        try:
            for answer in _gather(pool, work, list(left), options, options.jobs):
                del left[answer.item]
                yield answer
        except BrokenProcessPool:
            deaths = 0 if len(left) < before else deaths + 1
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if deaths >= _DEATHS:
            first = next(iter(left))
            del left[first]
            deaths = 0
            yield Answer(first, error=f"{first}: the worker process died on it {_DEATHS} times")


@contextmanager
def _dask(options: BatchOptions) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler needs Dask: pip install napari-semxai[batch]") from error
    try:
        # Never the global client: somebody else's code may use that.
        client: Any = Client(options.scheduler, set_as_default=False, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InputError(f"{options.scheduler}: no Dask scheduler answers there") from error
    try:
        executor = client.get_executor(retries=_DEATHS, pure=False)
        # Workers that come later get their share as the earlier ones' tasks end.
        yield executor, max(len(client.ncores()), _TASKS_PER_WORKER)
    finally:
        client.close()
