"""One program at a time writes as an annotator of a project."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_semxai.store.project_files import annotator_folder, check_there
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


class AnnotatorLocks:
    """The annotators that this program writes as; the system lets go of them when it dies.

    Parameters
    ----------
    project : Path
        The project's folder.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._locks: dict[Path, FileLock] = {}

    def claim(self, annotator: str) -> None:
        """Be the one program that writes as an annotator, until `release`.

        Raises
        ------
        InputError
            When another program is that one, or the project is away or cannot be written.
        """
        # Nothing is written to the empty mount point of a drive that is away.
        check_there(self._project)
        folder = annotator_folder(self._project, annotator)
        if folder in self._locks:
            return
        # Beside the annotator's folder, which is there only when something was written.
        lock = FileLock(folder.with_name(f"{folder.name}.lock"), timeout=0, thread_local=False)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise InputError(
                f"{self._project}: another program is writing reviews as {annotator!r}; close "
                "it, or choose another annotator name"
            ) from None
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror or error}); "
                "make the project's folder writable"
            ) from error
        self._locks[folder] = lock

    def release(self) -> None:
        """Let other programs write as these annotators."""
        for lock in self._locks.values():
            # Of a drive that died nothing is left to let go of.
            with suppress(OSError):
                lock.release()
        self._locks.clear()
