"""Wall time and processor time, so that figures of a busy machine can be judged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEAD = (
    "| image | what | median, ms | 95 % of them below, ms | worst, ms | processor, median, ms |\n"
    "|---|---|---|---|---|---|"
)


def now(*children: int | None) -> np.ndarray:
    """Return seconds of wall time, and of processor time of this process and of children."""
    times = (psutil.Process(pid).cpu_times() for pid in children if pid is not None)
    return np.array(
        [time.perf_counter(), time.process_time() + sum(t.user + t.system for t in times)]
    )


def rows(image: str, measured: Iterable[tuple[str, Sequence[np.ndarray]]]) -> list[str]:
    """Return the rows of a table with `HEAD`: wall time beside processor time."""
    lines = []
    for what, seconds in measured:
        wall, processor = 1e3 * np.array(seconds).T
        ranks = np.percentile(wall, [50, 95, 100])
        cells = " | ".join(f"{each:.0f}" for each in (*ranks, np.median(processor)))
        lines.append(f"| {image} | {what} | {cells} |")
    return lines
