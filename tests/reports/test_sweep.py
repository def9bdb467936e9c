from functools import partial

import numpy as np

from napari_semxai.algorithms.algorithm1.ground_truth import defect_in
from napari_semxai.algorithms.algorithm1.sweep import sweep_image, sweep_set
from napari_semxai.reports.figures import COLORS, save_figure
from napari_semxai.reports.sweep import _shown_winners, sweep_figure
from napari_semxai.types import LeftOut
from tests.pools import pool_of, scene_masks

ALPHAS, BETAS = np.linspace(0, 8, 5), np.linspace(0, 1, 6)
FIND = partial(defect_in, connectivity=8, left_out=LeftOut((0, 3, 0, 0)))


def test_pictures_of_one_image_and_of_many(tmp_path):
    masks = scene_masks()
    plane = sweep_image(pool_of(masks), masks[1], ALPHAS, BETAS, FIND)
    one = sweep_figure(sweep_set([plane], ALPHAS, BETAS), plane)
    assert [axes.get_title() for axes in one.axes[:3]] == ["Dice", "IoU", "winning candidate"]
    many = sweep_figure(sweep_set([plane] * 3, ALPHAS, BETAS))
    shown = many.axes[0].collections[0].get_array()
    np.testing.assert_array_equal(np.asarray(shown).reshape(plane.dice.shape), plane.dice)
    shown = many.axes[5].collections[0].get_array()
    np.testing.assert_array_equal(np.asarray(shown).reshape(plane.iou.shape), plane.iou)
    assert ">Dice, worst image</text>" in save_figure(many, tmp_path / "a.svg").read_text()


def test_no_two_winners_look_alike():
    winners = np.arange(-1, 29).reshape(6, 5)
    winners[0] = 3
    names, places = _shown_winners(winners)
    assert names[0] == "candidate 3"
    assert names[-1] == "other candidates"
    assert len(names) == len(COLORS) + 1
    assert (places[winners == 3] == 0).all()
    assert set(places[winners > 20]) == {len(COLORS)}
