"""Time from a request to its answer in a warm engine process, and to the layer in the viewer.

    python -m benchmarks.explain_latency --page docs/explanations.md

writes the table between two comments of that page, with the bundled classifier, its sha256, and
processor time of engine and asking thread, which a busy machine lengthens less. It needs a
display.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import TYPE_CHECKING, Any

import napari
import psutil
from qtpy.QtCore import QEventLoop, QTimer

from benchmarks.pages import footer, write_table
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.engine.client import EngineClient
from napari_semxai.plugin import open_workbench
from napari_semxai.state.explanation import CraftSettings
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import (
    ClassifierInfo,
    ConceptBank,
    ConceptMaps,
    CraftFitRequest,
    CraftTransformRequest,
    GradcamRequest,
    Heatmap,
    WarmRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

K, FITTED = 10, 20
HEAD = (
    "| what | median, s | worst, s | median processor time, s |",
    "|---|---|---|---|",
)


def ask(client: EngineClient, request: Any, kind: type) -> Any:
    """Send a request and return its first answer of a kind, once it is done."""
    answers: SimpleQueue[Any] = SimpleQueue()
    client.submit(
        request,
        destination="benchmark",
        on_update=answers.put,
        on_done=lambda: answers.put(None),
        on_failed=lambda message: answers.put(RuntimeError(message)),
    )
    found = None
    while True:
        value = answers.get()
        if isinstance(value, RuntimeError):
            raise value
        if isinstance(value, kind) and found is None:
            found = value
        if value is None and found is not None:
            return found


class Stopwatch:
    """Time by the clock and of the processor, of this thread and of an engine together.

    Parameters
    ----------
    client : EngineClient
        Its process is running.
    """

    def __init__(self, client: EngineClient) -> None:
        self._engine = psutil.Process(client.pid)
        self._found: dict[str, list[tuple[float, float]]] = {}

    def time(self, name: str, act: Callable[[], object]) -> None:
        """Add what an action takes."""
        start, busy = time.perf_counter(), self._busy()
        act()
        times = time.perf_counter() - start, self._busy() - busy
        self._found.setdefault(name, []).append(times)

    def rows(self) -> list[str]:
        """Return the lines of the table."""
        lines = []
        for name, found in self._found.items():
            wall, busy = zip(*found, strict=True)
            lines.append(f"| {name} | {median(wall):.3f} | {max(wall):.3f} | {median(busy):.2f} |")
        return lines

    def _busy(self) -> float:
        engine = self._engine.cpu_times()
        return time.thread_time() + float(engine.user + engine.system)


def answers(repeats: int) -> tuple[list[str], str]:
    """Return the rows from the request to the answer, and the classifier's sha256."""
    client = EngineClient("explain")
    images = [scene_of_class(1, seed).image for seed in range(FITTED)]
    info = ask(client, WarmRequest("bundled", "auto"), ClassifierInfo)
    watch = Stopwatch(client)
    for method in ("gradcam", "layercam", "fullgrad"):
        heat = GradcamRequest(images[0], "bundled", 0, method=method)
        for _ in range(repeats):
            watch.time(f"{method}, to the answer", lambda heat=heat: ask(client, heat, Heatmap))
    fit = CraftFitRequest(tuple(images), "bundled", 0, "", K, pieces="cells")
    bank = ask(client, fit, ConceptBank)
    name = f"{K} concepts of the cells of {FITTED} images"
    for seed in range(1, repeats + 1):
        # As when the slider of k moves: the network's part is known, the concepts are not.
        again = replace(fit, seed=seed)
        watch.time(f"{name}, found anew", lambda again=again: ask(client, again, ConceptBank))
    for refinement in ("none", "guided", "fine"):
        request = CraftTransformRequest(images[1], "bundled", bank.path, refinement)
        ask(client, request, ConceptMaps)
        name = f"{K} concepts at {bank.layer}, {refinement}, to the answer"
        for _ in range(repeats):
            watch.time(name, lambda request=request: ask(client, request, ConceptMaps))
    client.close()
    return watch.rows(), info.sha256


