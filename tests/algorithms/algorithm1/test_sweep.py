import re
from functools import partial

import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask, stage_two
from napari_semxai.algorithms.algorithm1.ground_truth import defect_in, ground_truth
from napari_semxai.algorithms.algorithm1.sweep import (
    ImagePlane,
    advice,
    plateau_middle,
    sweep_image,
    sweep_set,
)
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import AlgorithmSettings, LeftOut
from tests.pools import pool_of, scene_masks

ALPHAS, BETAS = np.linspace(0, 8, 5), np.linspace(0, 1, 6)
SHAPE = (6, 5)
FIND = partial(defect_in, connectivity=8, left_out=LeftOut((0, 3, 0, 0)))


def plane_of(dice):
    return ImagePlane(np.zeros(SHAPE, int), np.asarray(dice, float), np.zeros(SHAPE))


def test_the_robust_variant_is_swept_too():
    masks = scene_masks()
    gray = np.where(masks[1], 180, 90).astype(np.uint8)
    image, border = image_from_array(gray, "scene"), LeftOut((0, 3, 0, 0))
    find = stage_two(AlgorithmSettings(), gray, border, pool_of(masks))
    plane = sweep_image(pool_of(masks), masks[1], ALPHAS, BETAS, find)
    for row, beta in enumerate(BETAS):
        for column, alpha in enumerate(ALPHAS):
            settings = AlgorithmSettings(alpha, beta)
            expected = automatic_mask(pool_of(masks), image, settings, border)
            assert plane.dice[row, column] == scores(expected.mask, masks[1]).dice


def test_every_point_equals_algorithm_1():
    masks = scene_masks()
    truth = np.roll(masks[1], 3, axis=1)
    plane = sweep_image(pool_of(masks), truth, ALPHAS, BETAS, FIND)
    assert plane.dice.shape == plane.winners.shape == SHAPE
    for row, beta in enumerate(BETAS):
        for column, alpha in enumerate(ALPHAS):
            expected = ground_truth(masks, alpha=alpha, beta=beta, ignore_border=(0, 3, 0, 0))
            own = scores(expected.mask, truth)
            assert plane.dice[row, column] == own.dice
            assert plane.iou[row, column] == own.iou
            winner = -1 if expected.winner is None else expected.winner
            assert plane.winners[row, column] == winner
    assert len(np.unique(plane.winners)) > 1


def test_the_middle_of_a_plateau_is_chosen():
    plane = np.zeros((7, 9))
    plane[0, 0] = 1
    plane[2:7, 3:8] = 1
    assert plateau_middle(plane) == (4, 5)


def test_leaving_out_scores_where_the_others_point():
    one, two = np.zeros(SHAPE), np.zeros(SHAPE)
    one[1, 1], two[4, 3] = 1.0, 0.8
    result = sweep_set([plane_of(one), plane_of(one), plane_of(two)], ALPHAS, BETAS)
    assert result.best == (1, 1)
    assert (result.alpha, result.beta) == (ALPHAS[1], BETAS[1])
    assert result.left_out.tolist() == [1.0, 1.0, 0.0]
    assert result.worst[1, 1] == 0
    assert result.median[1, 1] == 1
    assert result.mean[1, 1] == pytest.approx(2 / 3)
    assert (result.median_iou[1, 1], result.worst_iou[1, 1]) == (0, 0)


def test_leaving_out_says_where_the_others_point():
    one, two = np.zeros(SHAPE), np.zeros(SHAPE)
    one[1, 1], two[4, 3] = 1.0, 0.8
    result = sweep_set([plane_of(one), plane_of(two)], ALPHAS, BETAS)
    assert result.left_out.tolist() == [0.0, 0.0]
    assert result.left_out_at.tolist() == [[ALPHAS[3], BETAS[4]], [ALPHAS[1], BETAS[1]]]


def test_the_interval_is_that_of_the_mean():
    rng = np.random.default_rng(0)
    dice = rng.normal(0.6, 0.1, 100)
    result = sweep_set([plane_of(np.full(SHAPE, value)) for value in dice], ALPHAS, BETAS)
    low, high = result.interval
    assert (high - low) / 2 == pytest.approx(1.96 * 0.1 / 10, rel=0.2)
    assert low < dice.mean() < high
    assert "100 images" in advice(result)
    assert "hint" not in advice(result)


def test_one_image_is_only_a_hint():
    result = sweep_set([plane_of(np.ones(SHAPE))], ALPHAS, BETAS)
    assert np.isnan(result.left_out).all()
    assert result.left_out_at.shape == (1, 2)
    assert np.isnan(result.left_out_at).all()
    words = advice(result)
    assert "one image: take it as a hint" in words
    assert "interval" not in words


def test_ties_are_told_as_ties():
    flat = sweep_set([plane_of(np.full(SHAPE, 0.4))] * 12, ALPHAS, BETAS)
    assert flat.tied.all()
    words = advice(flat)
    assert f"all {flat.mean.size} points are as good" in words
    assert "resampled" not in words
    plateau = np.zeros(SHAPE)
    plateau[1:3, 1:4] = 0.9
    words = advice(sweep_set([plane_of(plateau)] * 12, ALPHAS, BETAS))
    assert f"6 of {plateau.size} points are as good" in words
    assert f"α {ALPHAS[1]:g} to {ALPHAS[3]:g}, β {BETAS[1]:g} to {BETAS[2]:g}" in words
    peak = np.zeros(SHAPE)
    peak[1, 1] = 0.9
    words = advice(sweep_set([plane_of(peak)] * 12, ALPHAS, BETAS))
    assert "as good" not in words
    assert "resampled images choose" in words


def test_alpha_and_beta_are_told_with_three_decimals_at_most():
    plateau = np.zeros(SHAPE)
    plateau[1:3, 1:4] = 0.9
    planes = [plane_of(plateau)] * 12
    words = advice(sweep_set(planes, ALPHAS + 10 + 1 / 3, BETAS + 0.483333))
    assert re.match(r"α \d+\.\d{3}, β \d\.\d{1,3}: ", words)
    assert re.search(r"as good, α \d+\.\d{3} to \d+\.\d{3}, β \d\.\d{1,3} to \d\.\d{1,3}:", words)


def test_a_point_snaps_to_the_plane():
    result = sweep_set([plane_of(np.ones(SHAPE))], ALPHAS, BETAS)
    assert result.nearest(2.9, 0.51) == (2.0, BETAS[3])
    assert result.nearest(-5, 9) == (0.0, 1.0)
