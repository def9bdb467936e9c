"""Time what the GUI thread spends while a person moves thresholds and toggles explanations.

Run from the project's root, with a display: ``python -m benchmarks.live_explain``. Prints a table
in Markdown: time from the widget's signal to the layer's data being set, by the clock and in
processor time of the GUI thread, which a busy machine lengthens less. The explanations are
bumps, so that no network is needed; classes come out of the cache of answers, as they do for a
person, with heat map and concepts. Layers of concepts and colour bars follow a turn of the event
loop later; those of concepts have a line of their own.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_semxai.plugin import open_workbench
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import (
    ClassifyRequest,
    CraftFitRequest,
    CraftTransformRequest,
    GradcamRequest,
    LayersRequest,
)
from tests import explanations as make


def main() -> None:
    """Measure at the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[480, 2048])
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    viewer = napari.Viewer()
    workbench = open_workbench(viewer)
    workbench.explain_engine.submit = submit
    workbench.explaining.classify.warm()
    print("| image | what | median, ms | 95 % of them below, ms | median processor time, ms |")
    print("|---|---|---|---|---|")
    for size in arguments.sizes:
        for what, found in measure(workbench, size, arguments.repeats).items():
            wall, busy = zip(*found, strict=True)
            figures = median(wall), float(np.percentile(wall, 95)), median(busy)
            print(f"| {size}² | {what} |", " | ".join(f"{figure:.1f}" for figure in figures), "|")
    viewer.close()


def measure(workbench, size: int, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Return times in milliseconds of every kind of motion on one image size."""
    gray = np.random.default_rng(0).integers(80, 120, (size, size)).astype(np.uint8)
    workbench.images.show(image_from_array(gray, f"{size}"))
    explain_two_classes(workbench)
    classify = workbench.explaining.classify
    masks = workbench.dock("Explain").masks
    results = {
        "τ of the heat map": times(repeats, lambda n: masks.tau.setValue(0.2 + n % 30 / 50)),
        "τ of three concepts": times(
            repeats, lambda n: masks.concept_tau.setValue(0.2 + n % 30 / 50)
        ),
        "a concept on or off": times(
            repeats, lambda n: toggle(workbench, frozenset((0, 1, 2)) if n % 2 else {0, 1})
        ),
        "a class already computed: heat map, masks": times(
            repeats, lambda n: classify.set_target(n % 2)
        ),
        "a class already computed: three concepts, a turn later": times(
            repeats,
            lambda _: workbench.explanations.show_others(),
            before=lambda n: classify.set_target(n % 2),
        ),
    }
    masks.paper.setChecked(True)
    results["τ in paper mode"] = times(repeats, lambda n: masks.tau.setValue(0.2 + n % 30 / 50))
    results["δ in paper mode"] = times(repeats, lambda n: masks.delta.setValue(40 + n % 30))
    masks.paper.setChecked(False)
    return results


def explain_two_classes(workbench) -> None:
    """Have heat map and concepts of two classes in the cache."""
    explaining, state = workbench.explaining, workbench.session.explanation
    while not state.image_key:
        QApplication.processEvents()
    explaining.concepts.add_current()
    explaining.heatmaps.explain()
    # Twice: an answer while it is still asked for is kept only.
    for target in (0, 1, 0, 1):
        explaining.classify.set_target(target)
        explaining.concepts.fit()
    QApplication.processEvents()


def submit(request, *, on_update, on_done, **_) -> None:
    """Answer at once, instead of the engine."""
    on_update(answer(request))
    on_done()


def answer(request):
    """Return bumps of the image's size, at another place for each class."""
    match request:
        case LayersRequest():
            return make.network()
        case ClassifyRequest():
            return make.classification(0)
        case GradcamRequest(image=image, target=target):
            return heat_of(len(image), target)
        case CraftFitRequest(target=target):
            return make.bank(target=target, key=f"{target}", path=Path(f"{target}"))
        case CraftTransformRequest(image=image, bank=bank):
            return make.concept_maps(target=int(bank.name), key=bank.name, shape=image.shape)


def heat_of(size: int, target: int):
    """Return a heat map with one bump."""
    place = size // 2, size // (2 + target)
    found = make.heatmap(target, place=place, shape=(size, size))
    found.values[:] = make.peak((size, size), place, size / 8)
    return found


def toggle(workbench, concepts) -> None:
    """Show these concepts."""
    workbench.explaining.masks.set_masks(concepts=frozenset(concepts))


def times(repeats: int, act, before=None) -> list[tuple[float, float]]:
    """Return how long each of some actions takes; the first two, which make layers, are out."""
    found = []
    for number in range(repeats + 2):
        if before is not None:
            before(number)
        begin, busy = time.perf_counter(), time.thread_time()
        act(number)
        busy, wall = time.thread_time() - busy, time.perf_counter() - begin
        found.append((wall * 1e3, busy * 1e3))
        QApplication.processEvents()
    return found[2:]


if __name__ == "__main__":
    main()
