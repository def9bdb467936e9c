"""Images: opening one is the one way of leaving another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_semxai.controllers.edit.recovery import image_key, leftovers
from napari_semxai.controllers.segment.candidates import CandidateMemory
from napari_semxai.state.open_image import OpenImage, SaveStage, SaveState
from napari_semxai.state.review import unpacked
from napari_semxai.state.session import Found, named
from napari_semxai.store.images.read import image_from_array, read_image
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.review_writer import ReviewWriter
    from napari_semxai.controllers.segment.segment import SegmentController
    from napari_semxai.state.explanation import FitImage
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import Entry, OpenProject
    from napari_semxai.types import BoolMask, SemImage

_KEPT = 32
"""Images to come back to: each a bit for a pixel, and its candidates' runs."""
AHEAD = (1, 2, -1)
"""Which neighbours are read before they are asked for."""
_OPEN = "open image"


@dataclass(frozen=True, slots=True, eq=False)
class _Visit:
    """What was there when an image outside all projects was left; masks bit by bit."""

    bits: NDArray[np.uint8] | None = None
    ignored: NDArray[np.uint8] | None = None
    edited: bool = False
    save: SaveState = field(default_factory=SaveState)
    pixel_size: float | None = None
    found: Found | None = None

    @classmethod
    def of(
        cls,
        current: OpenImage,
        mask: BoolMask | None,
        ignored: BoolMask | None,
        found: Found | None,
    ) -> _Visit:
        """Return what is there now."""
        bits, region = (None if one is None else np.packbits(one) for one in (mask, ignored))
        return cls(bits, region, current.edited, current.save, current.pixel_size, found)

    def open(self, image: SemImage, key: str) -> OpenImage:
        """Return the image as it was left."""
        mask, ignored = (unpacked(bits, image.gray.shape) for bits in (self.bits, self.ignored))
        return OpenImage(image, key, mask, ignored, self.edited, self.pixel_size, self.save)


