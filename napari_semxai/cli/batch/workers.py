"""What a worker does with a chunk of items; chunks on several workers; the learning engine."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from napari_semxai.engine.client import EngineClient
from napari_semxai.types import InputError, Progress, time_left

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor, Future

    from napari_semxai.cli.common.output import Output
    from napari_semxai.types.learned import FeaturesRequest, LearnRequest

KEPT = "kept"
"""Key of a result that is true where an earlier run had made it."""
_loaded: dict[tuple[Work, str], Any] = {}
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


Outcomes = Iterator[tuple[list[Any], list[Answer] | None]]
"""Chunks with their answers; None where a worker died."""
Ask = Callable[[list[list[Any]], int], Outcomes]
"""Does chunks, a number of them at a time."""


def do_chunk(work: Work, items: Sequence[Any], threads: int, run: str = "") -> list[Answer]:
    """Do some items in this process, one after the other; `run` as in `load_work`."""
    # Networks take one image at a time, however many threads a worker has.
    with _working:
        loaded = load_work(work, threads, run)
        return [_do(work, loaded, item) for item in items]


def load_work(work: Work, threads: int, run: str = "") -> Any:
    """Return what `Work.load` returned in this process, loaded once for every `run`.

    A worker may outlive the run, and a network's file may hold another one in the next.
    """
    if (work, run) not in _loaded:
        # Read by the libraries when they are imported for the first time. Threads that spin
        # while they wait make a busy machine three times slower.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if threads:
            os.environ["OMP_NUM_THREADS"] = str(threads)
        _loaded.clear()
        _loaded[work, run] = work.load()
        if threads and (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(threads)
    return _loaded[work, run]


def end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however that came about."""
    threading.Thread(target=_wait_for_parent, name="semxai-parent", daemon=True).start()


def name_of(item: Any) -> str:
    """Return what messages call an item: its file where it has one."""
    return str(getattr(item, "path", item))


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(work: Work, loaded: Any, item: Any) -> Answer:
    try:
        return Answer(item, work.do(loaded, item))
    except InputError as error:
        return Answer(item, error=str(error))
    except MemoryError:
        return Answer(item, error=f"{name_of(item)}: out of memory")
    except Exception as error:  # noqa: BLE001 - one bad image never stops the run
        return Answer(item, error=f"{name_of(item)}: {type(error).__name__}: {error}")


THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
CHUNK = (16, 64)
"""Fewest and most images of a task, where there are enough images."""
_TASKS_PER_WORKER = 4
_AHEAD = 2
_KILLED = "KilledWorker"
"""Dask's name for a task whose workers died again and again; Dask itself is optional."""
_WORKERS_SECONDS = 60
# Of malloc.h; the values below are where glibc's own thresholds end up.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def on_processes(work: Work, items: Sequence[Any], jobs: int, threads: int) -> Iterator[Answer]:
    """Do items on processes of our own."""
    threads = threads or max((os.cpu_count() or 1) // jobs, 1)
    # NumPy reads these when a process starts, before any work of ours.
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    ask = partial(_ask_processes, work, jobs, threads)
    # Everything in flight is lost with a process: the items of those chunks are tried singly,
    # and what is lost then with nothing else in flight.
    return _survive(ask, chunks_of(items, jobs), (jobs * _AHEAD, jobs, 1))


def on_dask(work: Work, items: Sequence[Any], address: str, threads: int) -> Iterator[Answer]:
    """Do items on the workers of a Dask scheduler."""
    with _dask(address) as (executor, workers):
        # One network a worker: more threads than one are the cluster's to give.
        task = partial(_do_on_dask, work, threads=threads or 1, run=uuid4().hex)
        ask = partial(_ask, executor, task)
        yield from _survive(ask, chunks_of(items, workers), (workers * _AHEAD, 1))


def _do_on_dask(work: Work, items: Sequence[Any], threads: int, run: str) -> list[Answer]:
    keep_memory()
    return do_chunk(work, items, threads, run)


@lru_cache(maxsize=1)
def keep_memory() -> None:
    """Let glibc keep freed memory for the next image, as it does by itself.

    Dask has its workers hand all of it back at once (MALLOC_TRIM_THRESHOLD_), and fetching it anew
    for every layer of a network takes as much time as the network.
    """
    with suppress(OSError, AttributeError):
        glibc = ctypes.CDLL("libc.so.6")
        glibc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        glibc.mallopt(_M_TRIM_THRESHOLD, 64 * 2**20)


def chunks_of(items: Sequence[Any], workers: int) -> list[list[Any]]:
    """Divide items into tasks."""
    fewest, most = CHUNK
    size = min(max(len(items) // (workers * _TASKS_PER_WORKER), fewest), most)
    size = min(size, -(-len(items) // workers))
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def _survive(ask: Ask, chunks: list[list[Any]], widths: Sequence[int]) -> Iterator[Answer]:
    """Do chunks; items that are lost with a worker again, singly; those lost alone are named."""
    for width in widths:
        lost = []
        for chunk, answers in ask(chunks, width):
            if answers is None:
                lost += chunk
            else:
                yield from answers
        chunks = [[item] for item in lost]
    for item in lost:
        yield Answer(item, error=f"{name_of(item)}: worker processes crash on it")


def _ask_processes(
    work: Work, jobs: int, threads: int, chunks: list[list[Any]], width: int
) -> Outcomes:
    """Ask a pool, and a new one whenever one broke."""
    waiting = deque(chunks)
    while waiting:
        size = min(width, jobs)
        pool = ProcessPoolExecutor(size, get_context("spawn"), initializer=end_with_parent)
        try:
            yield from _ask(pool, partial(do_chunk, work, threads=threads), waiting, width)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ask(
    executor: Executor,
    task: Callable[[list[Any]], list[Answer]],
    waiting: Sequence[list[Any]],
    width: int,
) -> Outcomes:
    """Keep some tasks in flight, as long as the executor takes them."""
    # A pool that is asked again after it broke goes on with what it was not given yet.
    waiting = waiting if isinstance(waiting, deque) else deque(waiting)
    running: dict[Future[list[Answer]], list[Any]] = {}
    try:
        while True:
            # A broken pool refuses; its tasks in flight are reported before this one returns.
            with suppress(BrokenProcessPool):
                while waiting and len(running) < width:
                    running[executor.submit(task, waiting[0])] = waiting[0]
                    waiting.popleft()
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                chunk = running.pop(done)
                yield chunk, None if _died(done.exception()) else done.result()
    finally:
        for future in running:
            future.cancel()


def _died(error: BaseException | None) -> bool:
    return isinstance(error, BrokenProcessPool) or type(error).__name__ == _KILLED


@contextmanager
def _dask(address: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler needs Dask: pip install napari-semxai[batch]") from error
    try:
        # Never the global client: somebody else's code may use that.
        client: Any = Client(address, set_as_default=False, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InputError(f"{address}: no Dask scheduler answers there") from error
    try:
        try:
            client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
        except TimeoutError as error:
            text = f"{address}: no worker joined this Dask scheduler within {_WORKERS_SECONDS} s"
            raise InputError(text) from error
        # Workers that come later get their share as the earlier ones' tasks end.
        yield client.get_executor(pure=False), max(len(client.ncores()), _TASKS_PER_WORKER)
    finally:
        client.close()


def ask_engine(request: LearnRequest | FeaturesRequest, output: Output) -> Any:
    """Return the last answer of the learning engine that is no progress, in a process of its own.

    Raises
    ------
    InputError
        With what the process said went wrong.
    """
    said: SimpleQueue[Any] = SimpleQueue()
    with closing(EngineClient("learn")) as engine:
        engine.submit(
            request,
            destination="learn",
            on_update=said.put,
            on_done=lambda: said.put(None),
            on_failed=lambda message: said.put(InputError(message)),
        )
        # What a person does meanwhile goes first.
        engine.lower_priority()
        made = None
        while (value := said.get()) is not None:
            if isinstance(value, InputError):
                raise value
            if not isinstance(value, Progress):
                made = value
                continue
            left = time_left(value.seconds_left)
            output.progress(f"{value.stage} {value.done}/{value.total}{left}")
    return made
