"""An open project: its files, the index over them, what was read, what waits to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from napari_semxai.controllers.project_cache import ProjectCache
    from napari_semxai.store.project import Project
    from napari_semxai.store.project_index import ProjectIndex
    from napari_semxai.types import ReviewChange, ReviewRecord


class Opened:
    """An open project; all that writes is for the writing thread.

    Parameters
    ----------
    project : Project
        Its files.
    index : ProjectIndex
        The index over them.
    cache : ProjectCache
        What was read.
    """

    def __init__(self, project: Project, index: ProjectIndex, cache: ProjectCache) -> None:
        self.project, self.index, self.cache = project, index, cache
        self._failed: dict[str, tuple[ReviewChange, ...]] = {}

    @property
    def failed(self) -> tuple[str, ...]:
        """Images with changes that could not be written so far."""
        return tuple(self._failed)

    def claim(self) -> tuple[list[ReviewRecord], dict[str, str]]:
        """Be the one program that writes as the annotator; write what could not be before.

        Returns
        -------
        list of ReviewRecord, dict
            What was written, and the message of each image where that failed.

        Raises
        ------
        InputError
            When another program writes as the annotator, or the project cannot be written.
        """
        self.project.claim(self.cache.annotator)
        failed: dict[str, str] = {}
        return self.project.write_kept(self.cache.annotator, failed), failed

    def write(self, image_id: str, *new: ReviewChange) -> ReviewRecord | None:
        """Write changes of an image after those that failed before.

        Raises
        ------
        InputError
            When it cannot be written; the changes wait for the next call, and in files.
        """
        annotator = self.cache.annotator
        waiting = [*self._failed.pop(image_id, ()), *new]
        record = None
        try:
            while waiting:
                record = self.project.write_review(image_id, annotator, waiting[0])
                self.cache.written(record)
                waiting.pop(0)
        except InputError:
            for change in waiting[1:]:
                self.project.keep(image_id, annotator, change)
            raise
        finally:
            if waiting:
                self._failed[image_id] = tuple(waiting)
        return record or self.project.record(image_id, annotator)

    def close(self) -> None:
        """Try once more to write what failed, and close the project.

        Raises
        ------
        InputError
            For the last image that failed again.
        """
        problem = None
        for image_id in self.failed:
            try:
                self.write(image_id)
            except InputError as error:
                problem = error
        self.index.close()
        self.project.close()
        if problem is not None:
            raise problem