class Window:
    """The workbench with its own engine, as a person uses it."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer()
        self.workbench = open_workbench(self.viewer)
        self.state = self.workbench.session.explanation
        self.workbench.dock("Explain").parent().raise_()
        self.workbench.explaining.classify.warm()

    def until(self, signal: Any, act: Callable[[], object], reached: Callable[[], bool]) -> None:
        """Act and wait for a change; the layers, connected earlier, have followed it by then."""
        loop = QEventLoop()
        activities = ("explaining", "fitting", "classifying")

        def look() -> None:
            failed = [getattr(self.state, name) for name in activities]
            if reached() or any(one.state == "failed" for one in failed):
                loop.quit()

        watched = [signal, *(getattr(self.state.events, name) for name in activities)]
        for one in watched:
            one.connect(look)
        act()
        if not reached():
            loop.exec_()
        for one in watched:
            one.disconnect(look)
        if not reached():
            raise RuntimeError([getattr(self.state, name) for name in activities])

    def show(self, seed: int) -> None:
        """Show an image and wait for its class, heat map and concepts."""
        image, state = image_from_array(scene_of_class(1, seed).image, f"{seed}"), self.state
        self.until(
            state.events.classification,
            lambda: self.workbench.images.show(image),
            lambda: state.classification is not None,
        )

    def heat(self, target: int) -> None:
        """Ask for the heat map of a class and wait until its layer has it."""
        self.until(
            self.state.events.heatmaps,
            lambda: self.workbench.explaining.classify.set_target(target),
            lambda: getattr(self.state.heatmaps.active, "target", None) == target,
        )

    def concepts(self, refinement: str) -> None:
        """Ask for concept maps and wait until their layers have them."""
        state, controller = self.state, self.workbench.explaining.concepts
        self.until(
            state.events.concepts,
            lambda: controller.set_craft(replace(state.craft, refinement=refinement)),
            lambda: getattr(state.concepts, "refinement", "") == refinement,
        )
        # Their layers would follow in the next turn of the event loop.
        self.workbench.explanations.show_others()

    def rest(self) -> None:
        """Let the engine finish what follows an answer, as a person does who looks at it."""
        loop = QEventLoop()
        QTimer.singleShot(1000, loop.quit)
        loop.exec_()


def layers(repeats: int) -> list[str]:
    """Return the rows from the request to the layer."""
    window = Window()
    workbench, state = window.workbench, window.state
    window.show(1000)
    window.until(
        state.events.heatmaps,
        workbench.explaining.heatmaps.explain,
        lambda: state.heatmaps.active is not None,
    )
    window.until(state.events.network, lambda: None, lambda: state.network is not None)
    watch, concepts = Stopwatch(workbench.explain_engine), workbench.explaining.concepts
    window.heat(0)
    concepts.add_images(
        [image_from_array(scene_of_class(1, seed).image, f"{seed}") for seed in range(FITTED)]
    )
    concepts.set_craft(CraftSettings(n_concepts=K, refinement="guided"))
    window.until(state.events.concepts, concepts.fit, lambda: state.concepts is not None)
    for seed in range(2000, 2000 + repeats):
        window.show(seed)
        # Each of them is asked for the first time on this image.
        window.heat(0)
        window.rest()
        watch.time("gradcam, to the layer", lambda: window.heat(1))
        window.heat(0)
        window.concepts("guided")
        for refinement in ("none", "fine"):
            name = f"{K} concepts, {refinement}, to the layers"
            window.rest()
            watch.time(name, lambda refinement=refinement: window.concepts(refinement))
        window.concepts("guided")
    window.viewer.close()
    return watch.rows()


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    # Concepts that an earlier run found would only be read.
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    rows, sha256 = answers(options.repeats)
    rows += layers(options.repeats)
    meaning = (
        "To the layer: until the viewer's layer has its data. Processor time is that of the "
        "engine and of the asking thread."
    )
    said = f"Other work kept {load:.1f} processes waiting or running for each core meanwhile."
    text = "\n".join([*HEAD, *rows, "", f"{meaning} {said} {footer(sha256)}"])
    print(text)
    if options.page:
        write_table(options.page, "latency", text)


if __name__ == "__main__":
    main()
