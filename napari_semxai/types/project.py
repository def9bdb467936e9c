"""A project: many images, several annotators, and what is known of every mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.types.image import BoolMask

if TYPE_CHECKING:
    from napari_semxai.types.classifier import Classification

PROJECT_FILE = "project.json"
"""The file that makes a folder a project."""


class ReviewState(StrEnum):
    """What an annotator says of the mask of an image."""

    # These words stand in the files of users: one may be added, none changed.
    CANDIDATE = "candidate"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    NO_DEFECT = "no defect"
    REJECTED = "rejected"
    UNSURE = "unsure"
    # In no file: earlier programs read a candidate there, see `ReviewRecord.rule`.
    BY_RULE = "accepted by rule"

    @property
    def is_reviewed(self) -> bool:
        """Whether somebody has said what the mask is worth."""
        return self not in (ReviewState.CANDIDATE, ReviewState.BY_RULE)

    @property
    def is_truth(self) -> bool:
        """Whether a mask in this state counts as truth for scores."""
        return self in (ReviewState.ACCEPTED, ReviewState.CORRECTED, ReviewState.NO_DEFECT)


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """What holds for the whole project.

    Attributes
    ----------
    id : str
        Random, never changes.
    name : str
        For people.
    created : str
        UTC, ISO 8601.
    source : str
        Folder or file that the project was made from.
    class_names : mapping
        Class label to the name shown for it.
    reference : str
        As `AlgorithmSettings.reference`, where somebody chose it; else "".
    exports : mapping
        Name of a format to what was chosen for it last, as JSON holds it.
    """

    id: str
    name: str
    created: str
    source: str
    class_names: Mapping[str, str]
    reference: str = ""
    exports: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProjectImage:
    """One image of a project; what is not known is "" or None.

    Attributes
    ----------
    id : str
        Names the image's masks and records; safe as a file name; never changes.
    path : Path
        The original file, which is only ever read.
    page : int
        Page of a multi-page file, counted from 0.
    shape : tuple of int
        (M, N) pixels.
    sha256 : str
        Digest of the pixels as stored in the file.
    label, label_source : str
        Class, and the column or file that it came from.
    lot, wafer, defect : str
        Identifiers of the inspection.
    pixel_size : float or None
        Metres.
    name : str
        What people call the image, in any script, "/" between folders; the id where unknown.
    stem : str
        Names files that are made of the image: the id, with letters of any script where the
        name has such.
    turned : int
        See `SemImage.turned`.
    reference : Path or None
        See `SemImage.reference`.
    """

    id: str
    path: Path
    page: int
    shape: tuple[int, int]
    sha256: str
    label: str = ""
    label_source: str = ""
    lot: str = ""
    wafer: str = ""
    defect: str = ""
    pixel_size: float | None = None
    name: str = ""
    stem: str = ""
    turned: int = 1
    reference: Path | None = None


@dataclass(frozen=True, slots=True)
class MaskPart:
    """One object of a mask as it came in: parts may overlap, and edits of the mask cut them.

    Attributes
    ----------
    counts : str
        Its pixels in the image as COCO's compressed run lengths.
    label : str
        Its class; "" for that of the mask.
    crowd : bool
        Whether it is many objects, as COCO's ``iscrowd`` says.
    value : str
        What it was in its file: an id of an annotation, or the value of its pixels.
    """

    counts: str
    label: str = ""
    crowd: bool = False
    value: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ChosenMask:
    """An image with the mask that stands for it.

    Attributes
    ----------
    image : ProjectImage
        Which image.
    mask : ndarray of bool, shape (M, N)
        Its mask.
    state : str
        Of the annotator's record; "consensus" for a majority.
    annotators : tuple of str
        Whose masks went in.
    label, label_source : str
        Class: the annotator's, or that of the table; the most frequent one for a majority. Its
        source is then the annotator's name.
    comment : str
        The annotator's.
    parts : tuple of MaskPart
        Objects of the mask, where it came in with several.
    ignored : ndarray of bool, shape (M, N), or None
        Pixels that count for nothing, as any of the annotators marked them; None for none.
    """

    image: ProjectImage
    mask: BoolMask
    state: str
    annotators: tuple[str, ...]
    label: str
    label_source: str
    comment: str
    parts: tuple[MaskPart, ...] = ()
    ignored: BoolMask | None = None


@dataclass(frozen=True, slots=True)
class MaskEdit:
    """One edit of a mask: the pixels that it flipped, so that applying it again undoes it.

    Attributes
    ----------
    name : str
        For example "stroke", "fill holes", "SAM click".
    box : tuple of int
        (row0, column0, row1, column1), ends excluded; all 0 where nothing changed.
    runs : tuple of int
        Lengths of runs in the box, row by row: kept, flipped, kept, …
    details : mapping
        What the edit was asked for, for example the prompts of a SAM click.
    """

    name: str
    box: tuple[int, int, int, int]
    runs: tuple[int, ...]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MaskRecipe:
    """How a mask was made: what it began with, then every edit in order.

    Attributes
    ----------
    base : str
        "empty", "automatic" (Algorithm 1 over SAM 2 candidates) or "mask" (given as it is).
    base_sha256 : str
        Digest of the mask before the first edit.
    image_sha256 : str
        Digest of the image's pixels.
    settings : mapping
        Of an automatic base: model and its digest, alpha, beta, thresholds; see
        ``docs/projects.md``.
    edits : tuple of MaskEdit
        In order.
    versions : mapping
        Package name to version.
    turned : int
        Of the image; see `SemImage.turned`.
    """

    base: str
    base_sha256: str
    image_sha256: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    edits: tuple[MaskEdit, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    turned: int = 1


@dataclass(frozen=True, slots=True)
class ReviewEvent:
    """One line of a record's history.

    Attributes
    ----------
    time : str
        UTC, ISO 8601.
    kind : str
        "review", "edit", "note", "rule" (accepted by one) or "undo" (of a review).
    state : ReviewState
        After the event.
    label, comment : str
        After the event.
    mask_sha256 : str
        Digest of the mask after the event; "" without a mask.
    image_sha256, recipe_sha256 : str
        Of the image's pixels, and of what made the mask; "" in earlier histories.
    previous : str
        Digest of the event before; "" in earlier histories.
    """

    time: str
    kind: str
    state: ReviewState
    label: str
    comment: str
    mask_sha256: str
    image_sha256: str = ""
    recipe_sha256: str = ""
    previous: str = ""


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """What one annotator says of one image.

    Attributes
    ----------
    image, annotator : str
        Whose record it is.
    state : ReviewState
        "candidate" until reviewed, and again after a later edit.
    voided : ReviewState or None
        The review that a later edit of the mask made void.
    label : str
        Class as this annotator sees it; "" where nothing was said.
    comment : str
        Free text.
    time : str
        Of the last event; UTC, ISO 8601.
    mask_sha256 : str
        Digest of the mask (M, N) as an array of bool; "" without a mask.
    area : int
        Foreground pixels.
    confidence : float or None
        Of the classifier for its class.
    classifier_sha256, classifier_synthetic : str; bool or None
        Digest of its weights, "" where unknown; whether it was trained on synthetic images only.
    score : float or None
        Of the automatic mask.
    recipe : MaskRecipe or None
        How the mask was made.
    history : tuple of ReviewEvent
        Oldest first; only ever grows.
    parts : tuple of MaskPart
        Objects of the mask, where it came in with several.
    rule : str
        Certificate by which the mask was accepted unseen; "" for none.
    ignored : str
        Pixels that count for nothing, as COCO's compressed run lengths; "" for none.
    """

    image: str
    annotator: str
    state: ReviewState = ReviewState.CANDIDATE
    voided: ReviewState | None = None
    label: str = ""
    comment: str = ""
    time: str = ""
    mask_sha256: str = ""
    area: int = 0
    confidence: float | None = None
    classifier_sha256: str = ""
    classifier_synthetic: bool | None = None
    score: float | None = None
    recipe: MaskRecipe | None = None
    history: tuple[ReviewEvent, ...] = ()
    parts: tuple[MaskPart, ...] = ()
    rule: str = ""
    ignored: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ReviewChange:
    """What to write about one image; None leaves as it is.

    Attributes
    ----------
    state : ReviewState or None
        A review. Without it a changed mask makes an earlier review void.
    mask : ndarray of bool, shape (M, N), or None
        The mask; "no defect" writes an empty one whatever is given.
    recipe : MaskRecipe or None
        How `mask` was made.
    label, comment, score, confidence, classifier_sha256, classifier_synthetic
        See `ReviewRecord`; what the confidence is of is written with it only.
    back : ReviewRecord or None
        A review is undone: the record as it was before it, with `mask` as it was then, None for
        none. Only the history stays and grows; nothing else of the change counts.
    parts : tuple of MaskPart or None
        Objects of `mask`.
    rule : str
        Certificate by which the mask is accepted, with `ReviewState.BY_RULE`.
    ignored : ndarray of bool, shape (M, N), or None
        Pixels that count for nothing, with `mask`; an empty region takes them back.
    """

    state: ReviewState | None = None
    mask: BoolMask | None = None
    recipe: MaskRecipe | None = None
    label: str | None = None
    comment: str | None = None
    confidence: float | None = None
    score: float | None = None
    classifier_sha256: str = ""
    classifier_synthetic: bool | None = None
    back: ReviewRecord | None = None
    parts: tuple[MaskPart, ...] | None = None
    rule: str = ""
    ignored: BoolMask | None = None

    def classified(self, known: Classification | None) -> ReviewChange:
        """Return the change with what a classifier says of the image, where that is known."""
        if known is None:
            return self
        return replace(
            self,
            confidence=known.confidence,
            classifier_sha256=known.info.sha256,
            classifier_synthetic=known.info.synthetic,
        )
