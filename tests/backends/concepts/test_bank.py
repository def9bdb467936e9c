"""The file of a bank, its colours, and its concepts in one image."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

from napari_semxai.algorithms.explanations.concepts import sobol_indices, sobol_masks
from napari_semxai.algorithms.explanations.masks import PAPER_COLORS
from napari_semxai.backends.classifier.layers.split import describe_layers
from napari_semxai.backends.concepts import bank as concept_bank
from napari_semxai.backends.concepts import factorize
from napari_semxai.backends.concepts.bank import (
    BankKey,
    bank_exists,
    bank_for,
    concept_colors,
    new_split,
    read_bank,
    transform_steps,
    write_bank,
)
from napari_semxai.backends.concepts.craft import Concepts, best_crops, cells_in_crops, craft
from napari_semxai.backends.concepts.maps import (
    coefficients,
    guided,
    latents_of,
    logits_of,
    rendering,
)
from napari_semxai.backends.runtime.stepwise import finish
from napari_semxai.store.datasets.dataset import name_concepts
from napari_semxai.types import ConceptMaps, InputError
from tests.backends.concepts.banks import K, make_bank
from tests.networks import random_image, small_classifier

if TYPE_CHECKING:
    from pathlib import Path

# Deuteranopia, on linear RGB (G. Machado et al., TVCG 15, 2009).
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
IMAGE = random_image(0, (40, 56))


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


def test_a_bank_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "b.safetensors"
    assert not bank_exists(path)
    bank = make_bank(path, "last", 16)
    assert bank_exists(path)
    again, concepts = read_bank(path)
    assert (again.class_name, again.r2, again.layer) == ("pit", 0.9, "last")
    np.testing.assert_array_equal(again.importances, bank.importances)
    assert concepts.vectors.shape == (K, 16)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"b\.safetensors: no bank of concepts, or a damaged one"):
        read_bank(path)


def test_everything_that_decides_a_bank_is_in_its_name() -> None:
    key = BankKey("a" * 64, "last", 1, 10, 64, 0, "crops", "b" * 64)
    changes = {"classifier": "c", "layer": "x", "target": 2, "n_concepts": 9, "patch_size": 32}
    changes |= {"seed": 1, "pieces": "cells", "images": "d"}
    digests = {replace(key, **{name: value}).digest for name, value in changes.items()}
    assert len(digests | {key.digest}) == len(changes) + 1
    assert BankKey("a" * 64, "last", 1, 10, 64, 0, "crops", "b" * 64).digest == key.digest


def test_maps_of_a_linear_head_come_with_their_importances(tmp_path: Path) -> None:
    classifier = small_classifier()
    bank = make_bank(tmp_path / "b.safetensors", "last", 16)
    maps = Concepts(bank, classifier).explain(IMAGE)
    assert maps.maps.shape == (K, *IMAGE.shape)
    assert maps.low_maps.shape == (K, 8, 8)
    assert maps.maps.dtype == np.float32
    assert maps.maps.min() >= 0
    assert maps.rgb().shape == (*IMAGE.shape, 3)
    assert maps.layers == ("last",)
    # In closed form and as it is defined, by running the head.
    split = new_split(classifier, "last")
    concepts = read_bank(bank.path)[1]
    unsorted = np.empty_like(maps.low_maps)
    unsorted[concepts.order] = maps.low_maps
    kept = unsorted.transpose(1, 2, 0) * sobol_masks(K)[:, None, None, :]
    outputs = logits_of(split, kept, concepts.vectors)[:, 1]
    expected = sobol_indices(outputs, K)[concepts.order]
    np.testing.assert_allclose(maps.local_importances, expected, atol=1e-4)


def test_other_heads_give_the_maps_first(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "b.safetensors", "middle", 12)
    updates = list(transform_steps(IMAGE, small_classifier(), bank.path))
    assert isinstance(updates[0], ConceptMaps)
    assert np.isnan(updates[0].local_importances).all()
    whole = finish(transform_steps(IMAGE, small_classifier(), bank.path))
    assert np.isfinite(whole.local_importances).all()
    np.testing.assert_array_equal(whole.maps, updates[0].maps)


def test_coefficients_rebuild_what_concepts_made() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.random((K, 20)).astype(np.float32)
    made = rng.random((5, 4, K)).astype(np.float32)
    found = coefficients(made @ vectors, vectors)
    np.testing.assert_allclose(found @ vectors, made @ vectors, atol=0.1)


def test_coefficients_wait_for_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def transform(_self: NMF, values: np.ndarray) -> np.ndarray:
        blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        seen.extend(pool["num_threads"] for pool in blas)
        return np.zeros((len(values), K), np.float32)

    monkeypatch.setattr(NMF, "transform", transform)
    coefficients(np.zeros((4, 8), np.float32), np.zeros((K, 8), np.float32))
    assert set(seen) == {1}


def test_another_classifier_or_refinement_is_refused(tmp_path: Path) -> None:
    classifier = small_classifier()
    bank = make_bank(tmp_path / "b.safetensors", "last", 16)
    with pytest.raises(InputError, match="refinement 'sharp'"):
        finish(transform_steps(IMAGE, classifier, bank.path, "sharp"))
    classifier.info = replace(classifier.info, sha256="6" * 64)
    with pytest.raises(InputError, match="made with another classifier"):
        finish(transform_steps(IMAGE, classifier, bank.path))
    with pytest.raises(InputError, match="no bank of concepts"):
        finish(transform_steps(IMAGE, classifier, tmp_path / "none.safetensors"))


def test_guided_maps_follow_the_image() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[:, 30:] = 200
    columns = np.clip((np.arange(64) - 14) / 32, 0, 1).astype(np.float32)
    blurred = np.broadcast_to(columns, (1, 64, 64))
    sharp = guided(np.ascontiguousarray(blurred), image, (4, 4))[0, 32]
    steps = np.abs(np.diff(sharp))
    assert 28 <= int(steps.argmax()) <= 31
    assert steps.max() > 3 * np.diff(columns).max()


def test_rendering_shows_the_strongest_tenth_in_pure_colours() -> None:
    low = np.zeros((K, 8, 8), np.float32)
    low[0, 2:4, 2:4] = 5
    picture = rendering(low, (64, 64), concept_colors(K))
    np.testing.assert_array_equal(picture[24, 24], concept_colors(K)[0])
    # Cubic overshoot is clipped by rank and scaled, so even the empty rest gets a faint tint.
    assert picture[50:, 50:].max() < 64


def test_crops_know_their_place() -> None:
    images = [random_image(1, (64, 128)), random_image(2, (64, 128))]
    # 64 x 64 inputs, 20 pixels a crop, every 16 pixels: 3 x 3 crops an image.
    values = np.zeros((18, 1), np.float32)
    values[9 + 5] = 1
    crops = best_crops(images, values, (64, 64), 20)
    assert crops.images[0, 0] == 1
    np.testing.assert_array_equal(crops.boxes[0, 0], [16, 64, 36, 104])
    assert crops.pixels.shape == (1, 10, 20, 20)


def test_crops_are_as_good_as_their_cells_on_average() -> None:
    # Cells of 16 pixels; crops of 20 begin every 16, and hold the cells whose centres they do.
    found = np.zeros((2, 4, 4, 2), np.float32)
    found[1, 2, 1, 0], found[1, 2, 3, 0], found[0, 0, 0, 1] = 3, 9, 5
    values = cells_in_crops(found, (64, 64), 20)
    assert values.shape == (18, 2)
    assert {place: values[place].tolist() for place in np.flatnonzero(values.any(axis=1))} == {
        0: [0, 5],
        9 + 7: [3, 0],
    }
    # Crops that are smaller than cells.
    assert cells_in_crops(found, (64, 64), 8)[0].tolist() == [0, 5]
    # One crop of two rows and columns of cells.
    assert cells_in_crops(found, (64, 64), 32)[:1].tolist() == [[0, 5 / 4]]


def test_concepts_of_cells_are_those_of_the_layers_map(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(concept_bank, "concepts_folder", lambda: tmp_path)
    monkeypatch.setattr(factorize, "_known", {})
    classifier, images = small_classifier(), [random_image(seed, (64, 64)) for seed in range(3)]
    asked = {"target": 1, "layer": "middle", "n_concepts": 3, "patch_size": 16, "seed": 5}
    bank = craft(images, classifier, pieces="cells", **asked).bank
    assert bank.pieces == "cells"
    assert json.loads(bank.path.with_suffix(".json").read_text("utf-8"))["pieces"] == "cells"
    assert read_bank(bank.path)[0].pieces == "cells"
    split = new_split(classifier, "middle")
    latents = latents_of(split, torch.cat([classifier.to_input(image) for image in images]))
    np.random.seed(5)  # noqa: NPY002 - what scikit-learn takes where it is given none
    reducer = NMF(n_components=3, alpha_W=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reducer.fit(latents.reshape(-1, latents.shape[-1]))
    vectors = read_bank(bank.path)[1].vectors
    np.testing.assert_allclose(vectors, reducer.components_, rtol=1e-4, atol=1e-6)
    # The first crop of the first concept holds most of it.
    low = np.array([Concepts(bank, classifier).explain(image).low_maps[0] for image in images])
    values = cells_in_crops(low[..., None], (64, 64), 16)
    best = best_crops(images, values, (64, 64), 16)
    assert bank.crop_images[0, 0] == best.images[0, 0]
    np.testing.assert_array_equal(bank.crop_boxes[0, 0], best.boxes[0, 0])


def test_of_many_cells_some_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(concept_bank, "concepts_folder", lambda: tmp_path)
    monkeypatch.setattr(factorize, "_known", {})
    monkeypatch.setattr(factorize, "_MOST_CELLS", 20)
    asked = {"target": 1, "layer": "early", "n_concepts": 2, "patch_size": 16}
    bank = craft([IMAGE], small_classifier(), pieces="cells", **asked).bank
    (known,) = factorize._known.values()
    assert len(known.pieces) == 20
    assert known.latents[0, ..., 0].size > 20
    assert 0 < bank.r2 <= 1


def test_without_xplique_everything_else_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "xplique", None)
    monkeypatch.setattr(concept_bank, "concepts_folder", lambda: tmp_path)
    classifier = small_classifier()
    assert "pip install 'napari-semxai[craft]'" in describe_layers(classifier).craft_missing
    with pytest.raises(InputError, match="CRAFT needs xplique"):
        craft([IMAGE], classifier, target=1, layer="last", n_concepts=2, patch_size=16)
    bank = make_bank(tmp_path / "b.safetensors", "last", 16)
    assert Concepts(bank, classifier).explain(IMAGE).maps.any()
    found = craft([IMAGE], classifier, target=1, n_concepts=2, patch_size=16, pieces="cells")
    assert found.explain(IMAGE).maps.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 7}, "class 7"),
        ({"target": 1, "patch_size": 65}, "patch size 65: choose 8 to 64"),
        ({"target": 1, "n_concepts": 0}, "0 concepts"),
        ({"target": 1, "layer": "fc"}, "layer fc"),
        ({"target": 1, "pieces": "pixels"}, "pieces 'pixels': choose one of crops, cells"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        craft([IMAGE], small_classifier(), **settings)
    with pytest.raises(InputError, match="needs images"):
        craft([], small_classifier(), target=1)


def test_transform_leaves_the_network_alone(tmp_path: Path) -> None:
    classifier = small_classifier()
    before = classifier.predict(IMAGE)
    bank = make_bank(tmp_path / "b.safetensors", "last", 16)
    Concepts(bank, classifier).explain(IMAGE)
    torch.testing.assert_close(classifier.predict(IMAGE), before)


def test_names_travel_with_a_bank_and_old_banks_have_none(tmp_path: Path) -> None:
    classifier, path = small_classifier(), tmp_path / "bank.safetensors"
    made = replace(make_bank(path, "last", 16), sha256=classifier.info.sha256)
    write_bank(made, read_bank(path)[1])
    assert bank_for(path, classifier)[0].names == ()
    name_concepts(path, ["", "bright rim", ""])
    found = bank_for(path, classifier)[0]
    assert [found.name(number) for number in range(4)] == ["", "bright rim", "", ""]
    beside = path.with_suffix(".json")
    described = json.loads(beside.read_text("utf-8"))
    del described["names"]
    beside.write_text(json.dumps(described), "utf-8")
    assert read_bank(path)[0].names == ()
