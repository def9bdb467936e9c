"""What a review shows beside the queue itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.masks.click_edits import AnswerDoubts
from napari_semxai.types import (
    BoolMask,
    Prompts,
    ReviewChange,
    ReviewRecord,
    Scores,
    SemImage,
)


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """What an image of a project is opened with.

    Attributes
    ----------
    key : str
        Names image and annotator in recovery copies; "" goes by the image's pixels.
    mask : ndarray of bool, shape (M, N), or None
        The stored mask.
    edited : bool
        Whether a person made the mask: sliders must not change it.
    on_disk : bool
        Whether the stored mask is written; before that its recovery copy must stay.
    pixel_size : float or None
        Edge of a pixel in metres, where the project knows another than the image.
    """

    key: str = ""
    mask: BoolMask | None = None
    edited: bool = False
    on_disk: bool = True
    pixel_size: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """A mask that was let go with changes that no file holds yet.

    Attributes
    ----------
    key : str
        Of its recovery copy.
    image : SemImage
        Whose mask it is.
    mask : ndarray of bool, shape (M, N)
        A copy.
    """

    key: str
    image: SemImage
    mask: BoolMask


@dataclass(frozen=True, slots=True, eq=False)
class UnsavedMask:
    """A mask with strokes, of an image outside projects, that no file holds.

    Attributes
    ----------
    key : str
        Of its recovery copy.
    name : str
        Of the image.
    path : Path or None
        Of the image, where it has a file.
    mask : ndarray of bool, shape (M, N)
        A copy.
    """

    key: str
    name: str
    path: Path | None
    mask: BoolMask


@dataclass(frozen=True, slots=True, eq=False)
class PastReview:
    """A review that can be undone.

    Attributes
    ----------
    before : ReviewRecord
        Of the image as it was shown before, strokes that no file held yet among it.
    after : ReviewRecord
        As the review left it.
    bits : ndarray of uint8 or None
        The mask before, bit by bit: many are kept. None without a mask.
    shape : tuple of int
        (M, N) of the image.
    """

    before: ReviewRecord
    after: ReviewRecord
    bits: NDArray[np.uint8] | None
    shape: tuple[int, int]

    def undone(self, now: ReviewRecord) -> ReviewChange:
        """Return the change to the record as it is now that undoes the review.

        Class and comment that were given since stay.
        """
        kept = {
            name: getattr(now, name)
            for name in ("label", "comment")
            if getattr(now, name) != getattr(self.after, name)
        }
        mask: BoolMask | None = None
        if self.bits is not None:
            flat = np.unpackbits(self.bits, count=self.shape[0] * self.shape[1])
            mask = flat.reshape(self.shape).astype(bool)
        return ReviewChange(mask=mask, back=replace(self.before, **kept))


@dataclass(frozen=True, slots=True, eq=False)
class OtherMasks:
    """What other annotators hold of the current image.

    Attributes
    ----------
    masks : mapping
        Annotator to mask (M, N).
    agreement : mapping
        Two annotators, this one among them, to the counts of one mask against the other.
    """

    masks: Mapping[str, BoolMask]
    agreement: Mapping[tuple[str, str], Scores]


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """An answer to clicks or a box that is shown and waits for a person's word.

    Attributes
    ----------
    before, after : ndarray of bool, shape (M, N)
        The object in the mask when the network was asked, and as the answer has it.
    prompts : Prompts
        What was asked.
    doubts : AnswerDoubts
        Why it was not taken unasked.
    title : str
        What the edit would be called.
    details : mapping
        What the edit would keep of the question, as JSON can hold it.
    """

    before: BoolMask
    after: BoolMask
    prompts: Prompts
    doubts: AnswerDoubts
    title: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Clicks:
    """The SAM click tool.

    Attributes
    ----------
    active : bool
        Whether clicks on the image are prompts.
    prompts : Prompts
        Of the object that is worked on.
    state : str
        "idle", "loading", "encoding", "answering" or "failed".
    message : str
        What a person reads.
    offer : Offer or None
        The answer that waits for a word.
    """

    active: bool = False
    prompts: Prompts = field(default_factory=Prompts)
    state: str = "idle"
    message: str = ""
    offer: Offer | None = None
