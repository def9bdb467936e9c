from functools import partial

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.algorithm1.ground_truth import defect_in, ground_truth
from napari_semxai.algorithms.algorithm1.sweep import sweep_image, sweep_set
from napari_semxai.reports.figures import (
    COLORS,
    _shown_winners,
    concepts_figure,
    new_figure,
    overlay_figure,
    png_bytes,
    save_figure,
    save_figures,
    steps_figure,
    sweep_figure,
)
from napari_semxai.types import InputError, LeftOut
from tests.pools import pool_of, scene_masks

MASKS = scene_masks()
GRAY = np.where(MASKS[1], 200, 90).astype(np.uint8)
ALPHAS, BETAS = np.linspace(0, 8, 5), np.linspace(0, 1, 6)
FIND = partial(defect_in, connectivity=8, left_out=LeftOut((0, 3, 0, 0)))


@pytest.mark.parametrize(("pixel", "words"), [(1e-9, "20 nm"), (5e-8, "1 µm")])
def test_the_steps_with_a_scale_bar(tmp_path, pixel, words):
    truth = ground_truth(MASKS, ignore_border=(0, 3, 0, 0))
    figure = steps_figure(GRAY, pool_of(MASKS), truth, pixel)
    shown = figure.axes[4].images[1].get_array()
    np.testing.assert_array_equal(shown[..., 3] > 0, truth.mask)
    text = save_figure(figure, tmp_path / "a.svg").read_text()
    assert words in text
    assert "(e) mask" in text


def test_a_heat_map_with_its_colour_bar(tmp_path):
    figure = overlay_figure(GRAY, MASKS[1] * 0.7, title="Grad-CAM", mask=MASKS[1])
    assert figure.axes[0].images[1].get_clim() == (0, 0.7)
    assert ">relevance</text>" in save_figure(figure, tmp_path / "a.svg").read_text()
    overlay_figure(GRAY, np.zeros(GRAY.shape), title="nothing", mask=np.zeros_like(MASKS[1]))


def test_concepts_with_a_legend():
    colors = (250, 0, 81), (39, 205, 255)
    found = [("concept 1", MASKS[1], colors[0]), ("concept 2", MASKS[2], colors[1])]
    figure = concepts_figure(GRAY, found)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "concept 1",
        "concept 2",
    ]
    # The most important one lies on top.
    lower, upper = (shown.get_array() for shown in figure.axes[0].images[1:])
    np.testing.assert_allclose(upper[MASKS[1]][0, :3] * 255, colors[0], atol=1e-3)
    np.testing.assert_allclose(lower[MASKS[2]][0, :3] * 255, colors[1], atol=1e-3)


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
    assert names[0] == "candidate 4"
    assert names[-1] == "other candidates"
    assert len(names) == len(COLORS) + 1
    assert (places[winners == 3] == 0).all()
    assert set(places[winners > 20]) == {len(COLORS)}


@pytest.fixture
def figure():
    figure = new_figure(2, 1)
    figure.subplots().set_title("Dice")
    return figure


def test_text_stays_text(tmp_path, figure):
    svg, pdf = save_figures(figure, tmp_path / "a.b", (".svg", ".pdf"))
    assert svg.name == "a.b.svg"
    assert ">Dice</text>" in svg.read_text()
    assert b"/Font" in pdf.read_bytes()


def test_pictures_have_300_dpi(tmp_path, figure):
    with Image.open(save_figure(figure, tmp_path / "a.png")) as picture:
        assert picture.size == (600, 300)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, figure, suffix):
    one, two = (save_figure(figure, tmp_path / f"{name}{suffix}") for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_other_formats_are_refused(tmp_path, figure):
    with pytest.raises(InputError, match=r"a\.gif: figures are saved as \.svg"):
        save_figure(figure, tmp_path / "a.gif")


def test_screens_get_a_png(figure):
    assert png_bytes(figure).startswith(b"\x89PNG")
