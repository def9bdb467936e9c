"""Insertion, deletion and ROAD by their formulas, on a network that can be seen through."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from napari_semxai.backends.cam import evaluation as module
from napari_semxai.backends.cam.evaluation import (
    FRACTIONS,
    check_steps,
    faithfulness,
    randomised,
    rank_correlation,
    relevance_ranks,
    sanity,
)
from napari_semxai.backends.cam.gradcam import gradcam
from napari_semxai.backends.classifier.classifier import Classifier
from napari_semxai.types import ClassifierInfo
from tests.networks import random_image, small_classifier

SIDE = 12
WEIGHTS = {
    (row, column): 1 / 6 if 0 in (row, column) else 1 / 12
    for row in (-1, 0, 1)
    for column in (-1, 0, 1)
    if (row, column) != (0, 0)
}
IMAGE = random_image(4)


@pytest.fixture
def bright():
    """A classifier of two classes whose second one is the brightness of a square."""
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(1, 4, 3, padding=1)
    network = torch.nn.Sequential(
        convolution,
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )
    names = ("no", "yes")
    info = ClassifierInfo("tiny", "0" * 64, "", names, (SIDE, SIDE), 1, (0.4,), (0.2,))
    return Classifier(network, info)


@pytest.fixture
def picture():
    rng = np.random.default_rng(3)
    image = rng.integers(20, 60, (SIDE, SIDE)).astype(np.uint8)
    image[3:7, 4:9] += 150
    values = rng.permutation(SIDE * SIDE).reshape(SIDE, SIDE).astype(np.float32)
    values[3:7, 4:9] += 500
    return image, values / values.max()


def probability(classifier, pixels):
    with torch.inference_mode():
        logits = classifier.network(torch.as_tensor(pixels, dtype=torch.float32)[None, None])
    return float(classifier.probabilities(logits)[0, 1])


def changed(start, end, values, share):
    """Take the most relevant pixels, one after the other, from another picture."""
    found = start.copy()
    order = sorted(np.ndindex(values.shape), key=lambda place: -values[place])
    for place in order[: int(np.ceil(share * values.size))]:
        found[place] = end[place]
    return found


def test_insertion_and_deletion_by_their_formula(bright, picture):
    image, values = picture
    found = faithfulness(image, values, bright, 1)
    plane = (image / 255 - 0.4) / 0.2
    blurred = gaussian_filter(plane, SIDE / 20)
    flat = np.full_like(plane, plane.mean())
    for score, start, end in (
        (found.insertion, blurred, plane),
        (found.deletion, plane, flat),
    ):
        curve = [probability(bright, changed(start, end, values, x)) for x in FRACTIONS]
        area = sum(
            (x1 - x0) * (y0 + y1) / 2
            for x0, x1, y0, y1 in zip(FRACTIONS, FRACTIONS[1:], curve, curve[1:], strict=False)
        )
        assert score == pytest.approx(area, rel=1e-4)


def filled_in(plane, removed):
    """Every removed pixel is the weighted mean of its neighbours: all equations at once."""
    places = list(zip(*np.nonzero(removed), strict=True))
    matrix, right = np.zeros((len(places),) * 2), np.zeros(len(places))
    for number, (row, column) in enumerate(places):
        for (down, across), weight in WEIGHTS.items():
            other = row + down, column + across
            if not (0 <= other[0] < SIDE and 0 <= other[1] < SIDE):
                continue
            matrix[number, number] += weight
            if removed[other]:
                matrix[number, places.index(other)] -= weight
            else:
                right[number] += weight * plane[other]
    found = plane.copy()
    noise = 0.01 * torch.randn(1, len(places)).numpy()[0]
    found[tuple(zip(*places, strict=True))] = np.linalg.solve(matrix, right) + noise
    return found


def test_road_by_its_formula(bright, picture, monkeypatch):
    monkeypatch.setattr(module, "ROAD_PERCENTILES", (90, 75))
    image, values = picture
    found = faithfulness(image, values, bright, 1).road
    plane = (image / 255 - 0.4) / 0.2
    falling = np.sort(values.ravel())[::-1]
    torch.manual_seed(0)
    means = []
    for relevance in (-values, values):
        falling = np.sort(relevance.ravel())[::-1]
        after = [
            probability(bright, filled_in(plane, relevance >= falling[count - 1]))
            for count in (15, 36)
        ]
        means.append(np.mean(after))
    assert found == pytest.approx((means[0] - means[1]) / 2, abs=1e-5)
    assert abs(found) > 1e-4


def test_equal_values_get_places_of_their_own():
    ranks = relevance_ranks(np.array([[0, 0, 5], [0, 7, 0]], np.float32))
    assert sorted(ranks.ravel()) == list(range(6))
    assert (ranks[1, 1], ranks[0, 2]) == (0, 1)
    np.testing.assert_array_equal(ranks, relevance_ranks(np.array([[0, 0, 5], [0, 7, 0]])))


def test_a_map_of_the_network_passes() -> None:
    classifier = small_classifier()
    before = classifier.predict(IMAGE)
    found = sanity(
        IMAGE,
        lambda image, network, target: gradcam(image, network, target=target).values,
        classifier,
        1,
    )
    assert found.noise > 0.9
    assert found.randomised < 0.7
    assert found.other_class < 0.9
    torch.testing.assert_close(classifier.predict(IMAGE), before)


def test_checks_are_areas_with_two_fills_and_sanity(bright, picture) -> None:
    image, values = picture

    def explain(image, network, target):
        return gradcam(image, network, target=target, as_drawn=True).values

    steps = check_steps(image, values, bright, 1, explain)
    stages = [next(steps).stage]
    try:
        while True:
            stages.append(next(steps).stage)
    except StopIteration as end:
        checks = end.value
    assert stages == ["insertion and deletion"] * 2 + ["sanity"] * 7
    known = faithfulness(image, values, bright, 1)
    assert checks.areas["grey"][1] == pytest.approx(known.deletion)
    assert checks.areas["blurred"][0] == pytest.approx(known.insertion)
    # The other two by hand: from grey to the image, and from the image to a blurred one.
    plane = bright.to_input(image)[0].numpy()
    grey = np.broadcast_to(plane.mean(axis=(1, 2), keepdims=True), plane.shape)[0]
    inserted = [probability(bright, changed(grey, plane[0], values, s)) for s in FRACTIONS]
    assert checks.areas["grey"][0] == pytest.approx(np.trapezoid(inserted, FRACTIONS), abs=1e-5)
    blurred = gaussian_filter(plane[0], SIDE / 20)
    deleted = [probability(bright, changed(plane[0], blurred, values, s)) for s in FRACTIONS]
    assert checks.areas["blurred"][1] == pytest.approx(np.trapezoid(deleted, FRACTIONS), abs=1e-5)
    assert checks.sanity == sanity(image, explain, bright, 1)


def test_a_map_of_the_image_alone_does_not() -> None:
    found = sanity(IMAGE, lambda image, _network, _target: image / 255, small_classifier(), 1)
    assert found.randomised == found.other_class == pytest.approx(1)


def test_a_map_of_chance_is_unstable() -> None:
    rng = np.random.default_rng(0)
    found = sanity(IMAGE, lambda *_: rng.random((64, 64)), small_classifier(), 1)
    assert abs(found.noise) < 0.05


def test_every_weight_keeps_its_values_in_other_places() -> None:
    classifier = small_classifier()
    other = randomised(classifier)
    for one, mixed in zip(
        classifier.network.parameters(), other.network.parameters(), strict=True
    ):
        torch.testing.assert_close(mixed.flatten().sort()[0], one.flatten().sort()[0])
    assert not np.allclose(other.predict(IMAGE), classifier.predict(IMAGE))


def test_rank_correlation() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, (2, 8, 8)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(
        spearmanr(one.ravel(), other.ravel()).statistic
    )
    assert rank_correlation(one, np.zeros((8, 8))) == 0
