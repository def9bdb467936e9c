"""The colours of concepts."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from skimage.color import rgb2lab

from napari_semxai.algorithms.explanations.masks import PAPER_COLORS
from napari_semxai.backends.concepts.bank import concept_colors

# Deuteranopia, on linear RGB (G. Machado et al., TVCG 15, 2009).
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)


def distances(rgb: np.ndarray) -> dict[tuple[int, int], float]:
    lab = rgb2lab(rgb)
    pairs = combinations(range(len(lab)), 2)
    return {(i, j): float(np.linalg.norm(lab[i] - lab[j])) for i, j in pairs}


def test_as_many_colours_as_the_dock_has_concepts() -> None:
    colors = concept_colors(25)
    np.testing.assert_array_equal(colors[:5], PAPER_COLORS)
    assert len(np.unique(colors, axis=0)) == 25
    assert min(distances(colors / 255).values()) > 30
    np.testing.assert_array_equal(concept_colors(26)[25], colors[0])


def test_colour_blind_people_tell_the_first_twelve() -> None:
    linear = (concept_colors(12) / 255) ** 2.2
    seen = np.clip(linear @ DEUTERANOPIA.T, 0, 1) ** (1 / 2.2)
    # Among themselves the published ones are what they are.
    ours = {pair: value for pair, value in distances(seen).items() if pair[1] >= 5}
    assert min(ours.values()) > 20
