"""Time what the GUI thread spends while a person paints and moves sliders.

Run from the project's root, with a display: ``python -m benchmarks.live_edit``. Prints a table
in Markdown. Every figure is a median of the same run.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_semxai.algorithms.metrics import scores
from napari_semxai.plugin import open_workbench
from napari_semxai.store.images import image_from_array
from napari_semxai.types import GenerateUpdate
from tests.pools import pool_of


def main() -> None:
    """Measure at the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[480, 4096])
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    viewer = napari.Viewer()
    workbench = open_workbench(viewer)
    print("| image | what | median, ms | 95 % of them below, ms |")
    print("|---|---|---|---|")
    for size in arguments.sizes:
        for what, milliseconds in measure(workbench, size, arguments.repeats).items():
            high = float(np.percentile(milliseconds, 95))
            print(f"| {size}² | {what} | {median(milliseconds):.3f} | {high:.3f} |")
    viewer.close()


def measure(workbench, size: int, repeats: int) -> dict[str, list[float]]:
    """Return times in milliseconds of every kind of motion on one image size."""
    gray = np.random.default_rng(0).integers(80, 120, (size, size)).astype(np.uint8)
    workbench.images.show(image_from_array(gray, f"{size}"))
    truth = np.zeros((size, size), np.uint8)
    truth[size // 3 : size // 2, size // 3 : size // 2] = 1
    layer = workbench.viewer.add_labels(truth, name="truth")
    workbench.comparison.set_truth(layer)
    workbench.segment._on_answer(GenerateUpdate("decode", 1, 1, 0.0, candidates(size)))
    QApplication.processEvents()
    results = {"α or β moved, signal to mask layer set": slide(workbench, repeats)}
    results |= {"the same, to a new winner": change_winner(workbench, repeats)}
    results |= paint(workbench, truth, repeats)
    workbench.viewer.layers.remove(layer)
    return results


def candidates(size: int, count: int = 40):
    """Return a pool of discs and of surfaces around them."""
    rows, columns = np.ogrid[:size, :size]
    masks = np.zeros((count, size, size), bool)
    rng = np.random.default_rng(1)
    for number, mask in enumerate(masks):
        row, column = rng.integers(size // 4, 3 * size // 4, 2)
        radius = rng.integers(size // 24, size // 6)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        mask[:] = ~disc if number < 6 else disc
    return pool_of(masks)


def slide(workbench, repeats: int) -> list[float]:
    """Move α to and fro without changing the winner."""
    times = []
    for step in range(repeats):
        alpha = 1 + step % 7 / 100
        times.append(clock(lambda alpha=alpha: workbench.segment.set_algorithm(alpha=alpha)))
        QApplication.processEvents()
    return times


def change_winner(workbench, repeats: int) -> list[float]:
    """Go round the six largest candidates, every mask already computed once."""
    order = np.argsort(-workbench.session.automatic.pool.areas)[:6]
    times = []
    for step in range(repeats + len(order)):
        row = int(order[step % len(order)])
        times.append(clock(lambda row=row: workbench.segment.choose_winner(row)))
        QApplication.processEvents()
    workbench.segment.choose_winner(None)
    return times[len(order) :]


def paint(workbench, truth: np.ndarray, repeats: int) -> dict[str, list[float]]:
    """Paint with the brush; split the time between napari and the readout."""
    layer, watch = workbench.layers.mask_layer, workbench.layers.watch
    layer.brush_size = 40
    whole, ours, scratch = [], [], []
    update = watch._on_box_painted

    def timed(event) -> None:
        ours.append(clock(lambda: update(event)))

    layer.events.labels_update.disconnect(update)
    layer.events.labels_update.connect(timed)
    size = truth.shape[0]
    for step in range(repeats):
        place = (size // 4 + step * size // (3 * repeats), size // 2)
        whole.append(clock(lambda place=place, step=step: layer.paint(place, step % 4 != 3)))
        QApplication.processEvents()
        scratch.append(clock(lambda: scores(layer.data, truth)))
    layer.events.labels_update.disconnect(timed)
    layer.events.labels_update.connect(update)
    if workbench.session.readout.scores != scores(layer.data, truth):
        raise SystemExit("the live counts differ from the counts from scratch")
    return {
        "brush of 40 px, all of one mouse event": whole,
        "of that: scores and size, live": ours,
        "the same scores from scratch": scratch,
    }


def clock(call) -> float:
    """Return how long a call takes, in milliseconds."""
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1e3


if __name__ == "__main__":
    main()
