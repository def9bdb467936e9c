"""Which images are unlike anything that the bundled classifier was trained on.

Quadratic discriminant analysis tells training scenes from `training.strangers` by what the layers
see of them. ``python -m training.familiarity`` fits it, sets the threshold on validation scenes,
and writes it beside the weights; with ``--table`` it only writes into the card how many of several
kinds of images are called strange. ``--images`` adds real ones.
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
from safetensors.torch import save_file
from skimage import data
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.preprocessing import StandardScaler

from benchmarks.pages import write_table
from napari_semxai.algorithms.synthetic import LABELS
from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene
from napari_semxai.backends.classifier.classifier import (
    Classifier,
    map_statistics,
    strangeness,
)
from napari_semxai.backends.classifier.files import (
    description_of,
    description_path,
    read_classifier,
)
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.images.read import read_image
from napari_semxai.store.weights.models import BUNDLED_CLASSIFIER
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

LAYERS = tuple(f"features.blocks{number}" for number in (2, 3, 4, 5))
COMPONENTS = 256
SHRINKAGE = 0.1
"""Of the covariances along the components, towards those of both kinds together."""
OTHER_WORLDS = 2
"""One in as many of the known scenes is of the wide kinds, oftener than in training."""
ALLOWED = 0.04
"""Share of validation scenes that may be called strange."""
LEAST_VALIDATION = 10
"""Scenes of each class and world that the threshold is set on, at least."""
FIT_STREAM, OTHER_STREAM, WIDE_SEEDS = 13, 14, 50_000
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


def known_scenes(count: int) -> Iterator[Pixels]:
    """Yield scenes like those of the training, and more of the wide kinds."""
    rng = np.random.default_rng(FIT_STREAM)
    kinds = list(WIDE_KINDS)
    for number in range(count):
        if number % OTHER_WORLDS:
            label = number // OTHER_WORLDS % len(LABELS) + 1
            yield scene_for(rng, label, FIT_STREAM, number)[0].image
        else:
            kind = kinds[number // OTHER_WORLDS % len(kinds)]
            yield wide_scene(kind, WIDE_SEEDS + number).image


def fit(classifier: Classifier, count: int) -> dict[str, torch.Tensor]:
    """Tell `count` scenes from as many strangers, and set the threshold; see `strangeness`."""
    kinds = known_scenes(count), map(stranger_at, range(count))
    found = quadratic_form(np.concatenate([numbers_of(classifier, images) for images in kinds]))
    scenes = validation_scenes(max(LEAST_VALIDATION, count // 80))
    validation = torch.from_numpy(numbers_of(classifier, scenes))
    found["bias"] -= torch.quantile(strangeness(validation, found), 1 - ALLOWED).float()
    return found


def quadratic_form(rows: NDArray[np.float64]) -> dict[str, torch.Tensor]:
    """Return what `strangeness` takes, without a bias; the first half of `rows` is known."""
    count = len(rows) // 2
    scaler = StandardScaler()
    components = PCA(min(COMPONENTS, count, rows.shape[1]), whiten=True, random_state=0)
    model = QuadraticDiscriminantAnalysis(priors=(0.5, 0.5), reg_param=SHRINKAGE)
    model.fit(components.fit_transform(scaler.fit_transform(rows)), np.repeat((0, 1), count))
    # What scikit-learn keeps of each Gaussian are its axes, and the variances along them.
    inverse = [
        (axes / spread) @ axes.T
        for axes, spread in zip(model.rotations_, model.scalings_, strict=True)
    ]
    pulls = [matrix @ mean for matrix, mean in zip(inverse, model.means_, strict=True)]
    squares, turn = np.linalg.eigh(inverse[0] - inverse[1])
    scales = np.sqrt(components.explained_variance_)[:, None]
    directions = turn.T @ (components.components_ / scales) / scaler.scale_
    known = {
        "directions": directions,
        "offsets": -directions @ (scaler.mean_ + scaler.scale_ * components.mean_),
        "squares": squares,
        "slopes": -2 * turn.T @ (pulls[0] - pulls[1]),
        "bias": np.zeros(()),
    }
    return {key: torch.tensor(value, dtype=torch.float32) for key, value in known.items()}


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
    parser.add_argument("--count", type=int, default=2400, help="images of either kind")
    parser.add_argument("--table", action="store_true", help="only write how it does")
    parser.add_argument("--images", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    classifier = Classifier(*read_classifier(arguments.weights))
    if arguments.table:
        write_table(CARD, "familiarity", table(classifier, 100, arguments.images))
        return
    path = description_path(arguments.weights)
    target = path.with_name(f"{path.stem}_familiarity.safetensors")
    save_file(fit(classifier, arguments.count), target)
    target.chmod(0o644)
    known = Familiarity(LAYERS, target, file_sha256(target))
    # Other keys of the description stay as they are.
    description = description_of(replace(classifier.info, familiarity=known))
    write_json(path, json.loads(path.read_bytes()) | description)


if __name__ == "__main__":
    main()
