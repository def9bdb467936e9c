"""Memory of the window and both engines while a person goes through images.

Run from the project's root, with a display: ``python -m benchmarks.memory``; with ``--explain``
also heat maps and concepts of each image are made. Prints a table in Markdown: MB of each process,
of memory that several share its share (PSS), and in brackets all that is resident (RSS), which
counts shared libraries in each. Other programs that use torch make the first too small.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import psutil
from qtpy.QtTest import QTest

from benchmarks import review_queue

if TYPE_CHECKING:
    from napari_semxai.workbench import Workbench

wait = partial(review_queue.wait, patience=1200)
"""Networks are slow to load on a busy machine."""
REST_MILLISECONDS = 15_000
PROCESSES = "window", "SAM engine", "Explain engine"
METHODS = ("gradcam", "gradcam++", "layercam")


def main() -> None:
    """Go through the images and print what the processes hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=480)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--points", type=int, default=32, help="points per side of the grid")
    parser.add_argument("--explain", action="store_true")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ[name] = str(scratch / name)
    folder = review_queue.make_project(scratch, arguments.size, arguments.images, set())
    # Only now: the plugin asks for the folders when it is made.
    from napari_semxai.plugin import open_workbench

    viewer = napari.Viewer()
    workbench = open_workbench(viewer)
    workbench.show()
    settings = replace(workbench.session.generate, points_per_side=arguments.points)
    workbench.segment.set_generate(settings)
    workbench.projects.open(folder, "Anna")
    print("| after | ", " | ".join(PROCESSES), " | all |\n|---|", "---|" * (len(PROCESSES) + 1))
    for number in range(1, arguments.images + 1):
        go_to(workbench, number, explain=arguments.explain)
        if number % 5 == 0 or number == 1:
            print_row(f"image {number}", workbench)
    QTest.qWait(REST_MILLISECONDS)
    print_row(f"a rest of {REST_MILLISECONDS / 1000:.0f} s", workbench)
    viewer.close()


def go_to(workbench: Workbench, number: int, *, explain: bool) -> None:
    """Open an image, make its mask, and explain it as a person would."""
    session = workbench.session
    if number > 1:
        workbench.queue.step(1)
    wait(lambda: session.queue is not None and session.queue.number == number)
    workbench.segment.generate()
    wait(lambda: not session.generation.running and session.pool is not None)
    if not explain:
        return
    explaining, state = workbench.explaining, session.explanation
    explaining.classify.warm()
    wait(lambda: state.classification is not None and state.network is not None)
    for method in METHODS:
        explaining.heatmaps.set_cam(replace(state.cam, method=method))
        explaining.heatmaps.explain()
        wait(lambda: state.heatmaps.active is not None)
    if number == 1:
        explaining.concepts.add_current()
        explaining.concepts.fit()
    wait(lambda: state.concepts is not None or not state.fitting.running)


def print_row(when: str, workbench: Workbench) -> None:
    """Print what each process holds; 0 for one that was not started."""
    pids = os.getpid(), workbench.engine.pid, workbench.explain_engine.pid
    held = [(0, 0) if pid is None else held_by(pid) for pid in pids]
    cells = [*held, tuple(map(sum, zip(*held, strict=True)))]
    texts = (f"{share / 1e6:,.0f} ({resident / 1e6:,.0f})" for share, resident in cells)
    print(f"| {when} | ", " | ".join(texts), " |", flush=True)


def held_by(pid: int) -> tuple[int, int]:
    """Return PSS of a process, where the system tells it, and RSS, in bytes."""
    found = psutil.Process(pid).memory_full_info()
    return int(getattr(found, "pss", found.rss)), int(found.rss)


if __name__ == "__main__":
    main()
