"""Size of a mask and turns of an image in the record; the rest is tested with the command."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_semxai.cli.works.record import image_values, size_of
from napari_semxai.store.images.read import image_from_array


def test_size() -> None:
    mask = np.zeros((20, 30), bool)
    assert (size_of(mask).area, size_of(mask).height, size_of(mask).width) == (0, 0, 0)
    mask[3:9, 10:14] = True
    mask[15, 29] = True
    size = size_of(mask)
    assert (size.area, size.height, size.width) == (25, 13, 20)


def test_a_record_says_that_the_image_was_turned() -> None:
    image = image_from_array(np.zeros((4, 5), np.uint8), "a")
    assert "turned_from_orientation" not in image_values(image, "a.jpg")
    turned = image_values(replace(image, turned=6), "a.jpg")
    assert turned["turned_from_orientation"] == 6
