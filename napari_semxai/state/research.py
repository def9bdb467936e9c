"""Sweeps of the current image, commands started from a dock and what they found, the survey."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, SweepResult
from napari_semxai.store.datasets.survey import NO_COLUMNS, OtherColumns
from napari_semxai.types import BoolMask, Heatmap, JobState, SemImage
from napari_semxai.types.survey import AnswerSet


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
    state : JobState
        Where it stands.
    lines : tuple of str
        The last lines that it printed.
    """

    command: tuple[str, ...]
    output: Path
    state: JobState = JobState.RUNNING
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """What a run left in its folder.

    Attributes
    ----------
    words : str
        A table, an advice, or how many results there are.
    picture : Path or None
        A figure, or one image's result.
    sweep : SweepResult or None
        Of alpha and beta.
    image : SemImage or None
        The image that `mask` and `heatmap` belong to.
    mask : ndarray of bool, shape (M, N), or None
        Of Algorithm 1.
    heatmap : Heatmap or None
        The classifier's.
    """

    words: str
    picture: Path | None = None
    sweep: SweepResult | None = None
    image: SemImage | None = None
    mask: BoolMask | None = None
    heatmap: Heatmap | None = None


@dataclass(frozen=True, slots=True)
class SurveyState:
    """The open survey and the answer set in front.

    Attributes
    ----------
    path : Path
        The survey file.
    sets : tuple of AnswerSet
        All of them, the current one included once it holds something.
    consent_text : str
        What participants are asked to agree to.
    current : AnswerSet or None
        Who answers what.
    item : int
        Index of the item in front.
    others : OtherColumns
        What else the file held when it was opened; copies hold it too.
    """

    path: Path
    sets: tuple[AnswerSet, ...]
    consent_text: str
    current: AnswerSet | None = None
    item: int = 0
    others: OtherColumns = NO_COLUMNS
