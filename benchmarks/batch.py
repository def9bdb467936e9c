"""Speed of ``semxai mask`` over many images: linear, parallel, flat in memory, the same bytes.

``python -m benchmarks.batch --images 1000`` on an otherwise idle machine. It runs in one process,
in two, and on a Dask cluster of two workers of which one is killed in the middle. It says of
every bar whether it is met, and ends with 1 where one is not. ``--page`` puts the figures into
docs/measurements.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import psutil
from distributed import LocalCluster
from PIL import Image

from napari_semxai.algorithms.synthetic import make_scene, sample_spec
from napari_semxai.cli.batch.batch import clock
from scripts.pages import put_figures

PAGE = Path("docs/measurements.md")
PARTS = 4
SPEED_UP = 1.7
"""Two processes against one."""
EVEN = 0.15
"""How far the rate of the last quarter may lie from that of the first."""
GROWTH = 0.03
"""How much more memory the last quarter may take than the second; the first one fills up."""
EXAMPLE = 4591
"""Images of the worked example."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One run.

    Attributes
    ----------
    name : str
        Where it ran.
    ends : ndarray
        Seconds after the start at which each image was done, sorted.
    memory : ndarray
        Resident bytes of all processes, every second.
    processor : float
        Processor seconds of all processes: what a busy machine does not change.
    digest : str
        Of all files.
    """

    name: str
    ends: np.ndarray
    memory: np.ndarray
    processor: float
    digest: str

    @property
    def rate(self) -> float:
        """Images a second between the first and the last, without loading the network."""
        return (len(self.ends) - 1) / float(self.ends[-1] - self.ends[0])

    @property
    def load(self) -> float:
        """Seconds until the first image is done, less what an image takes."""
        return max(float(self.ends[0]) - 1 / self.rate, 0.0)

    @property
    def rates(self) -> np.ndarray:
        """Images a second in each quarter."""
        marks = np.linspace(0, len(self.ends) - 1, PARTS + 1).astype(int)
        return np.diff(marks) / np.diff(self.ends[marks])

    @property
    def megabytes(self) -> list[float]:
        """Median memory in each quarter."""
        return [float(np.median(part)) / 2**20 for part in np.array_split(self.memory, PARTS)]

    @property
    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.name} | {self.ends[-1]:.0f} | {self.load:.1f} | {self.processor:.0f} | "
            f"{self.rate:.2f} | {' '.join(f'{rate:.2f}' for rate in self.rates)} | "
            f"{' '.join(f'{value:.0f}' for value in self.megabytes)} |"
        )


def main() -> None:
    """Write images, run everywhere, and say what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=240)
    parser.add_argument("--points-per-side", type=int, default=4)
    parser.add_argument(
        "--page", action="store_true", help="put the figures into docs/measurements.md"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_images(root / "in", options.images, options.side)
        settings = ["--points-per-side", str(options.points_per_side), "--threads", "1"]
        runs = [
            run(root, "one process", [*settings]),
            run(root, "two processes", [*settings, "--jobs", "2"]),
            run_dask(root, "Dask, two workers, one killed", settings),
        ]
    found = bars(runs)
    text = report(runs, found, options)
    print(text)
    if options.page:
        put_figures(PAGE, text)
    sys.exit(0 if all(found.values()) else 1)


def bars(runs: list[Measured]) -> dict[str, bool]:
    """Say of every bar whether it is met."""
    one, two, _ = runs
    speed_up = two.rate / one.rate
    even = {own.name: own.rates[-1] / own.rates[0] for own in (one, two)}
    growth = {own.name: own.megabytes[-1] / own.megabytes[1] - 1 for own in (one, two)}
    return {
        f"speed-up {speed_up:.2f}, at least {SPEED_UP}": speed_up >= SPEED_UP,
        **{
            f"{name}: last quarter's rate {ratio:.2f} of the first's, within {EVEN:.0%}": abs(
                ratio - 1
            )
            <= EVEN
            for name, ratio in even.items()
        },
        **{
            f"{name}: memory grows by {share:.1%}, at most {GROWTH:.0%}": share <= GROWTH
            for name, share in growth.items()
        },
        "the same bytes in all runs": len({own.digest for own in runs}) == 1,
    }


def example(one: Measured) -> str:
    """Work the cost model out for a data set."""
    seconds = {workers: one.load + EXAMPLE / (workers * one.rate) for workers in (1, 2, 8)}
    times = ", ".join(
        f"{clock(value)} with {workers} worker{'s' if workers > 1 else ''}"
        for workers, value in seconds.items()
    )
    return (
        f"From the first row, load {one.load:.1f} s and r = {one.rate:.2f}: {EXAMPLE:,} such "
        f"images take {times}, each worker with a core of its own."
    )


def report(runs: list[Measured], found: dict[str, bool], options: argparse.Namespace) -> str:
    """Return the figures as Markdown."""
    return "\n".join(
        [
            f"{options.images:,} synthetic images of {options.side} x {options.side} pixels, "
            f"`--points-per-side {options.points_per_side} --threads 1`, "
            f"{os.cpu_count()} cores:",
            "",
            "| | seconds | load | processor seconds | images/s | in each quarter | "
            "MB in each quarter |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(own.line for own in runs),
            "",
            *(f"* {'PASS' if met else 'FAIL'}: {bar}" for bar, met in found.items()),
            "",
            example(runs[0]),
        ]
    )


def write_images(folder: Path, count: int, side: int) -> None:
    """Write scenes, each another one."""
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng([77, number])
        scene = make_scene(sample_spec(rng, (side, side)), int(rng.integers(2**62)))
        Image.fromarray(scene.image).save(folder / f"{number:05}.png")


def run(root: Path, name: str, settings: list[str]) -> Measured:
    """Run the command and watch it and all workers, which are children of this process."""
    command = [sys.executable, "-m", "napari_semxai", "mask", str(root / "in")]
    start = time.time()
    process = subprocess.Popen(
        [*command, "-o", str(root / name), *settings], stdout=subprocess.DEVNULL
    )
    memory: list[float] = []
    processor: dict[int, float] = {}
    over = threading.Event()
    watcher = threading.Thread(target=watch, args=(memory, processor, over))
    watcher.start()
    code = process.wait()
    over.set()
    watcher.join()
    if code:
        sys.exit(f"semxai mask ended with {code}")
    total = hashlib.sha256()
    for path in sorted((root / name).rglob("*.*")):
        total.update(path.read_bytes())
    ends = sorted(path.stat().st_mtime - start for path in (root / name).rglob("*.json"))
    return Measured(
        name, np.array(ends), np.array(memory), sum(processor.values()), total.hexdigest()
    )


def run_dask(root: Path, name: str, settings: list[str]) -> Measured:
    """Run on a cluster of its own, and kill a worker when a third is done."""
    # Its profiler samples the workers a hundred times a second for as long as the run lasts.
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        worker = psutil.Process(cluster.workers[0].pid)
        killer = threading.Thread(target=kill_later, args=(root, name, worker))
        killer.start()
        measured = run(root, name, [*settings, "--scheduler", cluster.scheduler_address])
        killer.join()
    return measured


def kill_later(root: Path, name: str, worker: psutil.Process) -> None:
    """Kill a worker when a third of the images is done."""
    wanted = len(list((root / "in").iterdir())) / 3
    while len(list((root / name).glob("*.json"))) < wanted:
        time.sleep(0.5)
    worker.kill()


def watch(memory: list[float], processor: dict[int, float], over: threading.Event) -> None:
    """Note memory and processor time of all children of this process until it is over."""
    while not over.wait(1.0):
        total = 0.0
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                total += child.memory_info().rss
                times = child.cpu_times()
                processor[child.pid] = times.user + times.system
        memory.append(total)


if __name__ == "__main__":
    main()
