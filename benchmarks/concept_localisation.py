"""How well concept maps lie on exact defects, by split layer and by how they are put together.

Concepts are fitted on some synthetic images of each class. Each variant gets the one threshold
that suits a validation part best; what is reported is the mean IoU of a held-out part that took
no part in any choice. The best variant is chosen on the validation part too.

    python benchmarks/concept_localisation.py --csv docs/images/concept_localisation.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.explanation_masks import weighted_map
from napari_semxai.algorithms.synthetic import LABELS, scene_of_class
from napari_semxai.algorithms.tuning import THRESHOLDS, iou_curve
from napari_semxai.backends.classifiers import load_classifier
from napari_semxai.backends.concept_transform import transform_steps
from napari_semxai.backends.craft import craft
from napari_semxai.backends.gradcam import gradcam
from napari_semxai.types import ConceptMaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.backends.classifiers import Classifier
    from napari_semxai.backends.craft import Concepts

    Maps = dict[str, list[np.ndarray]]

PLAIN = "head top-1"
FIRST_SEEDS = {"fit": 910_000, "validation": 920_000, "held-out": 930_000}


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", nargs="+", default=["head", "expand5", "expand4", "expand3"])
    parser.add_argument("--classes", nargs="+", type=int, default=[1, 2, 3, 4])
    parser.add_argument("--fit", type=int, default=10)
    parser.add_argument("--validation", type=int, default=8)
    parser.add_argument("--held-out", type=int, default=16)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    classifier = load_classifier()
    ious: dict[str, dict[str, list[np.ndarray]]] = {"validation": {}, "held-out": {}}
    for label in options.classes:
        scenes = {
            part: list(scenes_of(label, first, getattr(options, part.replace("-", "_"))))
            for part, first in FIRST_SEEDS.items()
        }
        banks = fit(classifier, scenes["fit"], label, options.layers)
        for part, collected in ious.items():
            for scene in scenes[part]:
                for name, values in variants(scene, classifier, banks, label).items():
                    collected.setdefault(name, []).append(iou_curve(values, scene.defect))
        print(f"class {label} ({LABELS[label]}) done", flush=True)
    rows = table(ious["validation"], ious["held-out"])
    report(rows, options.csv)


def scenes_of(label: int, first: int, count: int) -> Iterable[Scene]:
    """Yield scenes that show a defect."""
    seed = first + 1000 * label
    while count:
        scene = scene_of_class(label, seed)
        seed += 1
        if scene.defect.any():
            count -= 1
            yield scene


def fit(
    classifier: Classifier, scenes: list[Scene], label: int, layers: list[str]
) -> dict[str, Concepts]:
    """Fit the concepts of a class at each layer."""
    images = [scene.image for scene in scenes]
    banks = {}
    for layer in layers:
        banks[layer] = craft(
            images, classifier, target=label - 1, layer=f"features.{layer}", patch_size=80
        )
        bank = banks[layer].bank
        print(f"  {layer}: R2 {bank.r2:.2f}, agreement {bank.agreement:.2f}", flush=True)
    return banks


def variants(
    scene: Scene, classifier: Classifier, banks: dict[str, Concepts], label: int
) -> dict[str, np.ndarray]:
    """Return every map of an image, each from 0 to 1."""
    found: dict[str, np.ndarray] = {}
    for layer, concepts in banks.items():
        for refinement, ending in (("none", ""), ("guided", " guided")):
            steps = transform_steps(scene.image, classifier, concepts.bank.path, refinement)
            maps = first_maps(steps)
            found[f"{layer} top-1{ending}"] = scaled(maps.maps[0])
            found[f"{layer} union{ending}"] = scaled(weighted_map(maps.maps, maps.importances))
    for ending in ("", " guided"):
        unions = [found[f"{layer} union{ending}"] for layer in banks]
        found[f"all layers union{ending}"] = scaled(np.mean(unions, axis=0))
    for method in ("gradcam", "layercam"):
        for layer in banks:
            heatmap = gradcam(
                scene.image,
                classifier,
                target=label - 1,
                layer=f"features.{layer}",
                method=method,
            )
            found[f"{layer} {method}"] = heatmap.values
    return found


def first_maps(steps: object) -> ConceptMaps:
    """Return the maps without waiting for the importances in the image."""
    while True:
        try:
            update = next(steps)
        except StopIteration as end:
            return end.value
        if isinstance(update, ConceptMaps):
            return update


def scaled(values: np.ndarray) -> np.ndarray:
    """Scale to a maximum of 1."""
    peak = values.max()
    return values / peak if peak > 0 else values


def table(
    validation: dict[str, list[np.ndarray]], held_out: dict[str, list[np.ndarray]]
) -> list[dict[str, object]]:
    """Choose each variant's threshold on one part and score it on the other."""
    rows = []
    mean: Callable[[list[np.ndarray]], np.ndarray] = lambda curves: np.mean(curves, axis=0)  # noqa: E731
    for name, curves in validation.items():
        best = int(mean(curves).argmax())
        scores = np.array([curve[best] for curve in held_out[name]])
        rows.append(
            {
                "variant": name,
                "tau": round(float(THRESHOLDS[best]), 2),
                "validation_iou": round(float(mean(curves)[best]), 4),
                "held_out_iou": round(float(scores.mean()), 4),
                "held_out_std": round(float(scores.std(ddof=1)), 4),
                "n": len(scores),
            }
        )
    return sorted(rows, key=lambda row: -float(row["validation_iou"]))


def report(rows: list[dict[str, object]], path: Path | None) -> None:
    """Print the table, and the best concept variant against the plain one."""
    for row in rows:
        print(
            f"{row['variant']:28} tau {row['tau']:.2f}  validation {row['validation_iou']:.3f}  "
            f"held-out {row['held_out_iou']:.3f} ± {row['held_out_std']:.3f}  n {row['n']}"
        )
    plain = next(row for row in rows if row["variant"] == PLAIN)
    concepts = [row for row in rows if "top-1" in row["variant"] or "union" in row["variant"]]
    best = concepts[0]
    factor = best["held_out_iou"] / plain["held_out_iou"]
    print(f"best on validation: {best['variant']}, held-out IoU {factor:.1f} x {PLAIN}")
    if path is not None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
