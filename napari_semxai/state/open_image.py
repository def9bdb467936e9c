"""The open image with all that is known of it, and what it is left with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from napari_semxai.store.project.index.open_project import Entry
from napari_semxai.types import BoolMask, ReviewRecord, SemImage


class SaveStage(StrEnum):
    """How safe the strokes of an image are; "recovery": a recovery copy is up to date."""

    CLEAN = "clean"
    UNSAVED = "unsaved"
    RECOVERY = "recovery"
    SAVED = "saved"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SaveState:
    """Where the strokes of the current image are.

    Attributes
    ----------
    state : SaveStage
        How safe they are.
    path : Path or None
        The mask file, once saved.
    message : str
        What a person reads.
    """

    state: SaveStage = SaveStage.CLEAN
    path: Path | None = None
    message: str = ""

    @property
    def on_disk(self) -> bool:
        """Whether a file holds the mask, so that its recovery copy is not needed."""
        return self.state in (SaveStage.CLEAN, SaveStage.SAVED)


@dataclass(frozen=True, slots=True, eq=False)
class OpenImage:
    """An image that is open, from the moment it opens.

    Only the image controller makes one; while it is open, `Session.update_image` replaces what
    changes.

    Attributes
    ----------
    image : SemImage
        The image.
    key : str
        Names image and annotator in recovery copies; "" goes by the image's pixels.
    mask : ndarray of bool, shape (M, N), or None
        The mask it is opened with.
    ignored : ndarray of bool, shape (M, N), or None
        The pixels it is opened with that count for nothing.
    edited : bool
        Whether a person made the mask: sliders must not change it.
    pixel_size : float or None
        Edge of a pixel in metres.
    save : SaveState
        Where its strokes are. A mask in no file keeps its recovery copy.
    entry : Entry or None
        What its project stores of it, what waits to be written included; None outside projects.
    record : ReviewRecord or None
        The review as it is shown: void from the first stroke on, before that is written.
    """

    image: SemImage
    key: str = ""
    mask: BoolMask | None = None
    ignored: BoolMask | None = None
    edited: bool = False
    pixel_size: float | None = None
    save: SaveState = field(default_factory=SaveState)
    entry: Entry | None = None
    record: ReviewRecord | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """The mask that an image is left with.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        Not written to any more.
    unsaved : bool
        Whether it has strokes that no file but the recovery copy holds.
    """

    mask: BoolMask
    unsaved: bool


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
    ignored : ndarray of bool, shape (M, N), or None
        Pixels that count for nothing.
    """

    key: str
    name: str
    path: Path | None
    mask: BoolMask
    ignored: BoolMask | None = None
