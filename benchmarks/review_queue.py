"""Time going through a project: from the key to the next image's mask layer being set.

Run from the project's root, with a display: ``python -m benchmarks.review_queue``. Prints a table
in Markdown. Every image that is opened has a stored mask; neighbours are read ahead while the
annotator looks. A long list is made of few images, whose files have many names.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from benchmarks import timing
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.store.project.create import create_project
from napari_semxai.types import ReviewChange

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.workbench import Workbench

PATIENCE_SECONDS = 120
LOOK_MILLISECONDS = 400
"""How long an image is looked at; meanwhile its neighbours are read."""
DISTINCT = 30
ALT = Qt.KeyboardModifier.AltModifier


def main() -> None:
    """Make a project, go through it and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=480)
    parser.add_argument("--images", type=int, default=30, help="entries of the list")
    parser.add_argument("--steps", type=int, default=28, help="images gone through by key")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ[name] = str(scratch / name)
    steps = min(arguments.steps, arguments.images - 2)
    # Behind those that were gone through, where the list is long enough.
    first = min(steps + 4, arguments.images // 2)
    jumps = np.unique(np.linspace(first, arguments.images - 3, 9, dtype=int))
    masked = {*range(steps + 2), *(place - 1 for place in jumps)}
    folder = make_project(scratch, arguments.size, arguments.images, masked)
    # Only now: the plugin asks for the folders when it is made.
    from napari_semxai.plugin import open_workbench

    viewer = napari.Viewer()
    workbench = open_workbench(viewer)
    print(timing.HEAD)
    kind = f"{arguments.size}², {arguments.images:,} in the list"
    measured = measure(workbench, folder, steps, jumps)
    print(*timing.rows(kind, measured.items()), sep="\n")
    viewer.close()


def make_project(scratch: Path, size: int, count: int, masked: set[int]) -> Path:
    """Return a project of synthetic images; those whose places are `masked` have masks."""
    images = scratch / "images"
    scenes = [
        scene_of_class(1 + n % 5, n, shape=(size, size)) for n in range(min(count, DISTINCT))
    ]
    for number in range(count):
        path = images / f"scene_{number:05}.png"
        if number < len(scenes):
            write_gray(path, scenes[number].image)
        else:
            path.hardlink_to(images / f"scene_{number % len(scenes):05}.png")
    project = create_project(scratch / "project", images)
    for place in sorted(masked):
        change = ReviewChange(mask=scenes[place % len(scenes)].defect)
        project.write_review(project.images[place].id, "Anna", change)
    project.close()
    return project.folder


def write_gray(path: Path, pixels: np.ndarray) -> None:
    """Write an 8-bit image."""
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def measure(
    workbench: Workbench, folder: Path, steps: int, jumps: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """Return what opening, going on, going on after a stroke, and jumping takes."""
    # Keys are those of the active window.
    workbench.viewer.window.activate()
    QTest.qWaitForWindowActive(workbench.viewer.window._qt_window)
    opened = []
    for _ in range(2):
        # What was open before is closed, and written, before the clock starts.
        workbench.projects.close()
        QTest.qWait(LOOK_MILLISECONDS)
        opened.append(clock(workbench, 1, lambda: workbench.projects.open(folder, "Anna")))
    going, strokes, jumping = [], [], []
    for number in range(1, steps + 1):
        QTest.qWait(LOOK_MILLISECONDS)
        painted = number % 2 == 0
        if painted:
            workbench.layers.mask_layer.paint((40, 40), 1)
        took = clock(workbench, number + 1, lambda: press_next(workbench))
        (strokes if painted else going).append(took)
    for number in jumps:
        QTest.qWait(LOOK_MILLISECONDS)
        target = str(number)
        jumping.append(clock(workbench, number, lambda n=target: workbench.queue.find(n)))
    return {
        "open the project, no index yet": opened[:1],
        "open it, with the index": opened[1:],
        "next image, read ahead": going,
        "the same, with strokes to be saved": strokes,
        "jump to an image that was not read": jumping,
    }


def press_next(workbench: Workbench) -> None:
    """Press the key for the next image on the canvas."""
    QTest.keyClick(workbench.viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Right, ALT)


def clock(workbench: Workbench, number: int, call: Callable[[], None]) -> np.ndarray:
    """Return what it takes until image `number` is there with its mask."""
    begin = timing.now()
    call()
    wait(lambda: workbench.session.queue is not None and workbench.session.queue.number == number)
    if not workbench.layers.mask_layer.data.any():
        raise SystemExit("the image came without its mask")
    return timing.now() - begin


def wait(condition: Callable[[], bool], patience: float = PATIENCE_SECONDS) -> None:
    """Let Qt work until a condition holds."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("waited too long")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


if __name__ == "__main__":
    main()
