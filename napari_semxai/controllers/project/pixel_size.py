"""Pixel size by hand: for the open image, or for all of a project."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.open_project import OpenProject
    from napari_semxai.controllers.project.review import ReviewController
    from napari_semxai.state.session import Session


class PixelSizeController:
    """Sets the pixel size of the open image, or of all images of a project without one.

    Parameters
    ----------
    session : Session
        What is shown.
    review : ReviewController
        Knows the project.
    writes : Jobs
        Writes it there.
    """

    def __init__(self, session: Session, review: ReviewController, writes: Jobs) -> None:
        self._session, self._review, self._writes = session, review, writes

    def set_pixel_size(self, metres: float | None) -> None:
        """Set the edge of a pixel of the open image, and keep it in its project."""
        self._session.pixel_size = metres
        opened, queue = self._review.opened, self._session.queue
        if opened is None or queue is None or not queue.current:
            return
        if metres is None:
            self._session.message = (
                "The pixel size of a project cannot be removed, only replaced by another"
            )
        else:
            opened.pixel_sizes[queue.current] = metres
            self._write(opened, queue.current, metres, "")

    def set_for_all(self) -> None:
        """Keep the pixel size for all images of the project that have none."""
        opened, metres = self._review.opened, self._session.pixel_size
        if opened is None or metres is None:
            self._session.message = "Enter a pixel size first"
        else:
            said = f"Pixel size of all images without one: {metres * 1e9:g} nm"
            self._write(opened, None, metres, said)

    def _write(self, opened: OpenProject, image_id: str | None, metres: float, said: str) -> None:
        self._writes.run(
            f"pixel size of {image_id or 'all'}",
            partial(opened.project.set_pixel_size, image_id, metres),
            partial(self._on_written, said),
            self._on_failed,
        )

    def _on_written(self, said: str, _: object) -> None:
        if said:
            self._session.message = said

    def _on_failed(self, message: str) -> None:
        self._session.message = message
