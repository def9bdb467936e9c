import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.edge_strips import (
    edge_strips,
    framed,
    picture_border,
    within,
)
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.algorithms.synthetic.wide.scene import draw_bar


@pytest.fixture
def image():
    return np.random.default_rng(3).normal(100, 6, (120, 160)).clip(0, 255).astype(np.uint8)


def test_a_plain_image_has_none(image):
    assert edge_strips(image) == (0, 0, 0, 0)


def test_dark_noisy_strips_are_measured_on_every_side(image):
    noise = np.random.default_rng(4).integers(2, 12, image.shape, dtype=np.uint8)
    image[:2], image[-4:], image[:, :1], image[:, -3:] = (
        noise[:2],
        noise[-4:],
        noise[:, :1],
        noise[:, -3:],
    )
    assert edge_strips(image) == (2, 3, 4, 1)


def test_an_info_bar_with_text_is_a_strip(image):
    image[-20:] = 0
    image[-14:-6, 10:60:2] = 255
    assert edge_strips(image) == (0, 0, 20, 0)


def test_a_constant_bright_bar_is_a_strip(image):
    image[:9] = 255
    assert edge_strips(image) == (9, 0, 0, 0)


def test_a_constant_or_black_image_is_the_picture_itself(image):
    assert edge_strips(np.full_like(image, 7)) == (0, 0, 0, 0)
    assert edge_strips(np.zeros_like(image)) == (0, 0, 0, 0)


def test_a_dark_image_has_none(image):
    assert edge_strips(image // 12) == (0, 0, 0, 0)


@pytest.mark.parametrize("upside_down", [False, True])
def test_bars_of_makers_are_found_to_the_line(upside_down):
    exact = 0
    for seed in range(16):
        gray = scene_of_class(1 + seed % 4, seed).image.astype(np.float32)
        bar = draw_bar(np.random.default_rng(seed), gray)[0].mask
        image = np.rint(gray.clip(0, 255)).astype(np.uint8)
        if upside_down:
            image, bar = image[::-1], bar[::-1]
        border = picture_border(image)
        assert not within(bar, border).any()
        if bar[0].any():
            continue
        exact += within(~bar, (0, 0, border[2], 0)).shape[0] == (~bar).all(axis=1).sum()
    assert upside_down or exact >= 14


def test_a_picture_without_a_bar_keeps_all_but_its_strips(image):
    for seed in range(25):
        scene = scene_of_class(1 + seed % 5, 100 + seed)
        same = picture_border(scene.image) == edge_strips(scene.image)
        assert same or "info_bar" in {region.kind for region in scene.regions}
    assert picture_border(image, 100) == (0, 0, 20, 0)
    image[90:100] = 3
    assert picture_border(image, 100) == (0, 0, 30, 0)
    assert picture_border(image[:30, :30]) == (0, 0, 0, 0)


def test_what_lies_inside_a_border_is_put_back(image):
    border = (1, 2, 3, 4)
    inner = within(image, border)
    np.testing.assert_array_equal(inner, image[1:-3, 4:-2])
    back = framed(inner[None], border)[0]
    assert back.shape == image.shape
    np.testing.assert_array_equal(within(back, border), inner)
    assert back.sum() == inner.sum()


def test_colour_images_are_taken(image):
    image[:, -3:] = 4
    assert edge_strips(np.stack([image] * 3, axis=2)) == (0, 3, 0, 0)
