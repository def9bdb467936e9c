"""Sample data as napari gets it."""

from __future__ import annotations

import numpy as np
from napari.layers import Layer

from napari_semxai.sample_data import sample_image, sample_scene, sample_six_classes


def test_single_image_with_its_exact_mask() -> None:
    (image, image_options, image_type), (mask, mask_options, mask_type) = sample_image()
    assert (image_type, mask_type) == ("image", "labels")
    assert image.shape == mask.shape == (480, 480)
    assert image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}
    assert image_options["visible"]
    assert not mask_options["visible"]
    np.testing.assert_array_equal(mask, sample_scene().defect)


def test_the_same_every_time() -> None:
    np.testing.assert_array_equal(sample_scene().image, sample_scene().image)


def test_the_sample_has_the_trap_of_real_images() -> None:
    scene = sample_scene()
    assert scene.image[:, -3:].mean() < 16
    assert not scene.defect[:, -3:].any()


def test_six_classes() -> None:
    layers = sample_six_classes()
    assert [kind for _, _, kind in layers] == ["image", "labels"] * 6
    images, masks = layers[::2], layers[1::2]
    assert [options["metadata"]["class"] for _, options, _ in images] == [6, 5, 4, 3, 2, 1]
    assert [bool(mask.any()) for mask, _, _ in masks] == [False] + [True] * 5
    for (_, options, _), (mask, _, _) in zip(images, masks, strict=True):
        np.testing.assert_array_equal(options["metadata"]["exact_mask"], mask.astype(bool))
    assert [options["visible"] for _, options, _ in images] == [False] * 5 + [True]


def test_napari_can_make_the_layers() -> None:
    made = [Layer.create(*layer) for layer in sample_six_classes()]
    assert made[-1].get_color(1)[:3].max() > 0.5
    assert made[-1].data.dtype == np.uint8
