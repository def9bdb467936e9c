import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips


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


def test_colour_images_are_taken(image):
    image[:, -3:] = 4
    assert edge_strips(np.stack([image] * 3, axis=2)) == (0, 3, 0, 0)
