"""Speed of ``semxai mask`` over many images: linear, parallel, flat in memory, the same bytes.

``python benchmarks/batch.py --images 1000`` on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from napari_semxai.algorithms.synthetic import make_scene, sample_spec

SIDE = 240


def main() -> None:
    """Write images, run with one and two workers, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--points-per-side", default="8")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_images(root / "in", options.images)
        common = ["--points-per-side", options.points_per_side, "--threads", "1"]
        runs = {jobs: run(root, jobs, common) for jobs in (1, 2)}
    (one, _, digest), (two, _, other) = runs[1], runs[2]
    for jobs, (seconds, memory, _) in runs.items():
        quarter = max(len(memory) // 4, 1)
        early, late = (
            np.median(part) / 2**20 for part in (memory[quarter : 2 * quarter], memory[-quarter:])
        )
        print(
            f"{jobs} worker(s): {seconds:.1f} s, {options.images / seconds:.2f} images/s, memory "
            f"{early:.0f} MB in the second quarter, {late:.0f} MB in the last"
        )
    print(f"speed-up {one / two:.2f}, identical output: {digest == other}")


def write_images(folder: Path, count: int) -> None:
    """Write scenes, each another one."""
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng([77, number])
        scene = make_scene(sample_spec(rng, (SIDE, SIDE)), int(rng.integers(2**62)))
        Image.fromarray(scene.image).save(folder / f"{number:05}.png")


def run(root: Path, jobs: int, common: list[str]) -> tuple[float, list[float], str]:
    """Return seconds, resident memory of all workers every second, and a digest of the output."""
    output = root / f"out{jobs}"
    command = [sys.executable, "-m", "napari_semxai.cli", "mask", str(root / "in")]
    command += ["-o", str(output), "--jobs", str(jobs), *common]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory: list[float] = []
    over = threading.Event()
    watcher = threading.Thread(target=watch, args=(process.pid, memory, over))
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    over.set()
    watcher.join()
    if code:
        sys.exit(f"semxai mask ended with {code}")
    total = hashlib.sha256()
    for path in sorted(output.rglob("*.*")):
        total.update(path.read_bytes())
    return seconds, memory, total.hexdigest()


def watch(number: int, memory: list[float], over: threading.Event) -> None:
    """Note the resident memory of a process and its children until it is over."""
    process = psutil.Process(number)
    while not over.wait(1.0):
        try:
            every = [process, *process.children(recursive=True)]
            memory.append(float(sum(own.memory_info().rss for own in every)))
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    main()
