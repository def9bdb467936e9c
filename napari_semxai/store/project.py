"""A project on disk: masks and records as plain files, each with one writer."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_semxai.store.atomic import write_json
from napari_semxai.store.autosave import save_recovery
from napari_semxai.store.digests import array_digest, file_sha256
from napari_semxai.store.folders import recovery_folder
from napari_semxai.store.images import read_image
from napari_semxai.store.masks import read_mask, write_mask
from napari_semxai.store.originals import original_files
from napari_semxai.store.project_files import (
    IMAGES_FILE,
    annotator_folder,
    annotator_names,
    mask_path,
    read_images,
    read_info,
    record_path,
)
from napari_semxai.store.project_records import (
    check_mask,
    new_mask,
    next_record,
    read_record,
    record_values,
    voided_by_hand,
)
from napari_semxai.types import InputError, ReviewRecord

if TYPE_CHECKING:
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
        Where masks go that cannot be written to the project; by default the folder of the
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
        self._rescue_folder = rescue_folder
        self._by_id = {image.id: image for image in images}
        self._locks: dict[Path, FileLock] = {}
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
        image = read_image(entry.path, entry.page)
        if check and array_digest(image.pixels) != entry.sha256:
            raise InputError(
                f"{entry.path}: was replaced since the project was made, so the masks of "
                f"{entry.id} may not fit it; bring the original back"
            )
        return image if entry.pixel_size is None else replace(image, pixel_size=entry.pixel_size)

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
        image = self.image(image_id)
        record, written = ReviewRecord(image.id, annotator), ""
        if (path := record_path(folder, image.id)).exists():
            record, written = read_record(path)
        mask = mask_path(folder, image.id)
        if not mask.exists():
            return voided_by_hand(record, None) if record.history else None
        if file_sha256(mask) == written:
            return record
        return voided_by_hand(record, read_mask(mask, image.shape))

    def mask(self, image_id: str, annotator: str) -> BoolMask | None:
        """Return an annotator's mask (M, N) of an image; None where there is none.

        Raises
        ------
        InputError
            When it cannot be read, or has another size than the image.
        """
        image = self.image(image_id)
        path = mask_path(annotator_folder(self.folder, annotator), image.id)
        return read_mask(path, image.shape) if path.exists() else None

    def write_review(self, image_id: str, annotator: str, change: ReviewChange) -> ReviewRecord:
        """Write a review, an edited mask, or both; what was there before stays in the history.

        The mask is on disk before the record that names it. When either cannot be written, the
        mask goes into a rescue file, and the error says where that is.

        Parameters
        ----------
        image_id : str
            As in `ProjectImage.id`.
        annotator : str
            Who says so.
        change : ReviewChange
            What to write.

        Returns
        -------
        ReviewRecord
            As it now lies on disk.

        Raises
        ------
        InputError
            When the change does not fit the image, another program writes as this annotator, or
            the folder cannot be written.
        """
        image = self.image(image_id)
        check_mask(image, change)
        folder = annotator_folder(self.folder, annotator)
        with self._writing:
            try:
                self._claim(folder, annotator)
                old = self.record(image_id, annotator) or ReviewRecord(image.id, annotator)
                mask = new_mask(image, old, change)
                record = next_record(image, old, change, mask)
                if mask is not None:
                    write_mask(mask_path(folder, image.id), mask)
                self._write_record(folder, record)
            except InputError as error:
                raise InputError(self._rescue(image, annotator, change, error)) from error
        return record

    def close(self) -> None:
        """Let other programs write as the annotators that this one wrote as."""
        for lock in self._locks.values():
            lock.release()
        self._locks.clear()

    def _write_record(self, folder: Path, record: ReviewRecord) -> None:
        mask = mask_path(folder, record.image)
        digest = file_sha256(mask) if record.mask_sha256 else ""
        write_json(record_path(folder, record.image), record_values(record, digest))

    def _claim(self, folder: Path, annotator: str) -> None:
        """Hold the annotator's lock until `close`; the system lets go of it when we die."""
        # Nothing is written to the empty mount point of a drive that is away.
        if not (self.folder / IMAGES_FILE).is_file():
            raise InputError(f"{self.folder}: the project is away; is its drive there?")
        if folder in self._locks:
            return
        lock = FileLock(folder / ".lock", timeout=0, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise InputError(
                f"{self.folder}: another program is writing reviews as {annotator!r}; close it, "
                "or choose another annotator name"
            ) from None
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror or error}); "
                "make the project's folder writable"
            ) from error
        self._locks[folder] = lock

    def _rescue(
        self, image: ProjectImage, annotator: str, change: ReviewChange, error: InputError
    ) -> str:
        """Keep the mask of a failed write elsewhere, and say so in one line."""
        if change.mask is None:
            return str(error)
        info = {"name": image.id, "path": str(image.path), "page": image.page}
        key = f"{self.info.id} {image.id} {annotator}"
        try:
            folder = self._rescue_folder or recovery_folder()
            path = save_recovery(folder, key, change.mask, {**info, "annotator": annotator})
        except InputError:
            return f"{error}; the mask is in memory only, save it elsewhere"
        return f"{error}; the mask is kept in {path}"
