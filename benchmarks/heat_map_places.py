"""How far maps lie beside what they show, as the library draws them and after they are moved.

Discs at places and of sizes that the measurement does not use say where a layer looks: in the
bundled classifier, and in a ResNet-18 and a small vision transformer of random weights. On 60
scenes like those that the bundled classifier is trained on, with seeds of their own, maps are
scored against the exact defect, at the one τ that suits all of them best.

    python -m benchmarks.heat_map_places --page docs/explanations.md

writes both tables between two comments of that page, and the figure beside them; `--scenes 2`
tries it out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torchvision import models

from benchmarks.pages import footer, write_table
from napari_semxai.algorithms.explanations.concepts import THRESHOLDS, iou_curve
from napari_semxai.algorithms.explanations.localisation import RankedMap
from napari_semxai.algorithms.explanations.masks import weighted_map
from napari_semxai.algorithms.synthetic import LABELS
from napari_semxai.backends.cam.gradcam import gradcam
from napari_semxai.backends.classifier.classifier import Classifier, load_classifier
from napari_semxai.backends.classifier.layers.outputs import moved, registrations, to_map
from napari_semxai.backends.concepts.craft import craft
from napari_semxai.reports.figures import new_figure
from napari_semxai.types import ClassifierInfo
from training.classify_scenes import scene_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.backends.concepts.craft import Concepts

CLASSES, SCENES, FITTED = (1, 2, 3, 4), 15, 20
STREAM, FIT_STREAM = 828_282, 838_383
METHODS = ("gradcam", "layercam")
REFINEMENTS = ("none", "fine")
SIDE, GREY, GRAIN, STEP = 480, 120, 6, 80
PLACES = (
    *((0.35, 0.44), (0.56, 0.64), (0.45, 0.36), (0.62, 0.53), (0.40, 0.57)),
    *((0.52, 0.41), (0.47, 0.66), (0.66, 0.36), (0.33, 0.62), (0.58, 0.47)),
)


def main() -> None:
    """Measure, and write tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--scenes", type=int, default=SCENES, help="of each class")
    options = parser.parse_args()
    bundled = load_classifier()
    networks = {
        "bundled": (bundled, ("features.expand4", "features.expand5", "features.head")),
        "ResNet-18": (random_network(models.resnet18(num_classes=3)), ("layer3.1", "layer4.1")),
        "vision transformer": (
            random_network(models.VisionTransformer(224, 16, 2, 4, 64, 128, num_classes=3)),
            ("encoder.layers.encoder_layer_1.ln_1",),
        ),
    }
    lines = ["| network, layer | as drawn, px of 480 | moved | half a cell |", "|---|---|---|---|"]
    for name, (classifier, layers) in networks.items():
        for layer in layers:
            drawn, placed, cell = offsets(classifier, layer)
            lines.append(f"| {name}, `{layer}` | {drawn:.1f} | {placed:.1f} | {cell / 2:.0f} |")
            print(lines[-1], flush=True)
    each = options.scenes
    scenes = [(label, scene_at(STREAM, label, n)) for label in CLASSES for n in range(each)]
    lines += [
        "",
        f"| map, {len(scenes)} scenes | IoU at best τ | pointing game |",
        "|---|---|---|",
    ]
    for name, maps in all_maps(bundled, scenes, fitted(bundled)):
        lines.append(
            f"| {name} | {' | '.join(f'{score:.3f}' for score in scored(maps, scenes))} |"
        )
        print(lines[-1], flush=True)
    if options.page:
        write_table(options.page, "places", "\n".join([*lines, "", footer(bundled.info.sha256)]))
        figure(bundled, scenes[:: each + 1], options.page.parent / "images/heat-map-places.png")


