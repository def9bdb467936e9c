"""A project on disk: masks and records as plain files, each with one writer."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.masks.edits import mask_patch
from napari_semxai.store.disk.digests import array_digest, file_stamp
from napari_semxai.store.images.masks import read_white_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.files import (
    AnnotatorLocks,
    annotator_folder,
    annotator_key,
    annotator_names,
    folder_times,
    mask_path,
    reaching,
    read_info,
)
from napari_semxai.store.project.images import (
    ImageFinder,
    original_files,
    read_images,
    store_pixel_size,
)
from napari_semxai.store.project.records import (
    check_mask,
    discard_replaced,
    keep_replaced,
    new_mask,
    next_record,
    read_replaced,
    replaced_records,
    stored_record,
)
from napari_semxai.store.project.rescue import RescueFiles
from napari_semxai.store.project.review_list import store_listed
from napari_semxai.types import InputError, ReviewRecord, ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.store.disk.digests import FileStamp
    from napari_semxai.store.project.files import FolderChange
    from napari_semxai.types import (
        BoolMask,
        ProjectImage,
        ProjectInfo,
        ReviewChange,
        SemImage,
    )


def open_project(folder: str | Path, *, rescue_folder: Path | None = None) -> Project:
    """Open a project; nothing is written before the first review.

    Parameters
    ----------
    folder : str or Path
        Holds ``project.json``.
    rescue_folder : Path, optional
        Where changes go that cannot be written to the project; by default the folder of the
        recovery copies.

    Raises
    ------
    InputError
        When it is no project, or its files cannot be read.
    """
    folder = Path(folder)
    return Project(folder, read_info(folder), read_images(folder), rescue_folder)


class Project:
    """The images of a project and everybody's masks of them.

    May be used from several threads; an annotator's files are written by one program at a time.

    Parameters
    ----------
    folder : Path
        Holds ``project.json``.
    info : ProjectInfo
        What it says.
    images : tuple of ProjectImage
        In the order of the queue.
    rescue_folder : Path, optional
        See `open_project`.
    """

    def __init__(
        self,
        folder: Path,
        info: ProjectInfo,
        images: tuple[ProjectImage, ...],
        rescue_folder: Path | None = None,
    ) -> None:
        self.folder = folder
        self.info = info
        self.images = images
        self.rescue = RescueFiles(info.id, rescue_folder)
        self._by_id = {image.id: image for image in images}
        self._locks = AnnotatorLocks(folder)
        # Stamps of the images as they were read, so that writing need not read them once more.
        self._stamps: dict[str, FileStamp] = {}
        self._changes: dict[tuple[str, str], FolderChange] = {}
        # Several threads write: a record is read, changed and written as one step.
        self._writing = threading.Lock()

    @cached_property
    def originals(self) -> frozenset[str]:
        """Real paths of images, tables and given masks, which nothing may write over."""
        return original_files(self.info, self.images)

    def image(self, image_id: str) -> ProjectImage:
        """Return the image of an id; `InputError` where there is none."""
        try:
            return self._by_id[image_id]
        except KeyError:
            raise InputError(f"{self.folder}: the project has no image {image_id!r}") from None

    @cached_property
    def _finder(self) -> ImageFinder:
        return ImageFinder(self.images)

    def find(self, name: str, own_id: str = "") -> ProjectImage:
        """Return the image that a person or another program means; see `ImageFinder.find`.

        Raises
        ------
        InputError
            When there is none, or several.
        """
        found = self._finder.find(name, own_id)
        if found is None:
            raise InputError(f"{name}: the project {self.folder} has no image of this name")
        return found

    def read_image(self, image_id: str, *, check: bool = True) -> SemImage:
        """Read the pixels of an image, with the project's pixel size where it knows one.

        Parameters
        ----------
        image_id : str
            As in `ProjectImage.id`.
        check : bool
            Whether to refuse an image that is not the one the project was made with.

        Raises
        ------
        InputError
            When the file is missing, damaged or was replaced.
        """
        entry = self.image(image_id)
        # Taken before the pixels are read: a file that changes meanwhile has another stamp later.
        stamp = file_stamp(entry.path)
        image = read_image(entry.path, entry.page)
        if check and array_digest(image.pixels) != entry.sha256:
            raise InputError(
                f"{entry.path}: was replaced since the project was made, so the masks of "
                f"{entry.name} may not fit it; bring the original back"
            )
        if check and stamp is not None:
            self._stamps[image_id] = stamp
        size = image.pixel_size if entry.pixel_size is None else entry.pixel_size
        return replace(image, pixel_size=size, reference=entry.reference)

    def set_pixel_size(self, image_id: str | None, metres: float) -> None:
        """Store the pixel size that a person gave.

        Parameters
        ----------
        image_id : str or None
            Which image; None for all of the project that have no pixel size.
        metres : float
            Edge of a pixel.

        Raises
        ------
        InputError
            When there is no such image or size, or the project cannot be written.
        """
        if image_id is not None:
            self.image(image_id)
        self.images = store_pixel_size(self.folder, self.images, image_id, metres)
        self._by_id = {image.id: image for image in self.images}

    def annotators(self) -> list[str]:
        """Return who has written reviews, in lower case, sorted."""
        return annotator_names(self.folder)

    def record(self, image_id: str, annotator: str) -> ReviewRecord | None:
        """Return what an annotator says of an image; None where nothing was written.

        A mask file that was changed by another program makes the review void, too.

        Raises
        ------
        InputError
            When the record cannot be read.
        """
        folder = annotator_folder(self.folder, annotator)
        return stored_record(folder, self.image(image_id), annotator)

    def mask(self, image_id: str, annotator: str) -> BoolMask | None:
        """Return an annotator's mask (M, N) of an image; None where there is none.

        Raises
        ------
        InputError
            When it cannot be read, or has another size than the image.
        """
        image = self.image(image_id)
        path = mask_path(annotator_folder(self.folder, annotator), image.id)
        with reaching(path):
            return read_white_mask(path, image.shape) if path.exists() else None

    def write_review(
        self, image_id: str, annotator: str, change: ReviewChange, *, keep: bool = False
    ) -> ReviewRecord:
        """Write a review, an edited mask, or both; what was there before stays in the history.

        The mask is on disk before the record that names it. When either cannot be written, the
        change goes into a file elsewhere, and the error says where that is.

        Parameters
        ----------
        image_id : str
            As in `ProjectImage.id`.
        annotator : str
            Who says so.
        change : ReviewChange
            What to write.
        keep : bool
            Whether the record and the mask that are there now are kept as files of their own.

        Returns
        -------
        ReviewRecord
            As it now lies on disk.

        Raises
        ------
        InputError
            When the change does not fit the image, the image was replaced since it was read,
            another program writes as this annotator, or the folder cannot be written.
        """
        image = self.image(image_id)
        check_mask(image, change)
        with self._writing:
            try:
                with reaching(self.folder):
                    record = self._write(image, annotator, change, keep=keep)
            except InputError as error:
                said = self.rescue.keep(image, annotator, change)
                raise InputError(f"{error}; {said}") from error
        self.rescue.written(change)
        return record

    def replaced_images(self, annotator: str) -> list[str]:
        """Return the ids of the images of which an import replaced a review."""
        folder = annotator_folder(self.folder, annotator)
        return [image.id for image in self.images if replaced_records(folder, image.id)]

    def restore_replaced(self, image_id: str, annotator: str) -> ReviewRecord:
        """Bring back what was replaced last, and keep what is there now below all the rest.

        So calling it again and again brings back everything that was replaced, in turn.

        Raises
        ------
        InputError
            When nothing was replaced, or it cannot be read or written.
        """
        image = self.image(image_id)
        kept = replaced_records(annotator_folder(self.folder, annotator), image_id)
        if not kept:
            raise InputError(f"{image.name}: nothing of {annotator} was replaced")
        change = read_replaced(kept[-1], image.shape)
        restored = self.write_review(image_id, annotator, change, keep=True)
        # Last: a crash before leaves it there twice, never nowhere.
        discard_replaced(kept[-1])
        return restored

    def folder_change(self, image_id: str, annotator: str) -> FolderChange | None:
        """Return the times of an annotator's folder around our last write of an image."""
        return self._changes.get((image_id, annotator_key(annotator)))

    def claim(self, annotator: str) -> None:
        """Acquire an annotator's write lock, until `close`.

        Raises
        ------
        InputError
            When another program is that one, or the project is away or cannot be written.
        """
        self._locks.claim(annotator)

    def close(self) -> None:
        """Release the write locks of this program."""
        self._locks.release()

    def _write(
        self, image: ProjectImage, annotator: str, change: ReviewChange, *, keep: bool = False
    ) -> ReviewRecord:
        self._locks.claim(annotator)
        stamp = self._stamps.get(image.id)
        if stamp is not None and file_stamp(image.path) not in (None, stamp):
            # Raises where the pixels are others.
            self.read_image(image.id)
        folder = annotator_folder(self.folder, annotator)
        old = self.record(image.id, annotator) or ReviewRecord(image.id, annotator)
        change = _judged(change, old, partial(self.mask, image.id, annotator))
        mask = new_mask(image, old, change)
        record = next_record(image, old, change, mask)
        if keep and old.history:
            mask_now = self.mask(image.id, annotator)
            keep_replaced(folder, old, mask_now, below=change.back is not None)
        # By these the index tells our own write from somebody else's, without reading the folder.
        before = folder_times(folder)
        store_listed(folder, record, mask)
        self._changes[image.id, annotator_key(annotator)] = before, folder_times(folder)
        return record


def _judged(
    change: ReviewChange, old: ReviewRecord, read: Callable[[], BoolMask | None]
) -> ReviewChange:
    """Return "no defect" as the last edit of the mask that was there, whose recipe is kept."""
    if change.state is not ReviewState.NO_DEFECT or change.mask is not None or not old.mask_sha256:
        return change
    mask = read()
    if mask is None or not mask.any() or old.recipe is None:
        return change
    empty = np.zeros_like(mask)
    edits = (*old.recipe.edits, mask_patch(mask, empty, str(change.state)))
    return replace(change, mask=empty, recipe=replace(old.recipe, edits=edits))
