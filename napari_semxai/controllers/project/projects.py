"""Projects: open one, or make one of images; both away from the GUI thread."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_semxai.state.queue import Queue
from napari_semxai.state.review import Tally
from napari_semxai.state.session import named
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.files import read_info
from napari_semxai.store.project.index.open_project import OpenProject, ProjectCache
from napari_semxai.store.project.project import open_project
from napari_semxai.types import IDLE, PROJECT_FILE, InputError, Progress, QueueFilter

if TYPE_CHECKING:
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.controllers.project.review_writer import ReviewWriter
    from napari_semxai.state.session import Session
    from napari_semxai.store.disk.folders import Folders
    from napari_semxai.types import ReviewRecord

_OPENING = "Opening the project …"


class ProjectController:
    """Opens, makes and closes the one project of the session.

    Parameters
    ----------
    session : Session
        Told of progress and errors.
    images : ImageController
        Opens its first image, and lets the last one go.
    writer : ReviewWriter
        Shows what could be written that could not be before.
    jobs, writes : Jobs
        Open and make projects; claim and close them, in the order of what is written.
    folders : Folders
        Where projects made of plain folders go, and masks that cannot be written to a project.
    """

    cancelled = Signal()
    """A person wants what is done to a project to stop."""

    def __init__(
        self,
        session: Session,
        images: ImageController,
        writer: ReviewWriter,
        jobs: Jobs,
        writes: Jobs,
        folders: Folders,
    ) -> None:
        self._session, self._images, self._writer = session, images, writer
        self._jobs, self._writes, self._folders = jobs, writes, folders
        self._cancelled = False

    def open(
        self, source: Path, annotator: str, folder: Path | None = None, *, at: str = ""
    ) -> None:
        """Go through a project, or make one of `source` first.

        Parameters
        ----------
        source : Path
            A project's folder; a folder of images, a Carinthia download, a table or a KLARF
            file.
        annotator : str
            Who reviews.
        folder : Path, optional
            Where a new project goes; by default into the user's own data folder, under the
            source's name. A project that is there already is opened.
        at : str
            The image to begin with; by default the first one without a review.
        """
        self._cancelled = False
        self._session.batch = Progress(_OPENING)
        self._jobs.run(
            "project",
            partial(self._open, source, annotator, folder),
            partial(self._on_opened, at),
            self._on_failed,
        )

    def open_recent(self, path: str, annotator: str) -> None:
        """Open what was open before: a project by an annotator, or without one an image."""
        if annotator:
            self.open(Path(path), annotator)
        else:
            self._images.open_file(Path(path))

    def close(self) -> None:
        """Leave the open image, and close the project once all of it is written."""
        session, project = self._session, self._session.project
        self._images.show(None)
        if project is not None:
            session.project = session.queue = None
            session.agreement = session.past_reviews = ()
            session.tally = Tally()
            # Behind all writes, in their thread: nothing that was asked for is lost.
            self._writes.run("close project", project.close)

    def cancel(self) -> None:
        """Stop making a project; what was made is removed by nobody, and nothing is opened."""
        self._cancelled = True
        self._jobs.forget("project")
        self.cancelled.emit()
        self._session.batch = IDLE

    def _open(
        self, source: Path, annotator: str, folder: Path | None
    ) -> tuple[OpenProject, Queue]:
        # Whatever way led there, one source has one project.
        source = source.resolve()
        if not annotator.strip():
            raise InputError("Enter an annotator name first")
        if (source / PROJECT_FILE).is_file():
            folder = source
        elif folder is None:
            folder = _project_folder(self._folders.projects, source)
        if not (folder / PROJECT_FILE).is_file():
            failed: dict[str, str] = {}
            create_project(folder, source, failed=failed, progress=self._tell).close()
            if failed:
                words = f"Images that cannot be read: {len(failed)}, for example "
                self._say(words + next(iter(failed.values())))
        project = open_project(folder, rescue_folder=self._folders.recovery)
        # SQLAlchemy is slow to import, and needed by nobody before here.
        from napari_semxai.store.project.index.index import ProjectIndex

        index = ProjectIndex(project)
        opened = OpenProject(project, index, ProjectCache(project, annotator))
        self._say_rescued(opened)
        queue = Queue(
            project.info.name,
            project.folder,
            annotator,
            len(project.images),
            filter=QueueFilter(annotator=annotator),
            class_names=project.info.class_names,
        )
        return opened, _filled(queue, opened)

    def _say_rescued(self, opened: OpenProject) -> None:
        """Name the images whose masks a crash or a full drive left in recovery copies."""
        found = list(map(opened.name, opened.unsaved(self._folders.recovery)))
        if found:
            self._say(
                f"Unsaved masks were found of {named(found)}: open an image to restore its own"
            )

    def _tell(self, done: int, total: int) -> None:
        if self._cancelled:
            raise InputError("Making the project was cancelled")
        batch = Progress("Making the project", done, total)
        if done % 20 == 0 or done == total:
            self._jobs.deliver(lambda: self._show(batch))

    def _show(self, batch: Progress) -> None:
        if not self._cancelled:
            self._session.batch = batch

    def _say(self, message: str) -> None:
        self._jobs.deliver(lambda: self._on_said(message))

    def _on_said(self, message: str) -> None:
        self._session.message = message

    def _on_opened(self, at: str, found: tuple[OpenProject, Queue]) -> None:
        """Go through a project, from image `at` or the first one without a review on."""
        # Only now: where the new one cannot be opened, the old one stays open.
        self.close()
        session, project = self._session, found[0]
        session.batch = IDLE
        session.project, session.queue = found
        # The project before may be this same one, with strokes that are still to be written.
        claimed = partial(self._on_claimed, project, at)
        failed = partial(self._on_claim_failed, project, at)
        self._writes.run("begin", project.claim, claimed, failed)

    def _on_claimed(
        self,
        project: OpenProject,
        at: str,
        done: tuple[list[ReviewRecord], dict[str, str]],
    ) -> None:
        records, failed = done
        for record in records:
            self._writer.show(project, record)
        self._begin_at(project, at)
        if records:
            names = ", ".join(record.image for record in records)
            self._session.message = f"Reviews that failed to save earlier are now saved: {names}"
        if failed:
            self._session.message = next(iter(failed.values()))

    def _on_claim_failed(self, project: OpenProject, at: str, message: str) -> None:
        """Say before anybody paints that nothing can be written; reading goes on."""
        self._begin_at(project, at)
        self._session.say(message)

    def _begin_at(self, project: OpenProject, at: str) -> None:
        queue = self._session.queue
        if queue is not None and project is self._session.project:
            every = (row.image for row in queue.shown)
            wanted = (*([at] if at else []), *queue.unreviewed(), *every)
            self._images.go(*dict.fromkeys(wanted))

    def _on_failed(self, message: str) -> None:
        self._session.batch = IDLE
        self._session.message = message


def _project_folder(folder: Path, source: Path) -> Path:
    """Return where the project of a source lies: two sources of one name have two projects."""
    name = source.stem if source.is_file() else source.name
    number, place, made_of = 1, folder / name, os.path.abspath(source)
    while (place / PROJECT_FILE).is_file() and read_info(place).source != made_of:
        number += 1
        place = folder / f"{name}-{number}"
    return place


def _filled(queue: Queue, opened: OpenProject) -> Queue:
    return replace(queue, **opened.ask(queue.filter, queue.annotator))