def random_network(network: nn.Module) -> Classifier:
    """Return a classifier of random weights that are the same every time."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.normal_(0, (2 / weight[0].numel()) ** 0.5, generator=generator)
    info = ClassifierInfo("random", "0" * 64, "resnet18", ("a", "b", "c"), (224, 224))
    return Classifier(network, info)


def offsets(classifier: Classifier, layer: str) -> tuple[float, float, float]:
    """Return the distance of activity and discs as drawn and moved, and a cell's side, in px."""
    answers = []
    handle = classifier.network.get_submodule(layer).register_forward_hook(
        lambda *given: answers.append(to_map(given[2])[0])
    )
    y, x = np.mgrid[:SIDE, :SIDE]
    flat = np.random.default_rng(0).normal(GREY, GRAIN, (SIDE, SIDE))
    images = [flat]
    for number, (down, right) in enumerate(PLACES):
        disc = np.hypot(y - down * SIDE, x - right * SIDE) < SIDE / 20
        images.append(flat + np.where(disc, STEP if number % 2 else -STEP, 0))
    with torch.no_grad():
        for image in images:
            classifier.network(classifier.to_input(image.clip(0, 255).astype(np.uint8)))
    handle.remove()
    size = torch.stack([(one - answers[0]).norm(dim=0) for one in answers[1:]])
    low = (size - size.flatten(1).median(1).values[:, None, None]).clamp_min(0).square()[None]
    large = nn.functional.interpolate(low, (SIDE, SIDE), mode="bilinear")[0].numpy()
    (place,) = registrations(classifier, (layer,))
    found = []
    for maps in (large, moved(large, place.shift)):
        centres = [[(one * axis).sum() / one.sum() + 0.5 for axis in (y, x)] for one in maps]
        median = np.median(np.subtract(centres, np.multiply(PLACES, SIDE)), axis=0)
        found.append(float(np.abs(median).max()))
    return found[0], found[1], SIDE / low.shape[-1]


def fitted(classifier: Classifier) -> dict[int, Concepts]:
    """Return the concepts of each class, from scenes that are scored nowhere."""
    return {
        label: craft(
            [scene_at(FIT_STREAM, label, n).image for n in range(FITTED)],
            classifier,
            target=label - 1,
            pieces="cells",
        )
        for label in CLASSES
    }


def all_maps(
    classifier: Classifier, scenes: list[tuple[int, Scene]], banks: dict[int, Concepts]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield the maps of each method, as drawn and moved."""
    for as_drawn in (True, False):
        ending = "as drawn" if as_drawn else "moved"
        for method in METHODS:
            asked = {"method": method, "as_drawn": as_drawn}
            yield (
                f"{method}, {ending}",
                [gradcam(s.image, classifier, target=n - 1, **asked).values for n, s in scenes],
            )
        for refinement in REFINEMENTS:
            asked = {"refinement": refinement, "as_drawn": as_drawn}
            found = [banks[label].explain(scene.image, **asked) for label, scene in scenes]
            maps = [np.asarray(weighted_map(one.maps, one.importances)) for one in found]
            yield f"CRAFT {refinement}, {ending}", maps


def scored(maps: list[np.ndarray], scenes: list[tuple[int, Scene]]) -> tuple[float, float]:
    """Return the mean IoU at the τ that suits all maps best, and the pointing game."""
    pairs = [(values, scene.defect) for values, (_, scene) in zip(maps, scenes, strict=True)]
    curves = np.mean([iou_curve(values, defect) for values, defect in pairs], axis=0)
    hits = [RankedMap(values).localisation(defect).pointing_game for values, defect in pairs]
    if len(curves) != len(THRESHOLDS):
        raise ValueError("a curve has another number of thresholds")
    return float(curves.max()), float(np.mean(hits))


def figure(classifier: Classifier, scenes: list[tuple[int, Scene]], path: Path) -> None:
    """Draw one scene a class: the outline of the defect over the map before and after."""
    drawing = new_figure(7.2, 4.0)
    axes = drawing.subplots(2, len(scenes))
    for column, (label, scene) in enumerate(scenes):
        for row, as_drawn in zip(axes[:, column], (True, False), strict=True):
            found = gradcam(scene.image, classifier, target=label - 1, as_drawn=as_drawn)
            row.imshow(scene.image, cmap="gray")
            row.imshow(found.values, cmap="inferno", alpha=np.minimum(found.values, 0.7))
            row.contour(scene.defect, [0.5], colors="cyan", linewidths=0.8)
            row.set_xticks([])
            row.set_yticks([])
        axes[0, column].set_title(LABELS[label], fontsize=9)
    axes[0, 0].set_ylabel("as drawn", fontsize=9)
    axes[1, 0].set_ylabel("moved", fontsize=9)
    drawing.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
