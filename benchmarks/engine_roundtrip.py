"""What the engine process costs without a network: start, round trips, cancels, closing.

Run from the project's root: ``python -m benchmarks.engine_roundtrip``.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.engine.client import EngineClient
from tests.engine.fake_service import Count, Echo, Hang

if TYPE_CHECKING:
    from collections.abc import Callable


def submit(client: EngineClient, request: Any, **options: Any) -> Callable[[], bool]:
    """Send a request and return a function that waits for its first update."""
    answered = threading.Event()
    options = {"destination": "a", "on_failed": print, **options}
    client.submit(request, on_update=lambda _: answered.set(), on_done=lambda: None, **options)
    return answered.wait


def timed(action: Callable[[], Any]) -> float:
    """Return the milliseconds that `action` takes."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def show(what: str, milliseconds: list[float]) -> None:
    """Print median and 95th percentile."""
    middle, high = np.percentile(milliseconds, [50, 95])
    print(f"{what:<60}{middle:>9.2f}{high:>9.2f}")


def round_trips(client: EngineClient, shape: tuple[int, ...], repeats: int) -> None:
    """Time an array there and back, and how long `submit` holds its caller."""
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    held, total = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        answered = submit(client, Echo(image))
        held.append((time.perf_counter() - start) * 1000)
        answered()
        total.append((time.perf_counter() - start) * 1000)
    show(f"round trip of {' x '.join(map(str, shape))} uint8", total)
    show("  of that in submit(), on the caller's thread", held)


def cancel(client: EngineClient, request: Any) -> float:
    """Time from cancelling a running job to the answer of a background job behind it."""
    submit(client, request)()
    behind = submit(client, Count(1), destination="b", background=True)
    return timed(lambda: (client.cancel("a"), behind()))


def main() -> None:
    """Print the table."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    print(f"{'milliseconds':<60}{'median':>9}{'95 %':>9}")
    client = EngineClient("tests.engine.fake_service:build")
    show("start()", [timed(client.start)])
    show("to the first answer", [timed(submit(client, Count(1)))])
    round_trips(client, (480, 480), 300)
    round_trips(client, (480, 480, 3), 300)
    round_trips(client, (4096, 4096), 20)
    polite = [cancel(client, Count(10_000, 0.02)) for _ in range(20)]
    show("cancel between steps of 20 ms, to the next job's answer", polite)
    forced = [cancel(client, Hang()) for _ in range(5)]
    show("cancel by force, to the next job's answer (new process)", forced)
    submit(client, Hang())()
    show("close() while busy", [timed(client.close)])


if __name__ == "__main__":
    main()
