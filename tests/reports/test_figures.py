import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.reports.figures import (
    concepts_figure,
    overlay_figure,
    save_figure,
    steps_figure,
)
from tests.pools import pool_of, scene_masks

MASKS = scene_masks()
GRAY = np.where(MASKS[1], 200, 90).astype(np.uint8)


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
