"""Small pictures of a project's images, made when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from psygnal import Signal

from napari_semxai.types import colors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import QueueRow

    _Key = tuple[str, str]

SIDE = 32
_KEPT = 2000
_AT_ONCE = 4


class Thumbnails:
    """Small pictures of a project's images.

    Parameters
    ----------
    session : Session
        Tells of another project.
    jobs : Jobs
        Reads images.
    side : int
        Pixels of the longer side, at most.
    outlined : bool
        Whether the annotator's mask is outlined.
    """

    ready = Signal(str)
    """The picture of this image has come."""

    def __init__(
        self, session: Session, jobs: Jobs, side: int = SIDE, *, outlined: bool = False
    ) -> None:
        self._session, self._jobs = session, jobs
        self.side, self._outlined = side, outlined
        self._pictures: OrderedDict[_Key, NDArray[np.uint8]] = OrderedDict()
        self._wanted: OrderedDict[_Key, None] = OrderedDict()
        self._busy: set[_Key] = set()
        self._project: Project | None = None
        session.events.queue.connect(self._on_queue_changed)
        self._on_queue_changed(session.queue)

    def get(self, row: QueueRow) -> NDArray[np.uint8] | None:
        """Return the picture (m, n) or (m, n, 3) of a row's image, or None and fetch it."""
        # A mask is another one after the next word on it.
        key = row.image, row.time if self._outlined else ""
        known = self._pictures.get(key)
        if known is None and key not in self._busy:
            self._wanted[key] = None
            self._wanted.move_to_end(key)
            self._fetch()
        return known

    def _fetch(self) -> None:
        opened = self._session.project
        while opened is not None and self._wanted and len(self._busy) < _AT_ONCE:
            # What came into sight last is most likely in sight still.
            key = self._wanted.popitem()[0]
            self._busy.add(key)
            annotator = opened.cache.annotator if self._outlined else None
            self._jobs.run(
                f"thumbnail {self.side} {key}",
                partial(_small, opened.project, key[0], self.side, annotator),
                partial(self._on_ready, opened.project, key),
                partial(self._on_failed, key),
            )

    def _on_ready(self, project: Project, key: _Key, pixels: NDArray[np.uint8]) -> None:
        self._busy.discard(key)
        if project is self._project:
            self._pictures[key] = pixels
            while len(self._pictures) > _KEPT:
                self._pictures.popitem(last=False)
            self.ready.emit(key[0])
        self._fetch()

    def _on_failed(self, key: _Key, message: str) -> None:
        # Said where the image is opened; without its picture the row is as good.
        self._busy.discard(key)
        self._pictures[key] = np.zeros((self.side, self.side), np.uint8)
        self._fetch()

    def _on_queue_changed(self, queue: Queue | None) -> None:
        opened = self._session.project
        project = None if opened is None or queue is None else opened.project
        if project is not self._project:
            self._project = project
            self._pictures.clear()
            self._wanted.clear()


def _small(project: Project, image_id: str, side: int, annotator: str | None) -> NDArray[np.uint8]:
    """Return the picture of an image, with the outline of an annotator's mask."""
    gray = project.read_image(image_id, check=False).gray
    step = max(1, -(-max(gray.shape) // side))
    small = _blocks(gray, step).mean(axis=(1, 3)).astype(np.uint8)
    mask = None if annotator is None else project.mask(image_id, annotator)
    if mask is None:
        return np.ascontiguousarray(small)
    held = _blocks(mask, step).any(axis=(1, 3))
    edge = held & ~scipy.ndimage.binary_erosion(held, border_value=1)
    picture = np.repeat(small[..., None], 3, axis=2)
    # A defect of one block has no inside.
    picture[edge if edge.any() else held] = [
        int(colors.DEFECT[place : place + 2], 16) for place in (1, 3, 5)
    ]
    return picture


def _blocks(pixels: NDArray[Any], step: int) -> NDArray[Any]:
    rows, columns = (size // step * step for size in pixels.shape)
    return pixels[:rows, :columns].reshape(rows // step, step, columns // step, step)
