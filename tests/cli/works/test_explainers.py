"""What is drawn of an explanation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_semxai.cli.works.explainers import overlay_of
from tests.explanations import concept_maps


def test_refined_concepts_are_drawn_as_their_own_maps() -> None:
    plain = concept_maps()
    shape = plain.maps.shape[1:]
    gray = np.full(shape, 100, np.uint8)
    maps = np.zeros_like(plain.maps)
    maps[0, :4, :4], maps[1, -4:, -4:] = 1, 1
    fine = replace(plain, maps=maps, refinement="fine")
    picture = overlay_of(gray, fine)
    changed = (picture != 100).any(axis=2)
    np.testing.assert_array_equal(changed, maps.max(axis=0) > 0)
    distance = np.abs(picture.astype(int) - 100).max(axis=2)
    # The same in the map, but of less importance.
    assert distance[0, 0] > distance[-1, -1] > 0
    # Without refinement the published rendering is shown.
    tinted = (overlay_of(gray, replace(plain, maps=maps)) != 100).any(axis=2)
    np.testing.assert_array_equal(tinted, plain.rendering.any(axis=2))
    nothing = replace(fine, maps=np.zeros_like(maps))
    assert (overlay_of(gray, nothing) == 100).all()
