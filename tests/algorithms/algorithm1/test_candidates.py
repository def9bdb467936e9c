import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import nms

from napari_semxai.algorithms.algorithm1.candidates import (
    filter_candidates,
    non_maximum_suppression,
)
from napari_semxai.types import FilterSettings
from tests.pools import random_boxes, random_pool


@given(st.integers(0, 60), st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
@settings(deadline=None)
def test_suppression_is_torchvisions(count, seed, threshold):
    boxes = random_boxes(count, seed)
    # Few distinct scores, so that ties occur.
    scores = np.random.default_rng(seed).integers(0, 8, count).astype(np.float32) / 8
    inclusive = torch.tensor(boxes - [0, 0, 1, 1], dtype=torch.float32)
    expected = nms(inclusive, torch.from_numpy(scores), threshold).numpy()
    np.testing.assert_array_equal(non_maximum_suppression(boxes, scores, threshold), expected)


def test_thresholds_of_zero_filter_nothing():
    pool = random_pool(50, 1)
    assert len(filter_candidates(pool, FilterSettings(0.0, 0.0, 1.0, 1.0))) == 50


def test_thresholds_select_as_the_generator_does():
    pool = random_pool(200, 2)
    kept = filter_candidates(pool, FilterSettings(0.4, 0.8, 1.0, 1.0))
    stability = pool.stability(1.0)
    expected = np.flatnonzero((pool.predicted_iou > 0.4) & (stability >= 0.8))
    np.testing.assert_array_equal(np.sort(kept), expected)
    assert (np.diff(pool.predicted_iou[kept]) <= 0).all()


@pytest.mark.slow
def test_a_threshold_change_over_3072_masks_is_live():
    pool = random_pool(3072, 3)
    times = []
    for threshold in np.linspace(0, 0.4, 9):
        start = time.perf_counter()
        filter_candidates(pool, FilterSettings(threshold, 0.0, 1.0, 0.7))
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.05
