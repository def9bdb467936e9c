"""Sweeps of the current image, and commands that were started from a dock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_semxai.algorithms.sweep import ImagePlane, SweepResult


@dataclass(frozen=True, slots=True, eq=False)
class ImageSweep:
    """Algorithm 1 over alpha and beta on the current image.

    Attributes
    ----------
    result : SweepResult
        Of this one image.
    plane : ImagePlane
        Its scores and winners.
    advice : str
        The best point in words.
    """

    result: SweepResult
    plane: ImagePlane
    advice: str


@dataclass(frozen=True, slots=True)
class RunState:
    """A ``semxai`` command that was started from a dock.

    Attributes
    ----------
    command : tuple of str
        Its arguments.
    output : Path
        Where its results go.
    state : str
        "running", "done", "failed" or "stopped".
    lines : tuple of str
        The last lines that it printed.
    """

    command: tuple[str, ...]
    output: Path
    state: str = "running"
    lines: tuple[str, ...] = ()
