"""The part of ``semxai demo`` that explains the classifier on samples; imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.localisation import trivial_baselines
from napari_semxai.algorithms.explanations.masks import threshold_mask
from napari_semxai.algorithms.synthetic import LABELS, scene_of_class
from napari_semxai.backends.cam.gradcam import gradcam
from napari_semxai.backends.classifier.classifier import load_classifier
from napari_semxai.backends.concepts.craft import craft
from napari_semxai.backends.runtime.xplique_import import craft_missing
from napari_semxai.cli.common.output import plain
from napari_semxai.cli.works.explainers import map_of, overlay_of
from napari_semxai.cli.works.pictures import write_picture
from napari_semxai.cli.works.record import SCORES, score_values
from napari_semxai.sample_data import KNOWN_LIGHT, class_scenes
from napari_semxai.store.images.masks import write_mask

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.cli.common.output import Output
    from napari_semxai.types import BoolMask, ConceptMaps

    Row = dict[str, float | None]

TAU = 0.5
GRADCAM, CONCEPTS, SAMPLE_SET = "6_gradcam", "7_concepts", "sample_set"
_IMAGES, _CONCEPTS, _FIRST_SEED = 8, 5, 700


def explain_sample(
    scene: Scene, folder: Path, output: Output, *, concepts: bool
) -> dict[str, Any]:
    """Say what the bundled classifier sees in the samples and why, and write the pictures.

    Parameters
    ----------
    scene : Scene
        The sample with its exact mask.
    folder : Path
        Where pictures and masks go.
    output : Output
        Where it is said.
    concepts : bool
        Whether to find concepts too, which takes some minutes the first time.

    Returns
    -------
    dict
        Prediction and scores of each explanation's mask and of the trivial masks: for the
        sample, and for one scene of each class with their mean.
    """
    classifier = load_classifier()
    if concepts and craft_missing():
        output.say(craft_missing())
    elif concepts:
        output.say("Concepts (CRAFT): the first time this takes some minutes …")
    concepts = concepts and not craft_missing()
    sample = _explain(scene, classifier, folder, "", concepts=concepts)
    output.say(
        f"Classifier: {sample['predicted']} ({sample['probability']:.0%}), trained on synthetic "
        "images"
    )
    _say_scores(f"Masks at tau {TAU} against the exact mask", sample["scores"], output)
    rows = []
    for label, shown in class_scenes().items():
        name = LABELS[label]
        output.progress(f"explaining {name}")
        start = f"{label}_{name}_"
        found = _explain(shown, classifier, folder / SAMPLE_SET, start, concepts=concepts)
        output.say(f"{name}: {found['predicted']} ({found['probability']:.0%})")
        rows.append({"class": name, **found})
    mean = _mean([row["scores"] for row in rows])
    _say_scores(f"The same, mean over a scene of each of {len(rows)} classes", mean, output)
    return {**sample, SAMPLE_SET: {"images": rows, "mean": mean}}


def _explain(
    scene: Scene, classifier: Classifier, folder: Path, start: str, *, concepts: bool
) -> dict[str, Any]:
    """Explain the predicted class, and write pictures whose names begin with `start`."""
    probabilities = classifier.predict(scene.image)
    predicted = int(probabilities.argmax())
    answers: dict[str, Any] = {GRADCAM: gradcam(scene.image, classifier, target=predicted)}
    if concepts:
        answers[CONCEPTS] = _concepts(scene, classifier, predicted)
    masks: dict[str, BoolMask] = {}
    for stem, answer in answers.items():
        masks[stem] = threshold_mask(map_of(answer), TAU)
        write_picture(folder / f"{start}{stem}.png", overlay_of(scene.image, answer))
        write_mask(folder / f"{start}{stem}_mask.png", masks[stem])
    masks |= trivial_baselines(scene.image)
    return {
        "predicted": classifier.class_names[predicted],
        "probability": float(probabilities[predicted]),
        "scores": {name: plain(score_values(mask, scene.defect)) for name, mask in masks.items()},
    }


def _concepts(scene: Scene, classifier: Classifier, target: int) -> ConceptMaps:
    """Find the concepts of the class in synthetic images of it, then in the scene."""
    images = [
        scene_of_class(target + 1, _FIRST_SEED + index, light=KNOWN_LIGHT).image
        for index in range(_IMAGES)
    ]
    found = craft(images, classifier, target=target, n_concepts=_CONCEPTS, patch_size=80)
    return found.explain(scene.image, refinement="fine")


def _mean(rows: list[dict[str, Row]]) -> dict[str, Row]:
    """Return the mean of each score over the images where it is defined."""
    means: dict[str, Row] = {}
    for method in rows[0]:
        means[method] = {}
        for name in SCORES:
            known = [value for row in rows if (value := row[method][name]) is not None]
            means[method][name] = float(np.mean(known)) if known else None
    return means


def _say_scores(title: str, found: dict[str, Row], output: Output) -> None:
    output.say(f"{title}:")
    output.say("  ".join([f"  {'':12}", *(f"{name:>9}" for name in SCORES)]))
    for method, row in found.items():
        values = ("–" if row[name] is None else f"{row[name]:.3f}" for name in SCORES)
        output.say("  ".join([f"  {method:12}", *(f"{value:>9}" for value in values)]))
