"""Time going through a project: from the key to the next image's mask layer being set.

Run from the project's root, with a display: ``python -m benchmarks.review_queue``. Prints a table
in Markdown. Every image has a stored mask; neighbours are read ahead while the annotator looks.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QEventLoop
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.store.project_create import create_project
from napari_semxai.types import ReviewChange

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.workbench import Workbench

PATIENCE_SECONDS = 120
LOOK_MILLISECONDS = 400
"""How long an image is looked at; meanwhile its neighbours are read."""


def main() -> None:
    """Make a project, go through it and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=480)
    parser.add_argument("--images", type=int, default=30)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ[name] = str(scratch / name)
    folder = make_project(scratch, arguments.size, arguments.images)
    # Only now: the plugin asks for the folders when it is made.
    from napari_semxai.plugin import open_workbench

    viewer = napari.Viewer()
    workbench = open_workbench(viewer)
    workbench.projects.open(folder, "Anna")
    wait(lambda: workbench.session.image is not None)
    print("| image | what | median, ms | 95 % of them below, ms |")
    print("|---|---|---|---|")
    for what, seconds in measure(workbench, arguments.images).items():
        high = float(np.percentile(seconds, 95))
        size = arguments.size
        print(f"| {size}² | {what} | {1e3 * median(seconds):.0f} | {1e3 * high:.0f} |")
    viewer.close()


def make_project(scratch: Path, size: int, count: int) -> Path:
    """Return a project of synthetic images, every one with a stored mask."""
    images = scratch / "images"
    scenes = [scene_of_class(1 + n % 5, n, shape=(size, size)) for n in range(count)]
    for number, scene in enumerate(scenes):
        write_gray(images / f"scene_{number:03}.png", scene.image)
    project = create_project(scratch / "project", images)
    for image, scene in zip(project.images, scenes, strict=True):
        project.write_review(image.id, "Anna", ReviewChange(mask=scene.defect))
    project.close()
    return project.folder


def write_gray(path: Path, pixels: np.ndarray) -> None:
    """Write an 8-bit image."""
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def measure(workbench: Workbench, count: int) -> dict[str, list[float]]:
    """Return seconds of going on, of jumping, and of going on after a stroke."""
    steps, strokes, jumps = [], [], []
    for number in range(1, count - 1):
        QTest.qWait(LOOK_MILLISECONDS)
        painted = number % 2 == 0
        if painted:
            workbench.layers.mask_layer.paint((40, 40), 1)
        seconds = clock(workbench, number + 1, lambda: workbench.queue.step(1))
        (strokes if painted else steps).append(seconds)
    for number in range(1, count // 2, 3):
        QTest.qWait(LOOK_MILLISECONDS)
        target = str(number)
        jumps.append(clock(workbench, number, lambda n=target: workbench.queue.find(n)))
    return {
        "next image, read ahead": steps,
        "the same, with strokes to be saved": strokes,
        "jump to an image that was not read": jumps,
    }


def clock(workbench: Workbench, number: int, call: Callable[[], None]) -> float:
    """Return how long it takes until image `number` is there with its mask."""
    begin = time.perf_counter()
    call()
    wait(lambda: workbench.session.queue.number == number)
    if not workbench.layers.mask_layer.data.any():
        raise SystemExit("the image came without its mask")
    return time.perf_counter() - begin


def wait(condition: Callable[[], bool]) -> None:
    """Let Qt work until a condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("waited too long")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


if __name__ == "__main__":
    main()
