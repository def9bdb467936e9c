"""How far a job is: one value for engines, downloads, projects and the window."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes
    ----------
    stage : str
        What is being done, for display: "load", "crops", "decode", a file, a title.
    done, total : int
        Steps of this stage: grid points, batches, images, bytes.
    seconds_left : float or None
        Of this stage, from measured speed, once there is one.
    state : JobState
        Where the job stands.
    message : str
        How it ended, or why it failed.
    """

    stage: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    state: JobState = field(default=JobState.RUNNING, kw_only=True)
    message: str = field(default="", kw_only=True)

    @property
    def running(self) -> bool:
        """Whether the job runs now."""
        return self.state is JobState.RUNNING


IDLE = Progress(state=JobState.IDLE)
"""Of a job that nobody has started."""


class Failure(str):
    """A message about what went wrong: it stays until a person closes it."""

    __slots__ = ()
