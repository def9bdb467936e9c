"""What tells strange images, and the images that it is learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_semxai.backends.classifier.classifier import load_classifier, strangeness
from training import familiarity
from training.familiarity import (
    SHRINKAGE,
    fit,
    numbers_of,
    photographs,
    quadratic_form,
    validation_scenes,
)
from training.strangers import KINDS, SIDE, STRANGER_STREAM, stranger_at

if TYPE_CHECKING:
    import pytest


def test_strangers_are_the_same_every_time_and_differ() -> None:
    first = [stranger_at(number) for number in range(len(KINDS))]
    for number, image in enumerate(first):
        np.testing.assert_array_equal(image, stranger_at(number))
        assert image.shape[:2] == (SIDE, SIDE)
        assert image.dtype == np.uint8
        assert not np.array_equal(image, stranger_at(number, STRANGER_STREAM + 1))
    assert {image.ndim for image in map(stranger_at, range(0, 70, 7))} == {2, 3}


def test_photographs_are_parts_of_pictures_in_colours_or_grey() -> None:
    found = list(photographs(5))
    assert {image.ndim for image in found} == {2, 3}
    assert all(image.ndim == 2 for image in photographs(5, gray=True))


def test_a_fit_tells_strangers_from_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(familiarity, "LEAST_VALIDATION", 3)
    classifier = load_classifier()
    known = fit(classifier, 24)
    images = (stranger_at(700 + number) for number in range(14))
    strangers = torch.from_numpy(numbers_of(classifier, images))
    scenes = torch.from_numpy(numbers_of(classifier, validation_scenes(2)))
    assert (strangeness(strangers, known) > 0).double().mean() > 0.6
    assert (strangeness(scenes, known) > 0).double().mean() < 0.2


def test_the_form_is_that_of_the_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (60, 5)), rng.normal(1, 3, (60, 5))
    known, shift = quadratic_form(np.concatenate(rows)), torch.from_numpy(np.concatenate(rows))
    scaled = make_pipeline(StandardScaler(), PCA(5, whiten=True, random_state=0))
    model = QuadraticDiscriminantAnalysis(priors=(0.5, 0.5), reg_param=SHRINKAGE)
    targets = np.repeat((0, 1), 60)
    points = scaled.fit_transform(np.concatenate(rows))
    expected = 2 * model.fit(points, targets).decision_function(points)
    found = strangeness(shift, known).numpy()
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-3)
