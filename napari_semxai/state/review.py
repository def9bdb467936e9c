"""What a review shows beside the queue itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_semxai.types import BoolMask, Prompts, Scores, SemImage


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Work over a whole project: making one, or masks for its queue.

    Attributes
    ----------
    title : str
        What is done; "" for nothing.
    done, total : int
        Images.
    seconds_left : float or None
        Estimate from measured speed.
    """

    title: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


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
    """

    active: bool = False
    prompts: Prompts = field(default_factory=Prompts)
    state: str = "idle"
    message: str = ""
