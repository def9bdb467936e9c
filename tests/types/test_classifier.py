"""What a classifier's answer says."""

from __future__ import annotations

import numpy as np
import pytest

from napari_semxai.types import Classification, ClassifierInfo

NAMES = ("particle", "pit", "scratch", "none")
INFO = ClassifierInfo("own", "0" * 64, "resnet18", NAMES, (64, 64))


@pytest.mark.parametrize(
    ("probabilities", "answer"),
    [
        ((0.85, 0.05, 0.05, 0.05), "particle"),
        ((0.38, 0.60, 0.01, 0.01), "pit or particle"),
        ((0.40, 0.10, 0.10, 0.40), "particle or none"),
        ((0.30, 0.30, 0.30, 0.10), "unsure"),
        ((1.00, 0.00, 0.00, 0.00), "particle"),
    ],
)
def test_classes_are_named_until_they_are_probable_enough(
    probabilities: tuple[float, ...], answer: str
) -> None:
    found = Classification(np.float32(probabilities), NAMES, INFO)
    assert found.answer == answer
    assert found.confidence == pytest.approx(max(probabilities))


def test_a_strange_image_has_no_class() -> None:
    found = Classification(np.float32([0.01, 0.99, 0, 0]), NAMES, INFO, strange=True)
    assert found.answer == "unlike anything it was trained on"
    assert found.confidence == 0
    assert found.predicted == 1
