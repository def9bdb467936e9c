"""Small pictures of a project's images, made when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.project import Project

SIDE = 32
_KEPT = 2000
_AT_ONCE = 4


class Thumbnails:
    """Grey pictures of at most 32 × 32 pixels, by image.

    Parameters
    ----------
    session : Session
        Tells of another project.
    jobs : Jobs
        Reads images.
    """

    ready = Signal(str)
    """The picture of this image has come."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session, self._jobs = session, jobs
        self._pictures: OrderedDict[str, NDArray[np.uint8]] = OrderedDict()
        self._wanted: OrderedDict[str, None] = OrderedDict()
        self._busy: set[str] = set()
        self._project: Project | None = None
        session.events.queue.connect(self._on_queue_changed)
        self._on_queue_changed(session.queue)

    def get(self, image_id: str) -> NDArray[np.uint8] | None:
        """Return the picture (m, n) of an image, or None and fetch it."""
        known = self._pictures.get(image_id)
        if known is None and image_id not in self._busy:
            self._wanted[image_id] = None
            self._wanted.move_to_end(image_id)
            self._fetch()
        return known

    def _fetch(self) -> None:
        project = self._project
        while project is not None and self._wanted and len(self._busy) < _AT_ONCE:
            # What came into sight last is most likely in sight still.
            image_id = self._wanted.popitem()[0]
            self._busy.add(image_id)
            self._jobs.run(
                f"thumbnail {image_id}",
                partial(_small, project, image_id),
                partial(self._on_ready, project, image_id),
                partial(self._on_failed, image_id),
            )

    def _on_ready(self, project: Project, image_id: str, pixels: NDArray[np.uint8]) -> None:
        self._busy.discard(image_id)
        if project is self._project:
            self._pictures[image_id] = pixels
            while len(self._pictures) > _KEPT:
                self._pictures.popitem(last=False)
            self.ready.emit(image_id)
        self._fetch()

    def _on_failed(self, image_id: str, message: str) -> None:
        # Said where the image is opened; without its picture the row is as good.
        self._busy.discard(image_id)
        self._pictures[image_id] = np.zeros((SIDE, SIDE), np.uint8)
        self._fetch()

    def _on_queue_changed(self, queue: Queue | None) -> None:
        opened = self._session.project
        project = None if opened is None or queue is None else opened.project
        if project is not self._project:
            self._project = project
            self._pictures.clear()
            self._wanted.clear()


def _small(project: Project, image_id: str) -> NDArray[np.uint8]:
    gray = project.read_image(image_id, check=False).gray
    step = max(1, -(-max(gray.shape) // SIDE))
    rows, columns = (size // step * step for size in gray.shape)
    blocks = gray[:rows, :columns].reshape(rows // step, step, columns // step, step)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3)).astype(np.uint8))
