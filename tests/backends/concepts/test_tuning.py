"""What the tuning assistant tries and judges; the factorization is stood in for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_semxai.algorithms.explanations.concepts import best_mean_iou
from napari_semxai.algorithms.explanations.masks import weighted_map
from napari_semxai.backends.classifier.layers.split import default_concept_layer
from napari_semxai.backends.concepts import tuning
from napari_semxai.backends.concepts.bank import new_split, refined
from napari_semxai.backends.concepts.factorize import CraftSettings, Factors
from napari_semxai.backends.concepts.maps import coefficients, latents_of
from napari_semxai.backends.concepts.tuning import stage_layers, sweep_steps
from napari_semxai.backends.runtime.stepwise import finish
from napari_semxai.types import CraftSweepRequest, InputError
from tests.networks import (
    convnext_classifier,
    random_image,
    small_classifier,
    torchvision_classifier,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from napari_semxai.backends.classifier.layers.split import Split

IMAGES = [random_image(seed, (40, 56)) for seed in range(3)]
MASK = np.zeros((40, 56), bool)
MASK[10:20, 15:30] = True
IMPORTANCES = np.array([0.2, 0.7], np.float32)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[CraftSettings]:
    settings: list[CraftSettings] = []

    def factor_steps(split: Split, inputs: torch.Tensor, given: CraftSettings) -> Iterator[Any]:
        yield from ()
        settings.append(given)
        latents = latents_of(split, inputs)
        vectors = np.random.default_rng(0).random((2, latents.shape[-1])).astype(np.float32)
        found = coefficients(latents, vectors)
        return Factors(vectors, found, latents, found, IMPORTANCES, np.zeros(3, np.int64))

    monkeypatch.setattr(tuning, "factor_steps", factor_steps)
    return settings


def request(**changes: Any) -> CraftSweepRequest:
    values: dict[str, Any] = {"layers": ("last",), "n_concepts": (2,), "patch_sizes": (16,)}
    return CraftSweepRequest((), "small", 1, **values | changes)


def test_every_layer_k_and_patch_is_tried(tried: list[CraftSettings]) -> None:
    wanted = request(
        layers=("last", "middle"), n_concepts=(2, 3), patch_sizes=(16, 32), seeds=(0, 5)
    )
    advice = finish(sweep_steps(IMAGES, small_classifier(), wanted))
    grid = [(layer, k, p) for layer in ("last", "middle") for k in (2, 3) for p in (16, 32)]
    assert [(row.layer, row.n_concepts, row.patch_size) for row in advice.rows] == grid
    assert [(s.layer, s.n_concepts, s.patch_size) for s in tried[::2]] == grid
    assert {s.seed for s in tried} == {0, 5}
    assert all(np.isnan(row.iou) for row in advice.rows)
    assert len(CraftSweepRequest((), "small", 1).patch_sizes) > 1


def test_cells_are_the_same_for_every_patch(tried: list[CraftSettings]) -> None:
    wanted = request(n_concepts=(2, 3), patch_sizes=(16, 32), seeds=(0,), pieces="cells")
    advice = finish(sweep_steps(IMAGES, small_classifier(), wanted))
    assert [(row.n_concepts, row.patch_size) for row in advice.rows] == [(2, 16), (3, 16)]
    assert {one.pieces for one in tried} == {"cells"}


@pytest.mark.parametrize("refinement", ["none", "guided", "fine"])
def test_localisation_is_that_of_the_maps_a_person_sees(
    tried: list[CraftSettings], refinement: str
) -> None:
    classifier = small_classifier()
    masks = (None, MASK, np.zeros_like(MASK))
    advice = finish(sweep_steps(IMAGES, classifier, request(masks=masks, refinement=refinement)))
    split = new_split(classifier, "last")
    latents = latents_of(split, classifier.to_input(IMAGES[1]))
    vectors = np.random.default_rng(0).random((2, 16)).astype(np.float32)
    low = coefficients(latents, vectors)[0].transpose(2, 0, 1)
    large = refined(np.ascontiguousarray(low), IMAGES[1], classifier, split, refinement)
    expected = best_mean_iou([weighted_map(large, IMPORTANCES)], [MASK])
    assert advice.rows[0].iou == pytest.approx(expected, abs=0.01)
    assert 0 < expected < 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masks": (MASK,)}, "1 mask for 3 images"),
        ({"masks": (None, MASK.T, None)}, r"the mask of image 2 is of shape \(56, 40\)"),
        ({"refinement": "sharp"}, "refinement 'sharp'"),
        ({"patch_sizes": (4, 65)}, "no setting could run: patch size 4"),
    ],
)
def test_what_cannot_be_judged_is_refused_first(
    tried: list[CraftSettings], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        finish(sweep_steps(IMAGES, small_classifier(), request(**changes)))
    assert not tried


def test_stages_end_with_the_default() -> None:
    classifier = torchvision_classifier("resnet18")
    # "layer4" ends later and is the same map.
    assert stage_layers(classifier)[-1] == default_concept_layer(classifier) == "layer4.1"


def test_networks_without_rectifiers_have_stages_too() -> None:
    assert stage_layers(convnext_classifier())


def test_settings_are_tried_without_the_border(tried: list[CraftSettings]) -> None:
    masks = (MASK, None, MASK)
    borders = [(2, 3, 8, 1), (0, 0, 0, 0), (2, 3, 8, 1)]
    inner = [
        image[2:32, 1:53] if any(b) else image for image, b in zip(IMAGES, borders, strict=True)
    ]
    cut = tuple(None if mask is None else mask[2:32, 1:53] for mask in masks)
    given = finish(sweep_steps(IMAGES, small_classifier(), request(masks=masks), borders))
    alone = finish(sweep_steps(inner, small_classifier(), request(masks=cut)))
    assert given.rows[0].iou == alone.rows[0].iou > 0
    assert len(tried) == 4
