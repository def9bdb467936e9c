"""Time from a request to its answer in a warm engine process, with the bundled classifier.

python benchmarks/explain_latency.py
"""

from __future__ import annotations

import statistics
import time
from queue import SimpleQueue
from typing import Any

from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.engine.client import EngineClient
from napari_semxai.types import (
    ConceptBank,
    ConceptMaps,
    CraftFitRequest,
    CraftTransformRequest,
    GradcamRequest,
    Heatmap,
    WarmRequest,
)

REPEATS = 15


def ask(client: EngineClient, request: Any, kind: type) -> tuple[float, Any]:
    """Send a request and return the seconds to its first answer of a kind, and the answer."""
    answers: SimpleQueue[Any] = SimpleQueue()
    start = time.perf_counter()
    client.submit(
        request,
        destination="benchmark",
        on_update=lambda value: answers.put((time.perf_counter(), value)),
        on_done=lambda: answers.put((time.perf_counter(), None)),
        on_failed=lambda message: answers.put((time.perf_counter(), RuntimeError(message))),
    )
    found = None
    while True:
        moment, value = answers.get()
        if isinstance(value, RuntimeError):
            raise value
        if isinstance(value, kind) and found is None:
            found = moment - start, value
        if value is None and found is not None:
            return found


def report(name: str, seconds: list[float]) -> None:
    """Print median and worst."""
    print(f"{name:44} median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s")


def main() -> None:
    """Measure."""
    images = [scene_of_class(1, seed).image for seed in range(8)]
    client = EngineClient("explain")
    seconds, _ = ask(client, WarmRequest("bundled", "auto"), object)
    print(f"{'engine start to warm':44} {seconds:.1f} s")
    for method in ("gradcam", "layercam", "fullgrad"):
        request = GradcamRequest(images[0], "bundled", 0, method=method)
        report(method, [ask(client, request, Heatmap)[0] for _ in range(REPEATS)])
    for layer in ("features.head", ""):
        fit = CraftFitRequest(tuple(images), "bundled", 0, layer, 10, 80)
        start = time.perf_counter()
        _, bank = ask(client, fit, ConceptBank)
        print(f"fit at {bank.layer}, 8 images, k 10: {time.perf_counter() - start:.1f} s")
        for refinement in ("none", "guided"):
            request = CraftTransformRequest(images[1], "bundled", bank.path, refinement)
            ask(client, request, ConceptMaps)
            took = [ask(client, request, ConceptMaps)[0] for _ in range(REPEATS)]
            report(f"concept maps at {bank.layer}, {refinement}", took)
    client.close()


if __name__ == "__main__":
    main()
