"""Concept maps that an earlier layer and the image sharpen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_semxai.backends.classifier.layers.outputs import moved
from napari_semxai.backends.concepts.bank import transform_steps
from napari_semxai.backends.concepts.craft import Concepts
from napari_semxai.backends.concepts.maps import activity, sharpened
from napari_semxai.backends.runtime.stepwise import finish
from tests.backends.concepts.banks import make_bank
from tests.networks import small_classifier, strided_classifier

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.types import ConceptMaps


def test_activity_is_what_differs_from_most_of_the_image() -> None:
    latents = np.full((8, 8, 4), 3.0, np.float32)
    latents[2, 5] = (3, 0, 6, 3)
    found = activity(latents)
    assert found[2, 5] == pytest.approx(np.sqrt(18))
    assert np.count_nonzero(found) == 1


def test_detail_shapes_and_adds_nothing() -> None:
    image = np.zeros((32, 32), np.uint8)
    image[8:16, 8:16] = 200
    maps = np.zeros((2, 32, 32), np.float32)
    maps[0, 4:20, 4:20] = 5
    detail = np.zeros((32, 32), np.float32)
    detail[8:16, 8:16] = 2
    detail[24:, 24:] = 7
    sharp = sharpened(maps, detail, image, (8, 8))
    assert sharp.min() >= 0
    assert not sharp[1].any()
    inside = image > 0
    assert sharp[0][inside].mean() > 4 * sharp[0][~inside].mean()
    assert not sharp[0][26:, 26:].any()
    np.testing.assert_array_equal(
        sharpened(maps, np.zeros_like(detail), image, (8, 8)),
        sharpened(maps, None, image, (8, 8)),
    )


def test_fine_maps_of_a_bank(tmp_path: Path) -> None:
    classifier = small_classifier()
    image = np.random.default_rng(0).integers(0, 60, (80, 112)).astype(np.uint8)
    image[20:36, 60:84] += 150
    concepts = Concepts(make_bank(tmp_path / "b.safetensors", "last", 16), classifier)
    plain, fine = (concepts.explain(image, refinement=name) for name in ("none", "fine"))
    assert fine.refinement == "fine"
    assert fine.maps.shape == (3, 80, 112)
    assert fine.maps.dtype == np.float32
    assert fine.maps.min() >= 0
    np.testing.assert_array_equal(fine.low_maps, plain.low_maps)
    inside = np.zeros(image.shape, bool)
    inside[20:36, 60:84] = True
    share = [maps.maps[0][inside].sum() / maps.maps[0].sum() for maps in (plain, fine)]
    assert share[1] > 1.5 * share[0]
    # Where no layer is finer, the maps are only placed and guided.
    early = Concepts(make_bank(tmp_path / "e.safetensors", "early", 8), classifier)
    assert early.explain(image, refinement="fine").maps.any()


def test_plain_maps_are_put_where_the_layer_looks(tmp_path: Path) -> None:
    classifier = strided_classifier()
    image = np.random.default_rng(0).integers(0, 60, (80, 112)).astype(np.uint8)
    concepts = Concepts(make_bank(tmp_path / "b.safetensors", "middle", 12), classifier)
    drawn, placed = (concepts.explain(image, as_drawn=asked) for asked in (True, False))
    (place,) = placed.registrations
    assert place.moves
    np.testing.assert_array_equal(placed.maps, moved(drawn.maps, place.shift))
    # What Algorithm 3 reads stays where it is drawn, and so do the maps of the layer itself.
    for unmoved in ("rendering", "low_maps"):
        np.testing.assert_array_equal(getattr(placed, unmoved), getattr(drawn, unmoved))


@pytest.mark.parametrize("refinement", ["none", "guided", "fine"])
def test_no_concept_is_looked_for_in_the_border(tmp_path: Path, refinement: str) -> None:
    classifier = small_classifier()
    image = np.random.default_rng(0).integers(0, 200, (80, 112)).astype(np.uint8)
    bank = make_bank(tmp_path / "b.safetensors", "last", 16)
    border = (3, 5, 20, 0)
    inner = (slice(3, 60), slice(0, 107))

    def maps(given: np.ndarray, **asked: object) -> ConceptMaps:
        return finish(transform_steps(given, classifier, bank.path, refinement, **asked))

    found, alone = maps(image, border=border), maps(image[inner])
    assert found.border == border
    assert found.maps.shape == (3, 80, 112)
    np.testing.assert_array_equal(found.maps[:, *inner], alone.maps)
    np.testing.assert_array_equal(found.rendering[inner], alone.rendering)
    np.testing.assert_array_equal(found.local_importances, alone.local_importances)
    for outside in (found.maps.any(axis=0), found.rendering.any(axis=2)):
        outside[inner] = False
        assert not outside.any()
    # As the library draws it the whole image is looked at.
    drawn, whole = maps(image, border=border, as_drawn=True), maps(image, as_drawn=True)
    assert drawn.border == (0, 0, 0, 0)
    np.testing.assert_array_equal(drawn.maps, whole.maps)
