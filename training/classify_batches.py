"""What the bundled classifier sees at a step: scenes, their classes, and those of the cells."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from napari_semxai.algorithms.synthetic import LABELS, Scene
from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene
from napari_semxai.backends.classifier.classifier import resized
from napari_semxai.types import ClassifierInfo
from training.classify_scenes import TRAINING_STREAM, scene_at

INFO = ClassifierInfo(
    name="bundled",
    sha256="",
    architecture="lite0",
    class_names=tuple(LABELS.values()),
    input_size=(320, 320),
    synthetic=True,
)
CELLS = 20
# Cells of which a smaller share is defect are left out; without any defect they are "none".
CELL_SHARE = 0.05
IGNORED = -100
EVEN = (1, 2, 3, 4, 5, 6)
# Residue, pattern and none are learned last; from this step on they come twice as often.
HARD = (1, 2, 3, 4, 5, 6, 4, 5, 6)
HARD_FROM = 600
LIT = 0.5
"""Share of the scenes that are of the classification set: lit from the right, easy to see."""
OTHER_WORLDS = 0.15
"""Share of the scenes that are of the wide kinds, whose classes come as they do there."""
PRIOR = torch.log(torch.tensor([HARD.count(label) for label in LABELS], dtype=torch.float32))
"""How much more probable, as logits, classes are to a network that saw them more often."""


def batch_at(step: int, size: int) -> tuple[torch.Tensor, ...]:
    """Return inputs (B, 1, H, W) in [0, 1], class indices, `cell_classes` and shares of a step."""
    rng = np.random.default_rng([TRAINING_STREAM, step])
    inputs, targets, shares, cells = [], [], [], []
    cycle = EVEN if step < HARD_FROM else HARD
    for index in range(step * size, (step + 1) * size):
        scene, lit = scene_for(rng, cycle[index % len(cycle)], TRAINING_STREAM, index)
        values, share = resized(scene.image, INFO), cell_shares(scene.defect)
        # Where the light comes from about the right, left and right are not alike.
        for axis in (1,) if lit else (1, 2):
            if rng.random() < 0.5:
                values, share = values.flip(axis + 1), share.flip(axis)
        gain, offset = rng.uniform(0.8, 1.2), rng.uniform(-0.08, 0.08)
        inputs.append((values * gain + offset).clamp(0, 1))
        targets.append(scene.label - 1)
        shares.append(share)
        cells.append(cell_classes(share, scene.label))
    return torch.cat(inputs), torch.tensor(targets), torch.cat(cells), torch.cat(shares)


def scene_for(rng: np.random.Generator, label: int, stream: int, index: int) -> tuple[Scene, bool]:
    """Draw a scene, and tell whether it is lit as the classification set is."""
    share = rng.random()
    if share < OTHER_WORLDS:
        return wide_scene(str(rng.choice(list(WIDE_KINDS))), int(rng.integers(2**62))), False
    lit = share < OTHER_WORLDS + LIT
    return scene_at(stream, label, index, wide=not lit), lit


def cell_shares(defect: np.ndarray) -> torch.Tensor:
    """How much of every cell is defect, (1, CELLS, CELLS)."""
    mask = torch.from_numpy(np.asarray(defect, np.float32))[None, None]
    return functional.adaptive_avg_pool2d(mask, CELLS)[0]


def cell_classes(share: torch.Tensor, label: int) -> torch.Tensor:
    """Class index of every cell, of the same shape: the scene's, "none", or IGNORED."""
    found = torch.full(share.shape, IGNORED)
    found[share >= CELL_SHARE] = label - 1
    found[share == 0] = len(LABELS) - 1
    return found