class ImageController:
    """Makes an image the current one: a file, an array, or an image of the open project.

    Nothing else opens an image or leaves one, so that no stroke is lost on any way: each ends in
    `_leave_image` and `_start_image`.

    Parameters
    ----------
    session : Session
        Where the image goes.
    jobs : Jobs
        Reads and scales images.
    segment : SegmentController
        Told about the new image.
    edit : EditController
        Gives back the mask of the old one.
    writer : ReviewWriter
        Takes it where the image belongs to a project.

    Attributes
    ----------
    is_shown : callable
        Whether the window has the open image's picture and mask, which a person may remove.
    """

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        segment: SegmentController,
        edit: EditController,
        writer: ReviewWriter,
    ) -> None:
        self._session, self._jobs = session, jobs
        self._segment, self._edit, self._writer = segment, edit, writer
        self._visits: dict[str, _Visit] = {}
        self.candidates = CandidateMemory(session)
        self.is_shown: Callable[[], bool] = lambda: True
        self._wanted: tuple[str, ...] = ()

    def open_file(self, path: Path, page: int = 0) -> None:
        """Read a file in the background and make it the current image."""
        self._jobs.run(_OPEN, partial(read_image, path, page), self.show)

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

        def show(image: SemImage) -> None:
            on_ready(image)
            self.show(image)

        self._jobs.run(_OPEN, read, show)

    def open(self, image: FitImage) -> None:
        """Go to an image from anywhere: through the open project, where it is one of its images.

        Parameters
        ----------
        image : SemImage or Path
            The image, or its file.
        """
        known = _in_project(self._session.project, image)
        if known is not None:
            self.go(known)
        elif isinstance(image, Path):
            self.open_file(image)
        else:
            self.show(image)

    def show(self, image: SemImage | None) -> None:
        """Make an image outside projects the current one, as it was left in this process.

        Parameters
        ----------
        image : SemImage or None
            None shows nothing.
        """
        self._jobs.forget(_OPEN)
        if image is self._session.image:
            return
        self._leave_image()
        if image is None:
            self._start_image(None)
            return
        key = image_key(image)
        visit = self._visits.pop(key, None) or _Visit(pixel_size=image.pixel_size)
        self._start_image(visit.open(image, key))
        if visit.found is not None:
            self._segment.resume(visit.found)

    def go(self, *images: str) -> None:
        """Open the first of these images of the project that can be read; say which ones cannot.

        Nothing happens where the first one is open.
        """
        project, entry = self._session.project, self._session.entry
        if project is None or not images or (entry is not None and entry.id == images[0]):
            return
        # The list itself tells whether a person has gone elsewhere while a slow drive is read.
        self._wanted = images
        # On the GUI thread: an image that was read ahead opens without a turn through a thread.
        known = project.cache.get(images[0])
        if known is not None:
            self.show_entry(project, known)
        else:
            read = partial(project.first_readable, images, lambda: self._wanted is images)
            self._jobs.run(_OPEN, read, partial(self._on_read, project))

    def show_entry(self, project: OpenProject, entry: Entry) -> None:
        """Make an image of the open project the current one, and read its neighbours."""
        self._jobs.forget(_OPEN)
        if project is not self._session.project or entry.image is self._session.image:
            return
        self._leave_image()
        self._start_image(_opened(project, entry))
        found = self.candidates.of_current()
        if found is not None:
            self._segment.resume(found)
        self._read_ahead(project)

    def reopen(self, image_id: str) -> None:
        """Show the mask that was made behind, unless a person has begun with the image."""
        project = self._session.project
        if project is not None and self._is_untouched(image_id):
            read = partial(project.cache.load, image_id)
            self._jobs.run("read again", read, partial(self._on_read_again, project))

    def bring_back(self) -> bool:
        """Show the project's open image again where a layer of it was removed; whether one was."""
        project = self._session.project
        if project is None or self.is_shown():
            return False
        self.leave_mask()
        entry = self._session.entry
        if entry is not None:
            # Another image to the window, so that it opens anew.
            self.show_entry(project, replace(entry, image=replace(entry.image)))
            self._session.say("Not reviewed: picture or mask had been removed, and is shown again")
        return True

    def is_edited(self, image_id: str) -> bool:
        """Return whether an image of the project is open with a person's work; in any thread."""
        current = self._session.current
        if current is None or current.entry is None:
            return False
        return current.entry.id == image_id and (current.edited or self._edit.unsaved)

    def leave_mask(self) -> None:
        """Let the mask of the current image go, which a person closed; its strokes are kept."""
        self._writer.keep(self._edit.leave())
        self._session.update_image(edited=False)

    def look_for_leftovers(self, folder: Path) -> None:
        """Find images with strokes that an earlier session did not save."""
        found = partial(setattr, self._session, "leftovers")
        self._jobs.run("leftovers", partial(leftovers, folder), found)

    def _leave_image(self) -> None:
        """Keep what the current image is left with: here, or in its project."""
        current, mask = self._session.current, self._edit.mask
        if current is not None and current.entry is None:
            left = _Visit.of(current, mask, self._session.ignored, self._segment.ranking.found)
            self._visits[current.key] = left
            # The oldest goes; its strokes have their recovery copy all the same.
            while len(self._visits) > _KEPT:
                del self._visits[next(iter(self._visits))]
        elif current is not None:
            self.candidates.remember_current()
        self._writer.keep(self._edit.leave())

    def _start_image(self, opening: OpenImage | None) -> None:
        """Put an image in the place of the one that was left, all that is known of it at once."""
        session, entry = self._session, None if opening is None else opening.entry
        self._segment.start_image(None if opening is None else opening.image)
        if opening is not None:
            recipe = None if entry is None else entry.record.recipe
            self._edit.recorder.start_image(opening.image, opening.mask, recipe)
        session.ignored = None if opening is None else opening.ignored
        session.current = opening
        if session.queue is not None and session.project is not None:
            if entry is not None:
                number = session.project.cache.number(entry.id)
                name = session.project.name(entry.id)
                session.queue = session.queue.at(entry.id, number, name)
            elif session.queue.current:
                session.queue = replace(session.queue, current="")

    def _on_read(self, project: OpenProject, read: tuple[Entry | None, dict[str, str]]) -> None:
        entry, failed = read
        session = self._session
        if session.queue is None or project is not session.project:
            return
        if failed:
            session.queue = session.queue.with_unreadable(failed)
            reasons = {project.name(image_id): why for image_id, why in failed.items()}
            session.say(_unreadable(reasons, skipped=entry is not None))
        if entry is not None:
            self.show_entry(project, entry)

    def _on_read_again(self, project: OpenProject, entry: Entry) -> None:
        if self._is_untouched(entry.id):
            self.show_entry(project, entry)

    def _is_untouched(self, image_id: str) -> bool:
        """Return whether an image of the project is open, and nothing was done to it so far."""
        session, entry = self._session, self._session.entry
        if entry is None or entry.id != image_id or session.edited or self._edit.unsaved:
            return False
        return entry.mask is None and session.automatic is None

    def _read_ahead(self, project: OpenProject) -> None:
        queue = self._session.queue
        # Reading takes longer than a look: the next image is to be there when it is asked for.
        for image_id in () if queue is None else map(queue.step, AHEAD):
            if image_id is not None and project.cache.get(image_id) is None:
                read = partial(project.cache.load, image_id)
                failed = partial(self._on_read_ahead_failed, project, image_id)
                self._jobs.run(f"read {image_id}", read, on_failed=failed)

    def _on_read_ahead_failed(self, project: OpenProject, image_id: str, message: str) -> None:
        """Mark an image in the list; it is said once somebody comes to it."""
        if self._session.queue is not None and project is self._session.project:
            self._session.queue = self._session.queue.with_unreadable({image_id: message})


