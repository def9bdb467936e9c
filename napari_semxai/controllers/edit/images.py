"""Images: opening one is the one way of leaving another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_semxai.controllers.edit.recovery import image_key, leftovers
from napari_semxai.state.review import Opening
from napari_semxai.state.session import Found, SaveState
from napari_semxai.store.images.read import image_from_array, read_image
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.segment.segment import SegmentController
    from napari_semxai.state.session import Session
    from napari_semxai.store.disk.recovery_copies import Recovery
    from napari_semxai.types import BoolMask, SemImage

_KEPT = 32
"""Images to come back to: each a bit for a pixel, and its candidates' runs."""


@dataclass(frozen=True, slots=True, eq=False)
class _Visit:
    """What was there when an image outside all projects was left; the mask bit by bit."""

    bits: NDArray[np.uint8] | None
    edited: bool
    save: SaveState
    pixel_size: float | None
    found: Found | None

    def opening(self, shape: tuple[int, ...]) -> Opening:
        """Return what the image is opened with; a mask in no file keeps its recovery copy."""
        mask: BoolMask | None = None
        if self.bits is not None:
            mask = np.unpackbits(self.bits, count=shape[0] * shape[1]).reshape(shape).astype(bool)
        written = self.save.state in ("clean", "saved")
        return Opening(mask=mask, edited=self.edited, on_disk=written)


class ImageController:
    """Open files and arrays as the current image.

    Parameters
    ----------
    session : Session
        Where the image goes.
    jobs : Jobs
        Reads and scales images.
    segment : SegmentController
        Told about the new image.
    edit : EditController
        Told before the old one goes.
    """

    def __init__(
        self, session: Session, jobs: Jobs, segment: SegmentController, edit: EditController
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._segment = segment
        self._edit = edit
        self._key = ""
        self._visits: dict[str, _Visit] = {}

    def open_file(self, path: Path, page: int = 0) -> None:
        """Read a file in the background and make it the current image."""
        self._open(partial(read_image, path, page))

    def turn_page(self, step: int) -> None:
        """Open the page that lies `step` pages on in the current image's file."""
        image = self._session.image
        if image is not None and image.path is not None:
            page = image.page + step
            if 0 <= page < image.page_count:
                self.open_file(image.path, page)

    def open_array(
        self,
        array: NDArray[Any],
        name: str,
        on_ready: Callable[[SemImage], None],
        *,
        path: Path | None = None,
        page: int = 0,
        pixel_size: float | None = None,
    ) -> None:
        """Make an array the current image; `on_ready` is told the image just before.

        An array that came from a file is read again, because the file also tells its pixel
        size and where its info bar begins. A size that is given is right, whatever the file says.
        """

        def read() -> SemImage:
            image = _from_file_or_array(array, name, path, page)
            return image if pixel_size is None else replace(image, pixel_size=pixel_size)

        self._open(read, on_ready)

    def show(self, image: SemImage | None, opening: Opening | None = None) -> None:
        """Make `image` the current one; the one before is left through `EditController.leave`.

        An image outside projects comes back as it was left, in this process.

        Parameters
        ----------
        image : SemImage or None
            None shows nothing.
        opening : Opening, optional
            The stored mask that an image of a project comes with.
        """
        self._jobs.forget("open image")
        if image is self._session.image:
            return
        self._remember()
        self._edit.leave()
        self._key = "" if image is None or opening is not None else image_key(image)
        visit = self._visits.pop(self._key, None)
        if visit is not None and image is not None:
            opening = visit.opening(image.gray.shape)
        self._session.opening = opening or Opening()
        self._segment.open(image)
        self._session.edited = self._session.opening.edited
        self._session.pixel_size = None if image is None else image.pixel_size
        if self._session.opening.pixel_size is not None:
            self._session.pixel_size = self._session.opening.pixel_size
        if visit is not None:
            self._come_back(visit)

    def look_for_leftovers(self, folder: Path) -> None:
        """Find images with strokes that an earlier session did not save."""

        def found(copies: tuple[Recovery, ...]) -> None:
            self._session.leftovers = copies

        self._jobs.run("leftovers", partial(leftovers, folder), found, self._on_failed)

    def _remember(self) -> None:
        if not self._key:
            return
        session, mask = self._session, self._edit.mask
        self._visits[self._key] = _Visit(
            None if mask is None else np.packbits(mask),
            session.edited,
            session.save,
            session.pixel_size,
            self._segment.found,
        )
        while len(self._visits) > _KEPT:
            del self._visits[next(iter(self._visits))]

    def _come_back(self, visit: _Visit) -> None:
        self._session.pixel_size = visit.pixel_size
        self._session.save = visit.save
        if visit.found is not None:
            self._segment.resume(visit.found)

    def _open(
        self, read: Callable[[], SemImage], on_ready: Callable[[SemImage], None] | None = None
    ) -> None:
        def ready(image: SemImage) -> None:
            if on_ready is not None:
                on_ready(image)
            self.show(image)

        self._jobs.run("open image", read, ready, self._on_failed)

    def _on_failed(self, message: str) -> None:
        self._session.message = message


def _from_file_or_array(array: NDArray[Any], name: str, path: Path | None, page: int) -> SemImage:
    if path is not None:
        try:
            image = read_image(path, page)
        except InputError:
            # Another reader opened a format that ours does not know.
            pass
        else:
            if image.gray.shape == array.shape[:2]:
                return image
    return image_from_array(array, name, path=path, page=page)
