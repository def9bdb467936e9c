"""Going to an image from anywhere: through the open project, where it is one of its images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_semxai.controllers.edit.images import ImageController
    from napari_semxai.controllers.project.review import ReviewController
    from napari_semxai.state.explanation import FitImage


class ImageOpener:
    """Makes an image the current one without leaving a project that it belongs to.

    Parameters
    ----------
    images : ImageController
        Shows images outside projects.
    review : ReviewController
        Goes to images of the open project, with their masks and records.
    """

    def __init__(self, images: ImageController, review: ReviewController) -> None:
        self._images, self._review = images, review

    def open(self, image: FitImage) -> None:
        """Go to an image, by its file or as it is."""
        known = self._in_project(image)
        if known is not None:
            self._review.go(known)
        elif isinstance(image, Path):
            self._images.open_file(image)
        else:
            self._images.show(image)

    def _in_project(self, image: FitImage) -> str | None:
        """Return the id of an image in the open project, None where it is not of it."""
        path, page = (image, 0) if isinstance(image, Path) else (image.path, image.page)
        opened = self._review.opened
        if opened is None or path is None:
            return None
        found = (
            entry.id
            for entry in opened.project.images
            if entry.page == page and is_same_file(entry.path, path)
        )
        return next(found, None)


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths name one file; a link of another name counts as another file."""
    # The disk, perhaps a slow one, is asked only where the answer can be yes.
    return one == other or (one.name == other.name and one.resolve() == other.resolve())
