"""A session that paints and reviews until it is killed.

Every stroke is logged when it is made, and every mask once the window says that it is saved.

Run as ``python -m tests.controllers.killed_session FOLDER``.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.disk.digests import array_digest
from napari_semxai.types import ReviewState
from tests.controllers.desk import SHAPE, Desk

if TYPE_CHECKING:
    from napari_semxai.store.project.index.open_project import OpenProject
    from napari_semxai.types import ReviewRecord

PER_IMAGE = 40
STROKES = [(row, column) for row in range(0, SHAPE[0], 2) for column in range(0, SHAPE[1], 2)]


def main() -> None:
    """Go round the images for ever."""
    folder = Path(sys.argv[1])
    desk = Desk(folder)
    desk.edit.copies.wait = 1.0
    desk.open()
    log = os.open(folder / "strokes.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    made: dict[str, int] = {}
    _log_saved(desk, folder)
    while True:
        image = desk.session.queue.current
        for _ in range(PER_IMAGE):
            number = made.get(image, 0) % len(STROKES)
            made[image] = number + 1
            row, column = STROKES[number]
            desk.live.update((slice(row, row + 2), slice(column, column + 2)), np.ones((2, 2)))
            desk.edit.stroked()
            os.write(log, f"{time.monotonic()} {image} {number}\n".encode())
            time.sleep(0.02)
            while not desk.calls.empty():
                desk.calls.get()()
        following = desk.session.queue.step(1) or desk.session.queue.shown[0].image
        if made[image] % (2 * PER_IMAGE) == 0:
            desk.review.review(ReviewState.CORRECTED)
        desk.images.go(following)
        desk.turn(lambda following=following: desk.session.queue.current == following)


def _log_saved(desk: Desk, folder: Path) -> None:
    """Log what the window says is saved: image, pixels and state, unless newer ones are there."""
    log = os.open(folder / "saved.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    show = desk.writer.show

    def acknowledged(opened: OpenProject, record: ReviewRecord) -> None:
        show(opened, record)
        mask = opened.project.mask(record.image, record.annotator)
        if mask is not None and array_digest(mask) == record.mask_sha256:
            bits = np.packbits(mask).tobytes().hex()
            os.write(log, f"{record.image} {bits} {record.state}\n".encode())

    desk.writer.show = acknowledged


if __name__ == "__main__":
    main()
