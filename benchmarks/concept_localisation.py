"""How well concept maps lie on exact defects, by split layer and by how they are put together.

Concepts are fitted on some synthetic images of each class; "tuned" are those with the layer and
k that the tuning assistant suggests after it saw a validation part with its masks;
"head at 2 x" sees images of twice the size; "clusters" are no factorization, see
`benchmarks.concept_clusters`. Each variant gets the one threshold that suits the validation part
best. What is reported is the mean IoU of a held-out part that took no part in any choice; the best
variant is chosen on the validation part.

    python -m benchmarks.concept_localisation --page docs/explanations.md

writes the table between two comments of that page.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.concept_clusters import ConceptClusters
from benchmarks.pages import footer, write_table
from napari_semxai.algorithms.explanations.concepts import THRESHOLDS, iou_curve
from napari_semxai.algorithms.explanations.masks import weighted_map
from napari_semxai.algorithms.synthetic import LABELS, scene_of_class
from napari_semxai.backends.cam.gradcam import gradcam
from napari_semxai.backends.classifier.classifier import Classifier, load_classifier
from napari_semxai.backends.classifier.layers.split import DETAIL, FINE, fine_layer
from napari_semxai.backends.concepts.bank import REFINEMENTS, transform_steps
from napari_semxai.backends.concepts.craft import craft
from napari_semxai.backends.concepts.tuning import sweep_steps
from napari_semxai.backends.runtime.stepwise import finish
from napari_semxai.types import ConceptMaps, CraftSweepRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.backends.concepts.craft import Concepts
    from napari_semxai.types import ConceptBank

    Row = dict[str, float | str]
    Banks = dict[str, tuple[Classifier, Concepts]]

PLAIN = "head, top-1"
TRIED = {"n_concepts": (5, 10), "pieces": "cells"}
FIRST_SEEDS = {"fit": 910_000, "validation": 920_000, "held-out": 930_000}


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", nargs="+", default=["head", "expand3"])
    parser.add_argument("--classes", nargs="+", type=int, default=[1, 2, 3, 4])
    parser.add_argument("--fit", type=int, default=20)
    parser.add_argument("--validation", type=int, default=6)
    parser.add_argument("--held-out", type=int, default=12)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    classifier, start = load_classifier(), time.monotonic()
    ious: dict[str, dict[str, list[np.ndarray]]] = {"validation": {}, "held-out": {}}
    settings = []
    for label in options.classes:
        scenes = {
            part: list(scenes_of(label, first, getattr(options, part.replace("-", "_"))))
            for part, first in FIRST_SEEDS.items()
        }
        images = [scene.image for scene in scenes["fit"]]
        banks = fit(classifier, images, label, options.layers)
        banks["tuned"] = classifier, tuned(classifier, scenes, label)
        settings.append(setting(banks["tuned"][1].bank))
        clusters = ConceptClusters(images, classifier, label - 1, described_by(classifier))
        for part, collected in ious.items():
            for scene in scenes[part]:
                for name, values in (
                    *variants(scene, banks),
                    *cluster_maps(scene, clusters),
                    *heat_maps(scene, classifier, label),
                ):
                    collected.setdefault(name, []).append(iou_curve(values, scene.defect))
        minutes = (time.monotonic() - start) / 60
        print(f"up to class {label} ({LABELS[label]}), {minutes:.0f} minutes", flush=True)
        text = markdown(table(ious["validation"], ious["held-out"]))
        text += f"\n\nTuned: {'; '.join(settings)}. {footer(classifier.info.sha256)}"
        print(text, flush=True)
    if options.page:
        write_table(options.page, "localisation", text)


def setting(bank: ConceptBank) -> str:
    """Return what the assistant suggested for a class."""
    return f"{bank.class_name} at {bank.layer}, k {bank.n_concepts}"


def described_by(classifier: Classifier) -> list[str]:
    """Name the layers that describe pixels, the finest first."""
    names = [fine_layer(classifier, share) for share in (DETAIL, FINE)]
    return list(dict.fromkeys([*names, classifier.default_layer]))


def scenes_of(label: int, first: int, count: int) -> Iterator[Scene]:
    """Yield scenes that show a defect."""
    seed = first + 1000 * label
    while count:
        scene = scene_of_class(label, seed)
        seed += 1
        if scene.defect.any():
            count -= 1
            yield scene


def fit(classifier: Classifier, images: list[np.ndarray], label: int, layers: list[str]) -> Banks:
    """Fit the concepts of a class at each layer, and at the first one on enlarged images."""
    info = classifier.info
    doubled = replace(info, input_size=(2 * info.input_size[0], 2 * info.input_size[1]))
    seen = {layer: (classifier, layer) for layer in layers}
    large = Classifier(classifier.network, doubled)
    seen[f"{layers[0]} at 2 ×"] = large, layers[0]
    banks = {}
    for name, (network, layer) in seen.items():
        concepts = craft(
            images, network, target=label - 1, layer=f"features.{layer}", pieces="cells"
        )
        banks[name] = network, concepts
        bank = concepts.bank
        print(f"  {name}: R2 {bank.r2:.2f}, agreement {bank.agreement:.2f}", flush=True)
    return banks


def tuned(classifier: Classifier, scenes: dict[str, list[Scene]], label: int) -> Concepts:
    """Fit concepts with the setting that the tuning assistant suggests."""
    seen = scenes["validation"]
    request = CraftSweepRequest(
        (),
        "bundled",
        label - 1,
        **TRIED,
        masks=tuple(scene.defect for scene in seen),
        refinement="fine",
        seeds=(0,),
    )
    advice = finish(sweep_steps([scene.image for scene in seen], classifier, request))
    row = advice.rows[advice.suggested]
    for one in advice.rows:
        mark = "*" if one is row else " "
        print(
            f"  {mark} {one.layer}, k {one.n_concepts}: "
            f"agreement {one.agreement:.2f}, IoU {one.iou:.2f}",
            flush=True,
        )
    return craft(
        [scene.image for scene in scenes["fit"]],
        classifier,
        target=label - 1,
        layer=row.layer,
        n_concepts=row.n_concepts,
        pieces="cells",
    )


def variants(scene: Scene, banks: Banks) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every concept map of an image, not negative."""
    for name, (classifier, concepts) in banks.items():
        for refinement in REFINEMENTS:
            ending = "" if refinement == "none" else f", {refinement}"
            maps = first_maps(
                transform_steps(scene.image, classifier, concepts.bank.path, refinement)
            )
            yield f"{name}, top-1{ending}", maps.maps[0]
            yield f"{name}, weighted{ending}", weighted_map(maps.maps, maps.importances)


