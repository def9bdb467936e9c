"""Every image of a command: what fails is named, and the rest is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.batch.batch import Stopwatch, clock, run_batch
from napari_semxai.cli.common.output import BAD_INPUT, DONE, INTERRUPTED, SOME_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_semxai.cli.batch.batch import BatchOptions
    from napari_semxai.cli.batch.tasks import Work
    from napari_semxai.cli.common.output import Output
    from napari_semxai.cli.common.sources import Source


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
        for message in self.failed.values():
            output.error(message)
        if self.stopped:
            output.error(f"stopped; {len(self.done)} of {self.total} images are done and kept")
            return INTERRUPTED
        if self.failed and self.done:
            output.error(f"{len(self.failed)} failed, {len(self.done)} done")
        if self.failed:
            return SOME_FAILED if self.done else BAD_INPUT
        return DONE


def do_each(
    work: Work,
    sources: Sequence[Source],
    failed: dict[str, str],
    batch: BatchOptions,
    output: Output,
    on_loaded: Callable[[Any], None],
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
    on_loaded : callable
        As in `run_batch`.

    Returns
    -------
    Outcome
    """
    done: list[dict[str, Any]] = []
    stopped = False
    watch = Stopwatch(len(sources))
    try:
        for answer in run_batch(work, sources, batch, on_loaded):
            label, text = answer.item.label, watch.tick(answer)
            if answer.result is None:
                failed[label] = answer.error
            else:
                done.append(answer.result)
                place = f"{len(done) + len(failed)}/{len(sources)}"
                output.say(f"{place} {label}: {answer.result['summary']}")
            output.progress(text)
    except KeyboardInterrupt:
        stopped = True
    done.sort(key=lambda entry: (entry["image"], entry["page"]))
    if len(done) > 1:
        output.say(f"{len(done)} images in {clock(watch.seconds)}")
    return Outcome(done, failed, stopped, len(sources))
