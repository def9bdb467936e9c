"""Synthetic SEM images with exact masks, offered by napari under File > Open Sample."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.synthetic import LABELS, SceneSpec, make_scene
from napari_semxai.types.colors import TRUTH

if TYPE_CHECKING:
    from napari_semxai.algorithms.synthetic import Scene

    LayerData = tuple[np.ndarray[Any, Any], dict[str, Any], str]

_SAMPLE_SEED = 3
_CLASSES_SEED = 9
_SAMPLE = SceneSpec(radius=40.0, noise=5.0, strip=(0, 3, 0, 0), footprint=4.0)
KNOWN_LIGHT = 0.0
"""From the right, as in the pictures that the bundled classifier was trained on: a bump lit
from the left looks like a hollow to it."""
_LIT = replace(_SAMPLE, light=KNOWN_LIGHT)
# Class 5 is a fault of the pattern itself, so it needs one.
_CLASSES = {
    1: replace(_LIT, radius=46.0),
    2: replace(_LIT, label=2, radius=30.0, strip=(0, 0, 0, 0)),
    3: replace(_LIT, label=3, radius=26.0, contrast=1.3),
    4: replace(_LIT, label=4, radius=60.0, strip=(0, 0, 0, 0)),
    5: replace(_LIT, label=5, radius=30.0, pattern="lines"),
    6: replace(_LIT, label=6, defects=0),
}


def sample_scene() -> Scene:
    """Return the scene of the single sample image: a particle, and a dark strip on the right."""
    return make_scene(_SAMPLE, _SAMPLE_SEED)


def sample_image() -> list[LayerData]:
    """Return one defect image and its exact mask for napari.

    Returns
    -------
    list of (array, dict, str)
        Layer data: an image of 480 x 480 pixels, uint8, and a hidden labels layer.
    """
    return _layers(sample_scene(), "SEM defect", visible=True)


def class_scenes(seed: int = _CLASSES_SEED) -> dict[int, Scene]:
    """Return a scene of each class by its label (1 to 6); those of the samples by default."""
    return {label: make_scene(spec, seed + label) for label, spec in _CLASSES.items()}


def sample_six_classes() -> list[LayerData]:
    """Return an image and its exact mask for each of the six classes, the first one shown.

    Returns
    -------
    list of (array, dict, str)
        Layer data: six images and six labels layers, the last ones first, so that class 1
        lies on top.
    """
    layers: list[LayerData] = []
    for label, scene in sorted(class_scenes().items(), reverse=True):
        name = f"SEM class {label} ({LABELS[label]})"
        layers += _layers(scene, name, visible=label == 1)
    return layers


def _layers(scene: Scene, name: str, *, visible: bool) -> list[LayerData]:
    mask = scene.defect.astype(np.uint8)
    metadata = {"class": scene.label, "exact_mask": mask.astype(bool)}
    image = {"name": name, "visible": visible, "metadata": metadata, "colormap": "gray"}
    colors = {None: "transparent", 0: "transparent", 1: TRUTH}
    truth = {
        "name": f"{name}, exact mask",
        "visible": False,
        "opacity": 0.5,
        "colormap": colors,
        # The Scores dock takes it as the truth of this image.
        "metadata": {"semxai_role": "truth", "semxai_image": name},
    }
    return [(scene.image, image, "image"), (mask, truth, "labels")]
