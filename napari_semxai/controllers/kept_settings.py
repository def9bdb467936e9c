"""What a person sets that outlives the window: choices of the docks, and pixel sizes."""

from __future__ import annotations

import getpass
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.store.disk import folders
from napari_semxai.store.disk.folders import read_choices, remember_recent, write_choice
from napari_semxai.store.project.create import keep_reference
from napari_semxai.types import Failure, InputError
from napari_semxai.types.settings import ALGORITHMS

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import OpenProject
    from napari_semxai.types import AlgorithmSettings, SemImage

ALGORITHM, ANNOTATOR, KEEP_VIEW = "algorithm", "annotator", "keep view"
CLICK_PREVIEW = "click preview"
YES, NO = "yes", "no"


class ChoicesController:
    """Begin with what was chosen last, by name, and remember what is chosen now.

    The variant of Algorithm 1, the annotator, and whether the view stays from image to image are
    followed in the session; docks ask for theirs. What is opened is remembered, too. What images
    are compared with is kept in their project.

    Parameters
    ----------
    session : Session
        Holds the choice.
    writes : Jobs
        Writes files.
    path : Path
        Where choices are kept.
    """

    def __init__(self, session: Session, writes: Jobs, path: Path) -> None:
        self._session, self._writes, self._path = session, writes, path
        try:
            self._chosen = read_choices(path)
        except InputError as error:
            session.message, self._chosen = str(error), {}
        chosen = self._chosen.get(ALGORITHM)
        if chosen in ALGORITHMS:
            session.algorithm = replace(session.algorithm, algorithm=chosen)
        session.events.algorithm.connect(self._on_algorithm_changed)
        session.keep_view = self.get(KEEP_VIEW) == YES
        session.events.keep_view.connect(self._on_keep_view_changed)
        session.events.queue.connect(self._on_queue_changed)
        session.events.image.connect(self._on_image_changed)
        session.events.project.connect(self._on_project_changed)

    @property
    def annotator(self) -> str:
        """Who annotated last; else the user of this machine."""
        return self.get(ANNOTATOR) or getpass.getuser()

    def get(self, name: str) -> str:
        """Return what was chosen; "" where nothing was."""
        return self._chosen.get(name, "")

    def set(self, name: str, value: str) -> None:
        """Remember a choice."""
        if self.get(name) != value:
            self._chosen[name] = value
            self._writes.run(
                f"remember {name}",
                partial(write_choice, self._path, name, value),
                on_failed=partial(self._on_failed, name),
            )

    def _on_algorithm_changed(self, now: AlgorithmSettings, before: AlgorithmSettings) -> None:
        # What a project has learned is no choice for other images.
        if now.algorithm != before.algorithm and now.algorithm in ALGORITHMS:
            self.set(ALGORITHM, now.algorithm)
        project = self._session.project
        if now.reference != before.reference and project is not None:
            folder = project.project.folder
            self._writes.run(
                f"reference of {folder}",
                partial(keep_reference, folder, now.reference),
                on_failed=partial(self._on_failed, "reference"),
            )

    def _on_keep_view_changed(self, keep: bool) -> None:
        self.set(KEEP_VIEW, YES if keep else NO)

    def _on_queue_changed(self, queue: Queue | None) -> None:
        if queue is not None:
            self.set(ANNOTATOR, queue.annotator)

    def _on_failed(self, name: str, message: str) -> None:
        self._session.message = Failure(f"{message}. The choice of {name} is not remembered.")

    def _on_image_changed(self, image: SemImage | None) -> None:
        # Those of a project are found through it.
        if image is not None and image.path is not None and self._session.entry is None:
            self._note_opened(image.path, "")

    def _on_project_changed(self, project: OpenProject | None) -> None:
        if project is None:
            return
        self._note_opened(project.project.folder, project.cache.annotator)
        kept, algorithm = project.project.info.reference, self._session.algorithm
        if kept and kept != algorithm.reference:
            self._session.algorithm = replace(algorithm, reference=kept)

    def _note_opened(self, path: Path, annotator: str) -> None:
        note = partial(remember_recent, folders.recent_file(), path.absolute(), annotator)
        self._writes.run(f"remember {path}", note)


class PixelSizeController:
    """Keeps a pixel size that is typed: for the open image, or for all of its project.

    Parameters
    ----------
    session : Session
        What is shown.
    writes : Jobs
        Writes it there.
    """

    def __init__(self, session: Session, writes: Jobs) -> None:
        self._session, self._writes = session, writes

    def set_pixel_size(self, metres: float | None) -> None:
        """Set the edge of a pixel of the open image, and keep it in its project."""
        self._session.update_image(pixel_size=metres)
        project, entry = self._session.project, self._session.entry
        if project is None or entry is None:
            return
        if metres is None:
            self._session.message = (
                "The pixel size of a project cannot be removed, only replaced by another"
            )
        else:
            # At once: somebody who comes back before it is written finds it.
            project.pixel_sizes[entry.id] = metres
            self._write(project, entry.id, metres, "")

    def set_for_all(self) -> None:
        """Keep the pixel size for all images of the project that have none."""
        project, metres = self._session.project, self._session.pixel_size
        if project is None or metres is None:
            self._session.message = "Enter a pixel size first"
        else:
            said = f"Pixel size of all images without one: {metres * 1e9:g} nm"
            self._write(project, None, metres, said)

    def _write(self, project: OpenProject, image_id: str | None, metres: float, said: str) -> None:
        self._writes.run(
            f"pixel size of {image_id or 'all'}",
            partial(project.project.set_pixel_size, image_id, metres),
            partial(self._on_written, said),
        )

    def _on_written(self, said: str, _: object) -> None:
        if said:
            self._session.message = said
