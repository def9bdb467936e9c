"""Which images are unlike anything that the bundled classifier was trained on.

A logistic regression tells training scenes from `training.strangers` by what early layers see of
them. ``python -m training.familiarity`` fits it, sets the threshold on validation scenes, and
writes it into the classifier's description; with ``--table`` it only writes into the card how many
of several kinds of images are called strange. ``--images`` adds real ones.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.pages import write_table
from napari_semxai.algorithms.synthetic import LABELS
from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene
from napari_semxai.backends.classifier.classifier import Classifier, map_statistics
from napari_semxai.backends.classifier.files import (
    BUNDLED_CLASSIFIER,
    description_of,
    description_path,
    read_classifier,
)
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.images.read import read_image
from napari_semxai.types import Familiarity
from training.classify_batches import scene_for
from training.classify_scenes import (
    HELD_OUT_STREAM,
    VALIDATION_STREAM,
    WIDE_STREAM,
    scene_at,
    scenes,
)
from training.evaluate_classifier import CARD
from training.strangers import STRANGER_STREAM, stranger_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Pixels = NDArray[Any]

LAYERS = "features.blocks2", "features.blocks3"
STRENGTH = 0.03
"""Of the regression, inverse: C of scikit-learn."""
ALLOWED = 0.03
"""Share of validation scenes that may be called strange."""
FIT_STREAM, OTHER_STREAM = 13, 14
PHOTOGRAPHS = (
    *("astronaut", "brick", "camera", "cat", "clock", "coffee", "coins", "colorwheel", "grass"),
    *("gravel", "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket"),
    "text",
)
"""Those of scikit-image that come with it."""


def photographs(count: int, *, gray: bool = False) -> Iterator[Pixels]:
    """Yield parts of scikit-image's photographs, each half of its sides or more."""
    rng = np.random.default_rng(0)
    for number in range(count):
        whole = getattr(data, PHOTOGRAPHS[number % len(PHOTOGRAPHS)])()
        size = (np.array(whole.shape[:2]) * rng.uniform(0.5, 1)).astype(int)
        row, column = rng.integers(np.array(whole.shape[:2]) - size + 1)
        part = whole[row : row + size[0], column : column + size[1]]
        if gray and part.ndim == 3:
            part = (part[..., :3] @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
        yield part


def validation_scenes(count: int) -> Iterator[Pixels]:
    """Yield scenes of the classification set and as many of the generator as it is."""
    for index in range(count):
        for label in LABELS:
            yield scene_at(VALIDATION_STREAM, label, index).image
            yield scene_at(VALIDATION_STREAM, label, index, wide=True).image


def numbers_of(classifier: Classifier, images: Iterable[Pixels]) -> NDArray[np.float64]:
    """Return what `Familiarity` weighs, a row an image."""
    rows = []
    for image in images:
        with torch.inference_mode(), ExitStack() as stack:
            seen = [classifier.watch(stack, layer) for layer in LAYERS]
            classifier.network(classifier.to_input(image))
        rows.append(map_statistics([maps[-1] for maps in seen])[0].numpy())
    return np.array(rows, float)


def fit(classifier: Classifier, count: int) -> Familiarity:
    """Tell `count` training scenes from as many strangers, and set the threshold."""
    rng = np.random.default_rng(FIT_STREAM)
    known = (
        scene_for(rng, number % len(LABELS) + 1, FIT_STREAM, number)[0].image
        for number in range(count)
    )
    strange = (stranger_at(number) for number in range(count))
    rows = np.concatenate([numbers_of(classifier, known), numbers_of(classifier, strange)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=5000))
    model.fit(rows, np.repeat((0, 1), count))
    scaler, regression = (step for _, step in model.steps)
    weights = regression.coef_[0] / scaler.scale_
    validation = numbers_of(classifier, validation_scenes(max(10, count // 40)))
    threshold = float(np.quantile(validation @ weights, 1 - ALLOWED))
    rounded = tuple(float(f"{weight:.5g}") for weight in weights)
    return Familiarity(LAYERS, rounded, -round(threshold, 5))


def table(classifier: Classifier, count: int, images: list[Path]) -> str:
    """Return how many images of each kind are called strange, in Markdown."""
    kinds: dict[str, Iterable[Pixels]] = {
        "held-out scenes": (one.image for one in islice(scenes(HELD_OUT_STREAM, count), count)),
        "the generator as it is": (one.image for one in islice(scenes(WIDE_STREAM, count), count)),
        "wide kinds": (
            wide_scene(list(WIDE_KINDS)[number % len(WIDE_KINDS)], OTHER_STREAM + number).image
            for number in range(count)
        ),
        "strangers": (stranger_at(number, STRANGER_STREAM + 1) for number in range(count)),
        "photographs": photographs(count),
        "photographs in grey": photographs(count, gray=True),
    }
    lines = ["| images | how many | called strange |", "|---|---|---|"]
    for name, pixels in kinds.items():
        strange = [classifier.classify(one).strange for one in pixels]
        lines.append(f"| {name} | {len(strange)} | {np.mean(strange):.0%} |")
    for path in images:
        found = classifier.classify(read_image(path).gray)
        lines.append(f"| {path.name} | 1 | {'yes' if found.strange else 'no'}: {found.answer} |")
    return "\n".join(lines)


def main() -> None:
    """Fit, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=BUNDLED_CLASSIFIER)
    parser.add_argument("--count", type=int, default=1200, help="images of either kind")
    parser.add_argument("--table", action="store_true", help="only write how it does")
    parser.add_argument("--images", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    classifier = Classifier(*read_classifier(arguments.weights))
    if arguments.table:
        write_table(CARD, "familiarity", table(classifier, 100, arguments.images))
        return
    path = description_path(arguments.weights)
    info = replace(classifier.info, familiarity=fit(classifier, arguments.count))
    # Other keys of the description stay as they are.
    write_json(path, json.loads(path.read_bytes()) | description_of(info))


if __name__ == "__main__":
    main()
