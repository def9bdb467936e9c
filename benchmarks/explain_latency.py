"""Time from a request to its answer in a warm engine process, with the bundled classifier.

python benchmarks/explain_latency.py --page docs/explanations.md

writes the table between two comments of that page; the concepts need the extra "craft".
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from queue import SimpleQueue
from statistics import median
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
BEGIN, END = "<!-- latency -->", "<!-- end of latency -->"


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


def row(name: str, seconds: list[float]) -> str:
    """Return median and worst as a line of the table, and print it."""
    line = f"| {name} | {median(seconds):.3f} | {max(seconds):.3f} |"
    print(line, flush=True)
    return line


def measure(client: EngineClient) -> list[str]:
    """Return the lines of the table."""
    images = [scene_of_class(1, seed).image for seed in range(8)]
    ask(client, WarmRequest("bundled", "auto"), object)
    lines = []
    for method in ("gradcam", "layercam", "fullgrad"):
        request = GradcamRequest(images[0], "bundled", 0, method=method)
        lines.append(row(method, [ask(client, request, Heatmap)[0] for _ in range(REPEATS)]))
    _, bank = ask(client, CraftFitRequest(tuple(images), "bundled", 0, "", 10, 80), ConceptBank)
    for refinement in ("none", "guided", "fine"):
        request = CraftTransformRequest(images[1], "bundled", bank.path, refinement)
        ask(client, request, ConceptMaps)
        took = [ask(client, request, ConceptMaps)[0] for _ in range(REPEATS)]
        lines.append(row(f"10 concepts at {bank.layer}, {refinement}", took))
    return lines


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    client = EngineClient("explain")
    lines = measure(client)
    client.close()
    said = f"Other work kept {load:.1f} processes waiting or running for each core meanwhile."
    text = "\n".join(["| what | median, s | worst, s |", "|---|---|---|", *lines, "", said])
    if options.page:
        head, rest = options.page.read_text().split(BEGIN)
        options.page.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
