"""Many images: in this process, in several, or on the workers of a Dask scheduler.

A task is a chunk of paths. Each worker loads the network once and writes results itself; what
comes back is small. A result that is there already for the same content and settings is kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_semxai.cli.batch.workers import KEPT, do_chunk, load_work, on_dask, on_processes
from napari_semxai.cli.common.options import count
from napari_semxai.cli.common.output import INTERRUPTED, SOME_FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from napari_semxai.cli.batch.workers import Answer, Work
    from napari_semxai.cli.common.output import Output
    from napari_semxai.cli.common.sources import Source
    from napari_semxai.types import Progress


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run over many images ended.

    Attributes
    ----------
    done : list of dict
        The short result of each image that was done.
    failed : dict
        Why, of each input that failed.
    stopped : bool
        Whether the keyboard ended it early.
    total : int
        Images that were to be done.
    """

    done: list[dict[str, Any]]
    failed: dict[str, str]
    stopped: bool
    total: int

    @property
    def rest(self) -> dict[str, Any]:
        """What programs are told apart from the results."""
        return {"failed": self.failed, "stopped": self.stopped}

    def conclude(self, output: Output) -> int:
        """Name what failed, and return the exit code."""
        code = output.conclude(self.failed, self.done)
        if self.stopped:
            output.error(f"stopped; {len(self.done)} of {self.total} images are done and kept")
            return INTERRUPTED
        if code == SOME_FAILED:
            output.error(f"{len(self.failed)} failed, {len(self.done)} done")
        return code


def do_each(
    work: Work,
    sources: Sequence[Source],
    failed: dict[str, str],
    batch: BatchOptions,
    output: Output,
) -> Outcome:
    """Do every image and say what became of it.

    Parameters
    ----------
    work : Work
        What to do; its results hold "image", "page" and "summary", a line for people.
    sources : sequence of Source
        The images.
    failed : dict
        Inputs that could not be listed, and why.
    batch : BatchOptions
        Where it runs.
    output : Output
        Where it is said.

    Returns
    -------
    Outcome
    """
    done: list[dict[str, Any]] = []
    stopped = False
    watch = Stopwatch(len(sources))
    try:
        for answer in run_batch(work, sources, batch, output.follow):
            label, text = answer.item.label, watch.tick(answer)
            if answer.result is None:
                failed[label] = answer.error
            else:
                done.append(answer.result)
                place = f"{len(done) + len(failed)}/{len(sources)}"
                output.say(f"{place} {label}: {answer.result['summary']}")
            output.progress(text)
    # What is done is written already, and is told like any other result.
    except KeyboardInterrupt:
        stopped = True
    # Several processes end in any order; two runs must print the same.
    done.sort(key=lambda entry: (entry["image"], entry["page"]))
    if len(done) > 1:
        output.say(f"{len(done)} images in {clock(watch.seconds)}")
    return Outcome(done, failed, stopped, len(sources))


_BAR = 20


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
    on_update: Callable[[Progress], None] | None = None,
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
    on_update : callable, optional
        Told in this process how far an item is, by what `Work.load` returned, where that can.

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
        yield from on_dask(work, items, options.scheduler, options.threads)
    # A process of its own loads the network again: not for one image.
    elif options.jobs > 1 and len(items) > 1:
        yield from on_processes(work, items, options.jobs, options.threads)
    else:
        run = uuid4().hex
        if items:
            loaded = load_work(work, options.threads, run)
            # Only here: in other processes the network is not in this one.
            if on_update is not None and hasattr(loaded, "on_update"):
                loaded.on_update = on_update
        for item in items:
            yield from do_chunk(work, [item], options.threads, run)


def pace(done: int, total: int, seconds: float, kept: int = 0) -> str:
    """Say how far a batch is, how fast, and how long it will take, after a bar.

    What an earlier run left, `kept` of those that are done, took no time.
    """
    filled = _BAR * done // max(total, 1)
    text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {done}/{total}"
    # Those that were there already cost nothing, and would promise too early an end.
    made = done - kept
    if not made:
        return text
    left = seconds / made * (total - done)
    return f"{text}, {made / seconds:.2f} images/s, about {clock(left)} left"


def clock(seconds: float) -> str:
    """Return a duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


class Stopwatch:
    """Says how far a batch is."""

    def __init__(self, total: int) -> None:
        self._start, self._total = time.perf_counter(), total
        self._done = self._kept = 0

    def tick(self, answer: Answer) -> str:
        """Count one image and return `pace`."""
        self._done += 1
        self._kept += bool(answer.result and answer.result.get(KEPT))
        return pace(self._done, self._total, self.seconds, self._kept)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start
