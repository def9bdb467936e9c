"""What a source says of each of its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_semxai.algorithms.masks.foreground import AUTO, ForegroundRule


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One image of a source; what is not known is "" or None.

    Attributes
    ----------
    path, page
        Where the image is.
    name : str
        What its id is made of; "/" between folders.
    label, label_source, lot, wafer, defect, pixel_size
        See `ProjectImage`.
    mask : Path or None
        A mask that comes with the image.
    state, comment : str
        What an export wrote of that mask.
    """

    path: Path
    page: int
    name: str
    label: str = ""
    label_source: str = ""
    lot: str = ""
    wafer: str = ""
    defect: str = ""
    pixel_size: float | None = None
    mask: Path | None = None
    state: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """All images of a source.

    Attributes
    ----------
    images : tuple of SourceImage
        In the order of the queue.
    class_names : mapping
        Class label to name.
    failed : mapping
        What could not be listed, and why.
    annotator : str
        Whose masks come with the images.
    mask_rule : ForegroundRule
        What in those masks is foreground.
    """

    images: tuple[SourceImage, ...]
    class_names: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    annotator: str = ""
    mask_rule: ForegroundRule = AUTO