def _in_project(project: OpenProject | None, image: FitImage) -> str | None:
    """Return the id of an image in a project, None where it is not of it."""
    entries = () if project is None else project.project.images
    return next((one.id for one in entries if is_page(image, one.path, one.page)), None)


def _opened(project: OpenProject, entry: Entry) -> OpenImage:
    """Return an image of a project with all that the project knows of it."""
    unwritten = SaveState(SaveStage.UNSAVED, message="Not in the project yet")
    typed = project.pixel_size(entry.id)
    return OpenImage(
        entry.image,
        project.cache.key(entry.id),
        entry.mask,
        entry.ignored,
        entry.by_hand,
        entry.image.pixel_size if typed is None else typed,
        unwritten if project.cache.unwritten(entry.id) else SaveState(),
        entry,
        entry.record,
    )


def is_page(image: FitImage, path: Path | None, page: int) -> bool:
    """Return whether an image, or the first one of a file, is this page of this file."""
    own, number = (image, 0) if isinstance(image, Path) else (image.path, image.page)
    if own is None or path is None:
        return False
    return number == page and is_same_file(path, own)


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths name one file; a link of another name counts as another file."""
    # The disk, perhaps a slow one, is asked only where the answer can be yes.
    return one == other or (one.name == other.name and one.resolve() == other.resolve())


def _from_file_or_array(array: NDArray[Any], name: str, path: Path | None, page: int) -> SemImage:
    shown = image_from_array(array, name, path=path, page=page)
    if path is not None:
        try:
            image = read_image(path, page)
        except InputError:
            # Another reader opened a format that ours does not know.
            return shown
        if np.array_equal(image.gray, shown.gray):
            return image
        if image.gray.shape == shown.gray.shape:
            # Another plane, or values that the reader changed: what is seen is what counts.
            return replace(shown, pixel_size=image.pixel_size)
    return shown


def _unreadable(failed: Mapping[str, str], *, skipped: bool) -> str:
    """Name the images that cannot be read, and why the first one cannot."""
    names, why = named(list(failed)), next(iter(failed.values()))
    if skipped:
        return f"Skipped: {names} cannot be read ({why})"
    if len(failed) == 1:
        return f"{names} cannot be read ({why})"
    return f"None of the {len(failed):,} images left can be read: {names} ({why})"
