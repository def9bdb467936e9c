"""What tells strange images, and the images that it is learned from."""

from __future__ import annotations

import numpy as np

from napari_semxai.backends.classifier.classifier import load_classifier
from training.familiarity import LAYERS, fit, numbers_of, photographs
from training.strangers import KINDS, SIDE, STRANGER_STREAM, stranger_at


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


def test_a_fit_tells_strangers_from_scenes() -> None:
    known = fit(load_classifier(), 24)
    assert known.layers == LAYERS
    classifier = load_classifier()
    strangers = numbers_of(classifier, (stranger_at(700 + number) for number in range(14)))
    called = strangers @ np.array(known.weights) + known.bias > 0
    assert called.mean() > 0.6
