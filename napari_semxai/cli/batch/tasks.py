"""What one worker does with a chunk of items: the network is loaded once, results are written."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any, Protocol

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

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
