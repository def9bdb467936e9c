"""Time what the GUI thread spends while a person paints and moves sliders.

Run from the project's root, with a display: ``python -m benchmarks.live_edit``. Prints a table
in Markdown, by the clock and in processor time of the GUI thread, which a busy machine hardly
lengthens. Every figure is a median of the same run.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from statistics import median

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_semxai.algorithms.algorithm1.winner_map import winner_envelope
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.plugin import open_workbench
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import FilterSettings, GenerateUpdate
from tests.pools import pool_of

WIDTHS = (0.75, 0.745, 0.735, 0.72, 0.7, 0.675)
"""Of the surfaces among the candidates, as shares of the image."""


def main() -> None:
    """Measure at the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[480, 4096])
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    viewer = napari.Viewer()
    workbench = open_workbench(viewer)
    # The candidates come from here.
    workbench.engine.submit = lambda *_, **__: None
    # In front, as while a person paints: its table follows, too.
    workbench.dock("Scores").parent().raise_()
    print("| image | what | median, ms | 95 % of them below, ms | median processor time, ms |")
    print("|---|---|---|---|---|")
    for size in arguments.sizes:
        for what, found in measure(workbench, size, arguments.repeats).items():
            wall, busy = zip(*found, strict=True)
            figures = median(wall), float(np.percentile(wall, 95)), median(busy)
            print(f"| {size}² | {what} |", " | ".join(f"{each:.3f}" for each in figures), "|")
    viewer.close()


def measure(workbench, size: int, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Return times in milliseconds of every kind of motion on one image size."""
    gray = np.random.default_rng(0).integers(80, 120, (size, size)).astype(np.uint8)
    workbench.images.show(image_from_array(gray, f"{size}"))
    truth = np.zeros((size, size), np.uint8)
    truth[size // 3 : size // 2, size // 3 : size // 2] = 1
    layer = workbench.viewer.add_labels(truth, name="truth")
    workbench.comparison.set_truth(layer)
    # The surfaces overlap more than SAM 2's own filter lets pass.
    workbench.segment.set_filters(FilterSettings(box_nms_thresh=1.0))
    workbench.segment.generate()
    workbench.segment._on_answer(GenerateUpdate("decode", 1, 1, 0.0, candidates(size)))
    QApplication.processEvents()
    results = {"α or β moved, signal to mask layer set": slide(workbench, repeats)}
    results |= {
        "the same, to a winner not seen before": new_winners(workbench, repeats, ready=False),
        "the same, its defect computed ahead": new_winners(workbench, repeats, ready=True),
        "the same, to a winner seen before": change_winner(workbench, repeats),
    }
    results |= paint(workbench, truth, repeats)
    results |= {"table of scores, ten times a second at most": refresh_table(workbench, repeats)}
    workbench.viewer.layers.remove(layer)
    return results


def candidates(size: int, count: int = 40):
    """Return a pool of discs, and of surfaces of which α chooses one after the other."""
    rows, columns = np.ogrid[:size, :size]
    masks = np.zeros((count, size, size), bool)
    rng = np.random.default_rng(1)
    for mask in masks:
        row, column = rng.integers(size // 4, 3 * size // 4, 2)
        radius = rng.integers(size // 24, size // 6)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        mask[:] = disc
    for number, (width, mask) in enumerate(zip(WIDTHS, masks, strict=False)):
        # Each is smaller than the one before, and nearer the centre.
        left = 0.375 + 0.025 * number - width / 2
        mask[:] = False
        mask[:, round(left * size) : round((left + width) * size)] = True
    return pool_of(masks)


def slide(workbench, repeats: int) -> list[tuple[float, float]]:
    """Move α to and fro without changing the winner."""
    times = []
    for step in range(repeats):
        alpha = 1 + step % 7 / 100
        times.append(clock(lambda alpha=alpha: workbench.segment.set_algorithm(alpha=alpha)))
        QApplication.processEvents()
    return times


def new_winners(workbench, repeats: int, ready: bool) -> list[tuple[float, float]]:
    """Move α and β through the winners of their plane, each visited once after a new pool."""
    pool, automatic = workbench.session.pool, workbench.session.automatic
    envelope = winner_envelope(automatic.pool.areas, automatic.truth.distances, pool.shape)
    alphas = np.linspace(0, 10, 200)
    path = envelope.winners(alphas, [0.01])[0]
    stops = alphas[np.flatnonzero(np.diff(path, prepend=-1))]
    if len(stops) < 2:
        raise SystemExit("the plane has one winner only")
    times = []
    while len(times) < repeats:
        workbench.segment.set_algorithm(alpha=float(stops[0]), beta=0.01)
        workbench.segment._on_answer(
            GenerateUpdate("decode", 1, 1, 0.0, pool.take(range(len(pool))))
        )
        if ready:
            workbench.segment._on_generated()
            wait_for_jobs(workbench)
        for alpha in stops[1:]:
            motion = partial(workbench.segment.set_algorithm, alpha=float(alpha))
            times.append(clock(motion))
            QApplication.processEvents()
    return times


def wait_for_jobs(workbench) -> None:
    """Wait until what was computed behind the window has arrived."""
    arrived = []
    workbench.jobs.run("benchmark", lambda: None, arrived.append, arrived.append)
    stage = workbench.segment._ranking._stage_two
    while not arrived or not set(stage._asked) <= set(stage._known):
        QApplication.processEvents()


def refresh_table(workbench, repeats: int) -> list[tuple[float, float]]:
    """Bring the table of the Scores dock up to date, as its timer does after strokes."""
    dock = workbench.dock("Scores")
    times = []
    for step in range(repeats):
        workbench.layers.mask_layer.paint((step, step), 1)
        before = workbench.session.comparison
        asking = clock(dock._on_refresh_due)
        while workbench.session.comparison is before:
            QApplication.processEvents()
        showing = clock(lambda: dock.panel.set_comparison(workbench.session.comparison))
        times.append((asking[0] + showing[0], asking[1] + showing[1]))
    return times


def change_winner(workbench, repeats: int) -> list[tuple[float, float]]:
    """Go round the six largest candidates, every mask already computed once."""
    order = np.argsort(-workbench.session.automatic.pool.areas)[:6]
    times = []
    for step in range(repeats + len(order)):
        row = int(order[step % len(order)])
        times.append(clock(lambda row=row: workbench.segment.choose_winner(row)))
        QApplication.processEvents()
    workbench.segment.choose_winner(None)
    return times[len(order) :]


def paint(workbench, truth: np.ndarray, repeats: int) -> dict[str, list[tuple[float, float]]]:
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


def clock(call) -> tuple[float, float]:
    """Return milliseconds that a call takes, by the clock and of this thread's processor time."""
    wall, busy = time.perf_counter(), time.thread_time()
    call()
    return (time.perf_counter() - wall) * 1e3, (time.thread_time() - busy) * 1e3


if __name__ == "__main__":
    main()