def cluster_maps(scene: Scene, clusters: ConceptClusters) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the maps of clusters."""
    best = int(clusters.importances.argmax())
    for weighted, ending in ((False, ""), (True, " by gradient")):
        maps = clusters.maps(scene.image, weighted=weighted)
        yield f"clusters{ending}, top-1", maps[best]
        yield f"clusters{ending}, weighted", weighted_map(maps, clusters.importances)


def heat_maps(
    scene: Scene, classifier: Classifier, label: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what concepts are compared with."""
    for method in ("gradcam", "layercam"):
        yield method, gradcam(scene.image, classifier, target=label - 1, method=method).values


def first_maps(steps: object) -> ConceptMaps:
    """Return the maps without waiting for the importances in the image."""
    while True:
        try:
            update = next(steps)
        except StopIteration as end:
            return end.value
        if isinstance(update, ConceptMaps):
            return update


def table(
    validation: dict[str, list[np.ndarray]], held_out: dict[str, list[np.ndarray]]
) -> list[Row]:
    """Choose each variant's threshold on one part and score it on the other; best first."""
    rows: list[Row] = []
    for name, curves in validation.items():
        mean = np.mean(curves, axis=0)
        best = int(mean.argmax())
        scores = np.array([curve[best] for curve in held_out[name]])
        rows.append(
            {
                "variant": name,
                "tau": float(THRESHOLDS[best]),
                "validation": float(mean[best]),
                "held-out": float(scores.mean()),
                "std": float(scores.std(ddof=1)),
                "n": len(scores),
            }
        )
    return sorted(rows, key=lambda row: -float(row["validation"]))


def markdown(rows: list[Row]) -> str:
    """Return the table, and the best concept variant against the plain one."""
    lines = [
        "| maps | τ | IoU, validation | IoU, held-out | against plain |",
        "|---|---|---|---|---|",
    ]
    plain = next(float(row["held-out"]) for row in rows if row["variant"] == PLAIN)
    for row in rows:
        factor = float(row["held-out"]) / plain
        lines.append(
            f"| {row['variant']} | {row['tau']:.2f} | {row['validation']:.3f} "
            f"| {row['held-out']:.3f} ± {row['std']:.3f} | {factor:.1f} × |"
        )
    best = next(row for row in rows if "," in str(row["variant"]))
    factor = float(best["held-out"]) / plain
    lines += [
        "",
        f"The concept maps that are best on the validation part are *{best['variant']}*: on "
        f"{best['n']} held-out images their mean IoU is {factor:.1f} times that of *{PLAIN}*.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
