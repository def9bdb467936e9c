"""The part of ``semxai demo`` that explains the classifier on the sample; imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_semxai.algorithms.explanation_masks import threshold_mask
from napari_semxai.algorithms.metrics import scores
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.backends.classifiers import load_classifier
from napari_semxai.backends.craft import craft
from napari_semxai.backends.gradcam import gradcam
from napari_semxai.backends.xplique_import import craft_missing
from napari_semxai.cli.explainers import map_of, overlay_of
from napari_semxai.cli.pictures import write_picture
from napari_semxai.store.masks import write_mask

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.backends.classifiers import Classifier
    from napari_semxai.cli.output import Output
    from napari_semxai.types import ConceptMaps, Heatmap

TAU = 0.5
_IMAGES, _CONCEPTS, _FIRST_SEED = 8, 5, 700


def explain_sample(
    scene: Scene, folder: Path, output: Output, *, concepts: bool
) -> dict[str, Any]:
    """Say what the bundled classifier sees in the sample and why, and write the pictures.

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
        Prediction, and the Dice of each explanation's mask.
    """
    classifier = load_classifier()
    probabilities = classifier.predict(scene.image)
    predicted = int(probabilities.argmax())
    name = classifier.class_names[predicted]
    output.say(f"Classifier: {name} ({probabilities[predicted]:.0%}), trained on synthetic images")
    answers: dict[str, Heatmap | ConceptMaps] = {
        "6_gradcam": gradcam(scene.image, classifier, target=predicted)
    }
    if concepts and not craft_missing():
        output.say("Concepts (CRAFT): the first time this takes some minutes …")
        answers["7_concepts"] = _concepts(scene, classifier, predicted)
    elif concepts:
        output.say(craft_missing())
    dice = {}
    for stem, answer in answers.items():
        mask = threshold_mask(map_of(answer), TAU)
        write_picture(folder / f"{stem}.png", overlay_of(scene.image, answer))
        write_mask(folder / f"{stem}_mask.png", mask)
        dice[stem] = scores(mask, scene.defect).dice
        output.say(f"{stem}: mask at tau {TAU} against the exact mask: Dice {dice[stem]:.3f}")
    return {"predicted": name, "probability": float(probabilities[predicted]), "dice": dice}


def _concepts(scene: Scene, classifier: Classifier, target: int) -> ConceptMaps:
    """Find the concepts of the class in synthetic images of it, then in the sample."""
    images = [scene_of_class(target + 1, _FIRST_SEED + index).image for index in range(_IMAGES)]
    found = craft(images, classifier, target=target, n_concepts=_CONCEPTS, patch_size=80)
    return found.explain(scene.image)
