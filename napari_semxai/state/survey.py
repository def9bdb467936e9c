"""The open survey."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_semxai.store.datasets.survey import NO_COLUMNS, OtherColumns
from napari_semxai.types.survey import AnswerSet


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
