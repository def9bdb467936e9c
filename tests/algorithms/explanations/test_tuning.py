from __future__ import annotations

import math

import numpy as np
import pytest

from napari_semxai.algorithms.explanations.concepts import (
    THRESHOLDS,
    best_mean_iou,
    iou_curve,
    suggest,
)
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.types import SweepRow

NAN = math.nan


def row(
    n_concepts: int = 10,
    r2: float = 0.5,
    agreement: float = 1.0,
    stability: float = 0.9,
    iou: float = NAN,
) -> SweepRow:
    return SweepRow("last", n_concepts, 64, r2, agreement, stability, 3, iou, 1.0)


def test_curve_is_the_iou_at_each_threshold() -> None:
    rng = np.random.default_rng(0)
    values, truth = 3 * rng.random((20, 30)), rng.random((20, 30)) > 0.7
    curve = iou_curve(values, truth)
    for index in (0, 17, 48):
        predicted = values > THRESHOLDS[index] * values.max()
        assert curve[index] == pytest.approx(scores(predicted, truth).iou)
    assert not iou_curve(values * 0, truth).any()


def test_one_threshold_for_all_maps() -> None:
    truth = np.array([[True, False]])
    early, late = np.array([[1.0, 0.5]]), np.array([[0.3, 1.0]])
    assert best_mean_iou([early], [truth]) == 1
    assert best_mean_iou([early, late], [truth, truth]) == pytest.approx(0.75, abs=0.26)
    assert math.isnan(best_mean_iou([], []))


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([row(r2=0.5), row(r2=0.9)], 1),
        ([row(20, r2=0.91), row(5, r2=0.90)], 1),
        ([row(r2=0.9, iou=0.1), row(r2=0.3, iou=0.4)], 1),
        ([row(r2=0.9, agreement=0.5), row(r2=0.3)], 1),
        ([row(r2=0.9, stability=0.2), row(r2=0.3)], 1),
        ([row(r2=0.9, agreement=0.2), row(r2=0.3, agreement=0.1)], 0),
        ([row(r2=0.9, stability=NAN), row(r2=0.3)], 0),
    ],
)
def test_suggestion(rows: list[SweepRow], chosen: int) -> None:
    assert suggest(rows)[0] == chosen


def test_reasons_say_what_is_not_good() -> None:
    _, reasons = suggest([row(agreement=0.4, stability=0.3)])
    assert "take care" in reasons[0]
    assert "depend on the seed" in reasons[1]
    assert "was not judged" in reasons[2]
    assert "IoU 0.40" in suggest([row(iou=0.4)])[1][2]
