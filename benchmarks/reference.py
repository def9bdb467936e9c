"""What a reference costs: the time of the mask of an image with one, beyond that without.

Run from the project's root: ``python -m benchmarks.reference``. Patterned scenes are compared with
nothing, with themselves and with another picture in turns. By processor time, and by the clock,
which counts once what two cores do at the same time. Prints a table in Markdown; exit code 1
where a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from napari_semxai.algorithms.synthetic import SceneSpec, make_reference, make_scene
from napari_semxai.cli.works.masks import Pipeline
from napari_semxai.store.images.companions import compare_image
from napari_semxai.store.images.read import read_image
from napari_semxai.types import AlgorithmSettings, GenerateSettings, MaskSettings
from napari_semxai.types.settings import AUTO_REFERENCE, NO_REFERENCE, SELF_REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_semxai.types import SemImage

GOALS = {480: 0.3, 4096: 6.0}
"""Seconds by the clock beyond a mask without a reference, by the edge of the image in pixels."""
NAMES = {SELF_REFERENCE: "itself", AUTO_REFERENCE: "another picture"}
POINTS = 4
"""A side of the grid, which is asked alike with and without a reference."""
TURNS = {480: 7, 4096: 1}


def write_pair(folder: Path, side: int, seed: int) -> Path:
    """Write a scene of holes with three defects, and the same place without them beside it."""
    spec = SceneSpec((side, side), pattern="holes", noise=5.0, radius=side / 24, defects=3)
    path = folder / f"{side}_{seed}.png"
    Image.fromarray(make_scene(spec, seed).image).save(path)
    reference = make_reference(spec, seed)
    Image.fromarray(reference).save(path.with_name(f"{path.stem}_reference.png"))
    return path


def pipeline_of(reference: str) -> Pipeline:
    """Return what makes masks with a reference, with a network of its own."""
    algorithm = AlgorithmSettings(reference=reference)
    return Pipeline(MaskSettings("bundled", "cpu", GenerateSettings(POINTS), algorithm=algorithm))


def compared_images(folder: Path, side: int) -> Iterator[SemImage]:
    """Yield images that all of `NAMES` can be compared with: not every layout of holes repeats."""
    for seed in count():
        image = read_image(write_pair(folder, side, seed))
        found = [compare_image(image, AlgorithmSettings(reference=name)) for name in NAMES]
        if not any(difference is None or difference.reason for difference in found):
            yield image


def seconds_of(pipeline: Pipeline, images: list[SemImage]) -> np.ndarray:
    """Return the time of comparing and of the whole mask, and that by the clock: (images, 3)."""
    # Image by image: each is new to the network, which remembers the last one.
    found = []
    for image in images:
        start = time.process_time()
        compare_image(image, pipeline.settings.algorithm)
        between, clock = time.process_time(), time.perf_counter()
        pipeline.run(image)
        ends = time.process_time(), time.perf_counter()
        found.append((between - start, ends[0] - between, ends[1] - clock))
    return np.array(found)


def measured(side: int, scenes: int) -> dict[str, np.ndarray]:
    """Return the medians of `seconds_of` of each reference, of the mask beyond that without."""
    with tempfile.TemporaryDirectory() as folder:
        images = list(islice(compared_images(Path(folder), side), scenes))
        pipelines = [pipeline_of(name) for name in (NO_REFERENCE, *NAMES)]
        for pipeline in pipelines:
            pipeline.run(images[-1])
        turns = np.array(
            [
                [seconds_of(pipeline, images) for pipeline in pipelines]
                for _ in range(TURNS.get(side, 3))
            ]
        )
    turns[:, 1:, :, 1:] -= turns[:, :1, :, 1:]
    medians = np.median(turns, axis=(0, 2))
    return dict(zip(NAMES.values(), medians[1:], strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(GOALS))
    parser.add_argument("--scenes", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    reached = True
    titles = "comparing, s", "network and judging, s", "all beyond, s", "by the clock, s"
    print("|", " | ".join(("image", "compared with", *titles)), "|")
    print("|---|---|---|---|---|---|")
    for side in arguments.sizes:
        for name, (comparing, beyond, clock) in measured(side, arguments.scenes).items():
            rest = beyond - comparing
            values = " | ".join(f"{value:.2f}" for value in (comparing, rest, beyond, clock))
            print(f"| {side}² | {name} | {values} |")
            reached = reached and clock <= GOALS.get(side, np.inf)
    sys.exit(not reached)


if __name__ == "__main__":
    main()
