"""Time to open and to filter a project of 5,000 images with two annotators.

Run: python benchmarks/project_index.py [--images N]. Prints a table in Markdown. Processor time
stands beside wall time; opening in the real window is part of `benchmarks.review_queue`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 64
RUNS = 9


def build(folder: Path, count: int) -> None:
    """Write small images, and reviews of two annotators."""
    from napari_semxai.store.project.create import create_project
    from napari_semxai.types import ReviewChange, ReviewState

    images = folder / "images"
    images.mkdir()
    for number in range(count):
        pixels = np.full((SIDE, SIDE), number % 251, dtype=np.uint8)
        tifffile.imwrite(images / f"{number:05}.tif", pixels)
    random = np.random.default_rng(0)
    states = list(ReviewState)
    start = time.perf_counter()
    with closing(create_project(folder / "project", images)) as project:
        row("create from a folder", f"{time.perf_counter() - start:.1f} s")
        start = time.perf_counter()
        for number, image in enumerate(project.images):
            for annotator in ("anna", "ben"):
                change = ReviewChange(
                    states[(number + len(annotator)) % len(states)],
                    random.random((SIDE, SIDE)) > 0.9,
                    label=str(number % 6 + 1),
                    confidence=float(random.random()),
                    score=float(random.random()),
                )
                project.write_review(image.id, annotator, change)
        each = (time.perf_counter() - start) / (2 * count)
    row("write one review (mask and record, flushed to disk)", f"{1000 * each:.1f} ms")


def row(what: str, took: str) -> None:
    """Print a row of the table."""
    print(f"| {what} | {took} |", flush=True)


def measure(folder: Path, what: str) -> None:
    """Open in a process of its own, as a start of the program does, and ask."""
    start = time.perf_counter()
    from napari_semxai.store.project.index.index import ProjectIndex
    from napari_semxai.store.project.index.open_project import OpenProject, ProjectCache
    from napari_semxai.store.project.project import open_project
    from napari_semxai.types import QueueFilter, ReviewChange, ReviewState

    imported, worked = time.perf_counter(), time.process_time()
    project = open_project(folder / "project")
    with closing(ProjectIndex(project, folder / "cache")) as index:
        opened = time.perf_counter()
        worked = time.process_time() - worked
        row(
            what,
            f"{opened - imported:.2f} s, processor {worked:.2f} s "
            f"(and {imported - start:.2f} s of imports)",
        )
        if what != "open, warm index":
            return
        filters = {
            "everything by number": QueueFilter(),
            "one annotator's accepted": QueueFilter("anna", frozenset([ReviewState.ACCEPTED])),
            "not reviewed by anybody": QueueFilter(states=frozenset([ReviewState.CANDIDATE])),
            "class 3 by confidence": QueueFilter(
                where={"label": frozenset("3")}, order="confidence"
            ),
            "confidence 0.2 to 0.4 by score": QueueFilter(
                "ben", where={"confidence": (0.2, 0.4)}, order="score", descending=True
            ),
            "name contains 77": QueueFilter(text="77", order="image"),
        }
        for name, wanted in filters.items():
            count = len(index.queue(wanted))
            row(f"filter, {name} ({count:,})", _often(partial(index.queue, wanted)))
        opened_project = OpenProject(project, index, ProjectCache(project, "anna"))
        for name, wanted in {
            "one annotator's": QueueFilter("anna", hidden_from="anna"),
            "anybody's, blind": QueueFilter(hidden_from="anna"),
        }.items():
            asking = partial(opened_project.ask, wanted, "anna")
            row(f"as the window asks: refresh, counts and queue, {name}", _often(asking))
        row("counts of all states", _often(index.status))
        row("refresh, nothing new", _often(index.refresh))
        row("refresh that looks at every file", _often(partial(index.refresh, every_file=True)))
        own = project.write_review(project.images[5].id, "anna", ReviewChange(ReviewState.UNSURE))
        row("take in one own review", f"{1000 * _seconds(partial(index.put, own)):.0f} ms")
        row("refresh after an own review", f"{1000 * _seconds(index.refresh):.0f} ms")
        project.close()
        with closing(open_project(folder / "project")) as other:
            other.write_review(project.images[7].id, "zoe", ReviewChange(ReviewState.UNSURE))
            row("refresh, one review of another", f"{1000 * _seconds(index.refresh):.0f} ms")
            other.write_review(project.images[7].id, "ben", ReviewChange(ReviewState.UNSURE))
        row("refresh, in a folder of many records", f"{1000 * _seconds(index.refresh):.0f} ms")


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _often(call: Callable[[], object]) -> str:
    """Return what several calls take, in words."""
    worked = time.process_time()
    times = sorted(_seconds(call) for _ in range(RUNS))
    worked = 1000 * (time.process_time() - worked) / RUNS
    middle, worst = 1000 * times[RUNS // 2], 1000 * times[-1]
    return f"median {middle:.0f} ms, worst {worst:.0f} ms, processor {worked:.0f} ms"


def main() -> None:
    """Build once, then measure in children."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(Path(options.measure[0]), options.measure[1])
        return
    print(f"| {options.images:,} images, two annotators | |\n|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        build(Path(name), options.images)
        for what in ("open, index rebuilt", "open, warm index"):
            command = [sys.executable, __file__, "--measure", name, what]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
