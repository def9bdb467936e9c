"""What concepts are fitted on: images with and without their info bars, crops or cells.

Bars of microscopes' makers are drawn under scenes like those that the bundled classifier is
trained on. "In bars" is the importance of the concepts whose best crops lie in a bar for the most
part.

CRAFT fits on crops that are enlarged to the network's input; "cells" are those of the layer's map
of whole images. Both are fitted on the same scenes and judged on others by the class that is
there: IoU at the τ that suits all maps best, insertion and deletion of the maps weighted by
importance.

    python -m benchmarks.concept_fits --page docs/explanations.md

needs the extra "craft", and writes both tables between two comments of that page.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.pages import footer, write_table
from napari_semxai.algorithms.explanations.concepts import iou_curve
from napari_semxai.algorithms.explanations.masks import weighted_map
from napari_semxai.algorithms.synthetic.wide.scene import draw_bar
from napari_semxai.backends.cam.evaluation import faithfulness
from napari_semxai.backends.classifier.classifier import Classifier, load_classifier
from napari_semxai.backends.concepts import factorize
from napari_semxai.backends.concepts.bank import new_split, refined
from napari_semxai.backends.concepts.craft import craft
from napari_semxai.backends.concepts.factorize import (
    CraftSettings,
    Factors,
    factor_steps,
    reconstruction_agreement,
    reconstruction_r2,
)
from napari_semxai.backends.concepts.maps import coefficients, latents_of
from napari_semxai.backends.runtime.stepwise import finish
from training.classify_scenes import scene_at

if TYPE_CHECKING:
    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.backends.classifier.layers.split import Split

BARRED, CLASSES, FITTED, JUDGED, ASKED = (1, 3), (1, 2, 3, 4), 10, 8, 3
STREAM, FIT_STREAM = 848_484, 858_585
PATCH, K = 64, 10
REFINEMENTS = ("none", "fine")


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    classifier = load_classifier()
    lines = ["| images | importance in bars | R² | agreement |", "|---|---|---|---|"]
    lines += bars(classifier)
    lines += ["", "| fitted on | maps | R² | agreement | IoU at best τ | insertion | deletion |"]
    lines += ["|---|---|---|---|---|---|---|", *ways(classifier)]
    text = "\n".join([*lines, "", footer(classifier.info.sha256)])
    print(text, flush=True)
    if options.page:
        write_table(options.page, "fits", text)


def bars(classifier: Classifier) -> list[str]:
    """Return the rows of fits on images with bars, whole and without them."""
    rows = []
    barred = {
        label: [with_bar(scene_at(FIT_STREAM, label, n), n) for n in range(FITTED)]
        for label in BARRED
    }
    for name, whole in (("whole", True), ("without bars", False)):
        found = []
        for label, pairs in barred.items():
            images, masks = zip(*pairs, strict=True)
            asked = {"target": label - 1, "patch_size": PATCH, "n_concepts": K}
            bank = craft(images, classifier, as_drawn=whole, **asked).bank
            pairs = zip(bank.crop_images, bank.crop_boxes, strict=True)
            share = [in_bar(masks, *one) for one in pairs]
            found.append((bank.importances[share].sum(), bank.r2, bank.agreement))
        numbers = " | ".join(f"{value:.2f}" for value in np.mean(found, axis=0))
        rows.append(f"| {name} | {numbers} |")
    return rows


def in_bar(masks: tuple[np.ndarray, ...], images: np.ndarray, boxes: np.ndarray) -> bool:
    """Whether most of a concept's crops lie in bars for the most part."""
    places = zip(images, boxes.tolist(), strict=True)
    shares = [
        masks[image][top:end, left:right].mean() for image, (top, left, end, right) in places
    ]
    return float(np.median(shares)) > 0.5


def with_bar(scene: Scene, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a scene with a bar at its lower edge, and where the bar is."""
    image = scene.image.astype(np.float32)
    region = draw_bar(np.random.default_rng(seed), image)[0]
    return np.rint(image.clip(0, 255)).astype(np.uint8), region.mask


def ways(classifier: Classifier) -> list[str]:
    """Return a row for fits on crops and on cells, each with plain and with fine maps."""
    split = new_split(classifier, classifier.default_layer)
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    curves: dict[tuple[str, str], list[np.ndarray]] = {}
    for label in CLASSES:
        settings = CraftSettings(label - 1, classifier.default_layer, K, PATCH)
        seen = [scene_at(STREAM, label, n) for n in range(JUDGED)]
        fitted = [scene_at(FIT_STREAM, label, n).image for n in range(FITTED)]
        for way, factors in factored(classifier, split, fitted, settings).items():
            quality = reconstruction_r2(factors), reconstruction_agreement(split, factors)
            for refinement in REFINEMENTS:
                key = way, refinement
                for number, scene in enumerate(seen):
                    values = map_of(classifier, split, factors, scene.image, refinement)
                    curves.setdefault(key, []).append(iou_curve(values, scene.defect))
                    if number < ASKED:
                        one = faithfulness(scene.image, values, classifier, label - 1)
                        found.setdefault(key, []).append((*quality, one.insertion, one.deletion))
    rows = []
    for (way, refinement), values in found.items():
        r2, agreement, insertion, deletion = np.mean(values, axis=0)
        iou = np.mean(curves[way, refinement], axis=0).max()
        numbers = " | ".join(f"{one:.3f}" for one in (r2, agreement, iou, insertion, deletion))
        rows.append(f"| {way} | {refinement} | {numbers} |")
    return rows


def factored(
    classifier: Classifier, split: Split, images: list[np.ndarray], settings: CraftSettings
) -> dict[str, Factors]:
    """Fit on crops, and on the cells of the whole images."""
    inputs = torch.cat([classifier.to_input(image) for image in images])
    factorize._known.clear()
    crops = finish(factor_steps(split, inputs, settings, "crops"))
    channels = crops.latents.shape[-1]
    cells = replace(factorize._known["crops"], crops=crops.latents.reshape(-1, channels))
    factorize._known["cells"] = cells
    return {"crops": crops, "cells": finish(factor_steps(split, inputs, settings, "cells"))}


def map_of(
    classifier: Classifier, split: Split, factors: Factors, image: np.ndarray, refinement: str
) -> np.ndarray:
    """Return the concepts' map of an image, weighted by importance."""
    found = coefficients(latents_of(split, classifier.to_input(image)), factors.vectors)
    low = np.ascontiguousarray(found[0].transpose(2, 0, 1), dtype=np.float32)
    large = refined(low, image, classifier, split, refinement)
    return np.asarray(weighted_map(large, factors.importances))


if __name__ == "__main__":
    main()
