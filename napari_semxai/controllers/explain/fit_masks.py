"""Validated masks of the images that concepts are fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.store.project.project import open_project
from napari_semxai.types import BoolMask, SemImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.state.explanation import FitImage
    from napari_semxai.state.session import Session


@dataclass(frozen=True, slots=True, eq=False)
class FitMasks:
    """Where masks are known, taken out of the session before a thread reads them.

    Attributes
    ----------
    image : SemImage or None
        The current image.
    mask : ndarray of bool, shape (M, N), or None
        Its validated mask.
    project : Path or None
        The open project.
    annotator : str
        Whose masks of it count before those of others.
    """

    image: SemImage | None
    mask: BoolMask | None
    project: Path | None = None
    annotator: str = ""

    def of(self, images: Sequence[FitImage]) -> tuple[BoolMask | None, ...]:
        """Return a mask for each image, None where it is not known; () where none is.

        Raises
        ------
        InputError
            When the project cannot be read.
        """
        found = self._of_project()
        if self.image is not None and self.mask is not None:
            found[id(self.image)] = self.mask
            if self.image.path is not None and self.image.page == 0:
                found[self.image.path.resolve()] = self.mask
        masks = tuple(
            found.get(image.resolve() if isinstance(image, Path) else id(image))
            for image in images
        )
        return masks if any(mask is not None for mask in masks) else ()

    def _of_project(self) -> dict[Path | int, BoolMask]:
        if self.project is None:
            return {}
        project = open_project(self.project)
        annotators = [*project.annotators(), self.annotator]
        found: dict[Path | int, BoolMask] = {}
        for image in project.images:
            for name in annotators if image.page == 0 else ():
                record, mask = project.record(image.id, name), project.mask(image.id, name)
                # The own mask comes last and counts.
                if record is not None and record.state.is_truth and mask is not None:
                    found[image.path.resolve()] = mask
        return found


def fit_masks(session: Session, mask: BoolMask | None) -> FitMasks:
    """Note where masks are known: a loaded truth or a person's `mask`, and the open project."""
    if session.loaded_truth is not None:
        mask = session.loaded_truth.mask
    elif not session.edited:
        # What only the algorithm says is no truth.
        mask = None
    queue = session.queue
    if queue is None:
        return FitMasks(session.image, mask)
    return FitMasks(session.image, mask, queue.folder, queue.annotator)
