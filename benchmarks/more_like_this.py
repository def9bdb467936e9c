"""How many of the ten most alike images are of the same class, and how long a question takes.

    python -m benchmarks.more_like_this

makes images of the layer of `benchmarks.learning` and their features. Some are reviewed, and their
classes known; the others are asked about among themselves, because what is reviewed needs no
looking for. Several draws of what is reviewed, and of what is asked. How features and classes are
weighed was chosen on layers 3 and 4 (`--layer 3`). Then a project of 5,000 images with random
features, of which 200 are reviewed, is asked. Ten minutes of a core.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.learning import LAYER, make_image, make_layer
from napari_semxai.algorithms.statistics.ranking import nearest, standardised
from napari_semxai.store.project.files import IMAGES_FILE
from napari_semxai.store.project.learned import write_features
from napari_semxai.store.project.project import Project
from napari_semxai.store.project.ranked import similar
from napari_semxai.types import ProjectImage, ProjectInfo, ReviewChange, ReviewState

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT, ASKED = 10, 150
_LARGE, _REVIEWED, _CHANNELS = 5000, 200, 1344


def scenes(layer: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Return the features of some images of a layer, and their classes."""
    from napari_semxai.backends.classifier.nearest import Describer

    look, describer = make_layer(layer), Describer()
    features, classes, spent = [], [], 0.0
    for number in range(count):
        pixels, _, label = make_image(look, number)
        begin = time.process_time()
        features.append(describer.described(pixels))
        spent += time.process_time() - begin
        classes.append(str(label))
        print(f"\r{number + 1} of {count} images", end="", flush=True)
    print(f"\n{spent / count:.2f} s of processor an image")
    return np.array(features, np.float32), np.array(classes)


def precision(
    features: NDArray[np.float32], classes: NDArray[np.str_], reviewed: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return what share of the images most like some are of their class, and those classes."""
    order = np.random.default_rng(seed).permutation(len(features))
    known, others = order[:reviewed], order[reviewed:]
    told = np.full(len(features), "", classes.dtype)
    told[known] = classes[known]
    shares = []
    for row in others[:ASKED]:
        alike = nearest(features, int(row), told)[0]
        first = alike[np.isin(alike, others)][:AT]
        shares.append((classes[first] == classes[row]).mean())
    return np.array(shares), classes[others[:ASKED]]


def table(features: NDArray[np.float32], classes: NDArray[np.str_], seeds: int) -> str:
    """Return a line for each number of reviewed images."""
    lines = []
    for reviewed in (0, 50, 100, 200):
        found = [precision(features, classes, reviewed, seed) for seed in range(seeds)]
        shares, of = (np.concatenate(part) for part in zip(*found, strict=True))
        each = ", ".join(f"{name} {shares[of == name].mean():.2f}" for name in np.unique(of))
        lines.append(f"{reviewed} reviewed: {shares.mean():.2f} of {AT}; by class {each}")
    return "\n".join(lines)


def seconds_of_a_question() -> tuple[float, float]:
    """Return the processor's seconds of the first and of later questions about a large project."""
    rng = np.random.default_rng(0)
    images = tuple(
        ProjectImage(f"i{number}", Path(f"{number}.png"), 0, (16, 16), f"{number:064}")
        for number in range(_LARGE)
    )
    with tempfile.TemporaryDirectory() as folder:
        # All that a project has to have before it is written to.
        (Path(folder) / IMAGES_FILE).write_text("")
        project = Project(Path(folder), ProjectInfo("p", "p", "", "", {}), images)
        values = rng.normal(size=(_LARGE, _CHANNELS)).astype(np.float16)
        digests = [image.sha256 for image in images]
        write_features(project.folder, dict(zip(digests, values, strict=True)))
        mask = np.ones((16, 16), bool)
        for number, image in enumerate(images[:_REVIEWED]):
            said = ReviewChange(ReviewState.ACCEPTED, mask, label=str(number % 6))
            project.write_review(image.id, "anna", said)
        similar(project, "anna", "i0")
        spent = []
        for number in range(1, 11):
            begin = time.process_time()
            similar(project, "anna", f"i{number}")
            spent.append(time.process_time() - begin)
        # The same images in another order are another project, and read anew.
        other = Project(project.folder, project.info, images[::-1])
        begin = time.process_time()
        similar(other, "anna", "i0")
        first = time.process_time() - begin
        project.close()
    return first, float(np.median(spent))


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", type=int, default=LAYER)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    first, later = seconds_of_a_question()
    print(
        f"{_LARGE:,} images: {1e3 * later:.0f} ms of processor, the first time {1e3 * first:.0f}"
    )
    features, classes = scenes(options.layer, options.images)
    print(table(standardised(features), classes, options.seeds))


if __name__ == "__main__":
    main()
