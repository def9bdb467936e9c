"""What concepts are found in: crops or cells.

CRAFT factorizes crops that are enlarged to the network's input; "cells" are those of the layer's
map of whole images. Both are fitted on the same scenes, twice for stability, and judged on those
of `benchmarks.heat_map_places` by the class that is there: maps weighted by importance, plain and
fine, by IoU at the τ that suits all of them best and the pointing game, by insertion, and by
deletion with two fills; for some of the scenes by their correlation with maps of randomised
weights and under noise.

    python -m benchmarks.concept_fits --page docs/explanations.md

needs the extra "craft" and takes an hour; `--fitted 4 --judged 2` tries it out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.heat_map_places import CLASSES, FIT_STREAM, STREAM, scored
from benchmarks.pages import footer, write_table
from napari_semxai.algorithms.explanations.concepts import matched_cosine
from napari_semxai.algorithms.explanations.masks import weighted_map
from napari_semxai.backends.cam.evaluation import fill_areas, sanity
from napari_semxai.backends.classifier.classifier import Classifier, load_classifier
from napari_semxai.backends.concepts.bank import read_bank
from napari_semxai.backends.concepts.craft import Concepts, craft
from napari_semxai.types import PIECES
from training.classify_scenes import scene_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.types import ConceptBank

    Pairs = list[tuple[int, Scene]]

REFINEMENTS = ("none", "fine")
_FITS = ("R²", "agreement", "stability")
_MAPS = (
    *("IoU at best τ", "pointing", "insertion", "deletion, grey", "deletion, blurred"),
    *("randomised", "noise"),
)


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--fitted", type=int, default=20, help="images of each class to fit on")
    parser.add_argument("--judged", type=int, default=15, help="scenes of each class")
    parser.add_argument("--asked", type=int, default=4, help="of them by sanity")
    parser.add_argument("--classes", nargs="+", type=int, default=list(CLASSES))
    parser.add_argument("--pieces", nargs="+", default=list(PIECES), choices=PIECES)
    options = parser.parse_args()
    classifier = load_classifier()
    scenes = [
        (label, scene_at(STREAM, label, index))
        for label in options.classes
        for index in range(options.judged)
    ]
    asked = [pair for index, pair in enumerate(scenes) if index % options.judged < options.asked]
    fits, maps = _head("found in", _FITS), _head("found in | maps", _MAPS)
    for pieces in options.pieces:
        banks, *found = fitted(classifier, pieces, options.classes, options.fitted)
        fits.append(_row(pieces, found))
        print(fits[-1], flush=True)
        for refinement in REFINEMENTS:
            found = judged(banks, refinement, scenes)
            found += faithful(classifier, banks, refinement, scenes)
            found += sane(classifier, banks, refinement, asked)
            maps.append(_row(f"{pieces} | {refinement}", found))
            print(maps[-1], flush=True)
    text = "\n".join([*fits, "", *maps, "", footer(classifier.info.sha256)])
    print(text, flush=True)
    if options.page:
        write_table(options.page, "fits", text)


def _head(first: str, names: tuple[str, ...]) -> list[str]:
    line = f"| {' | '.join((first, *names))} |"
    return [line, "|" + "---|" * (line.count("|") - 1)]


def _row(first: str, values: Sequence[float]) -> str:
    return f"| {first} | {' | '.join(f'{value:.3f}' for value in values)} |"


def fitted(
    classifier: Classifier, pieces: str, classes: list[int], count: int
) -> tuple[dict[int, Concepts], float, float, float]:
    """Return the concepts of each class by its index, mean R², agreement and stability."""
    banks, rows = {}, []
    for label in classes:
        images = [scene_at(FIT_STREAM, label, n).image for n in range(count)]
        asked = {"target": label - 1, "pieces": pieces}
        runs = [craft(images, classifier, seed=seed, **asked) for seed in (0, 1)]
        vectors = [read_bank(run.bank.path)[1].vectors for run in runs]
        banks[label - 1] = runs[0]
        rows.append((runs[0].bank.r2, runs[0].bank.agreement, matched_cosine(*vectors)))
        print(f"  {pieces}, class {label}: {_row('', rows[-1])}", flush=True)
    return banks, *np.mean(rows, axis=0)


def judged(banks: dict[int, Concepts], refinement: str, scenes: Pairs) -> tuple[float, ...]:
    """Return IoU and pointing game of the maps of all scenes."""
    return scored([map_of(banks[n - 1], s.image, refinement) for n, s in scenes], scenes)


def faithful(
    classifier: Classifier, banks: dict[int, Concepts], refinement: str, scenes: Pairs
) -> tuple[float, ...]:
    """Return mean insertion from a blurred image, and deletion with two fills."""
    rows = []
    for label, scene in scenes:
        values = map_of(banks[label - 1], scene.image, refinement)
        areas = fill_areas(scene.image, values, classifier, label - 1)
        rows.append((areas["blurred"][0], areas["grey"][1], areas["blurred"][1]))
    return tuple(np.mean(rows, axis=0))


def sane(
    classifier: Classifier, banks: dict[int, Concepts], refinement: str, scenes: Pairs
) -> tuple[float, ...]:
    """Return mean correlations with randomised weights and under noise."""
    rows = []
    for label, scene in scenes:
        bank = banks[label - 1].bank

        def explain(
            image: NDArray[np.uint8], network: Classifier, _: int, bank: ConceptBank = bank
        ) -> NDArray[np.float32]:
            # Another class has concepts of its own, and is not asked about.
            return map_of(Concepts(bank, network), image, refinement, as_drawn=True)

        # As drawn: where the layers of a network in disorder look nobody needs to measure.
        found = sanity(scene.image, explain, classifier, label - 1)
        rows.append((found.randomised, found.noise))
    return tuple(np.mean(rows, axis=0))


def map_of(
    concepts: Concepts, image: NDArray[np.uint8], refinement: str, *, as_drawn: bool = False
) -> NDArray[np.float32]:
    """Return the concepts' map of an image, weighted by importance."""
    found = concepts.explain(image, refinement=refinement, as_drawn=as_drawn)
    return np.asarray(weighted_map(found.maps, found.importances))


if __name__ == "__main__":
    main()
