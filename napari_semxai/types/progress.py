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


def time_left(seconds: float | None) -> str:
    """Return how long a job still takes, as people say it; "" where nobody knows.

    Examples
    --------
    >>> time_left(19.2), time_left(236.0), time_left(9000.0)
    (', about 19 s left', ', about 4 min left', ', about 2.5 h left')
    """
    if seconds is None:
        return ""
    if seconds < 99.5:
        return f", about {seconds:.0f} s left"
    if seconds < 99.5 * 60:
        return f", about {seconds / 60:.0f} min left"
    return f", about {seconds / 3600:.1f} h left"


class Failure(str):
    """A message about what went wrong: it stays until a person closes it."""

    __slots__ = ()
