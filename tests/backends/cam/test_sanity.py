"""Sanity checks tell maps that know the network from those that do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from napari_semxai.backends.cam.evaluation import randomised, rank_correlation, sanity
from napari_semxai.backends.cam.gradcam import gradcam
from tests.networks import random_image, small_classifier

IMAGE = random_image(4)


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
