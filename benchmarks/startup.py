"""Time how long the workbench takes to open beyond napari's own start, and the bare import.

Run from the project's root, with a display: ``python -m benchmarks.startup``. Prints a table in
Markdown: medians of fresh processes, by the clock and in processor time of the process itself,
which a busy machine hardly lengthens.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from statistics import median
from typing import Any

LIBRARY, WORKBENCH = "import napari_semxai", "workbench, import and opening"
NAPARI = "napari itself, import and empty window"


def main() -> None:
    """Measure in fresh processes, or once in this one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--once", action="store_true", help="measure here and print JSON")
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(measure()))
        return
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.startup", "--once"]
    runs = [
        json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]
        )
        for _ in range(arguments.repeats)
    ]
    print("| what | median, s | median processor time, s |")
    print("|---|---|---|")
    for what in (LIBRARY, WORKBENCH):
        wall, busy = (median(run[what][place] for run in runs) for place in (0, 1))
        print(f"| {what} | {wall:.2f} | {busy:.2f} |")


def measure() -> dict[str, tuple[float, float]]:
    """Return seconds by the clock and of the processor, in a process that did nothing before."""
    library = clock(import_library)
    viewers: list[Any] = []
    window = clock(lambda: viewers.append(open_napari()))
    workbench = clock(lambda: open_workbench(viewers[0]))
    viewers[0].close()
    return {LIBRARY: library, NAPARI: window, WORKBENCH: workbench}


def import_library() -> None:
    """Import the package and nothing of it."""
    import napari_semxai  # noqa: F401


def open_napari() -> Any:
    """Import napari and open its window, painted once."""
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    QApplication.processEvents()
    return viewer


def open_workbench(viewer) -> None:
    """Import what the manifest names and open all docks, painted once."""
    from qtpy.QtWidgets import QApplication

    from napari_semxai import plugin

    plugin.open_workbench(viewer)
    QApplication.processEvents()


def clock(call) -> tuple[float, float]:
    """Return how many seconds a call takes, by the clock and of the processor."""
    wall, busy = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - busy


if __name__ == "__main__":
    main()
