from dataclasses import replace

import numpy as np
import pint
import pytest
from napari.layers import Image, Points

from napari_semxai.layers.placement import Placement, put

UM = (pint.get_application_registry().Unit("um"),) * 2
NM = (pint.get_application_registry().Unit("nm"),) * 2
WAYS = {
    "plain": {},
    "calibrated": {"scale": (0.0025, 0.0025), "units": "um"},
    "rotated": {"scale": (2, 2), "rotate": 30},
    "sheared": {"shear": [0.3], "translate": (5, -7)},
    "affine": {"affine": [[1.2, 0.3, 4], [-0.2, 0.9, 1], [0, 0, 1]], "rotate": 10},
}
PLACES = np.array([(0, 0), (9, 0), (3, 4)])


def image(**given):
    return Image(np.zeros((10, 12), np.uint8), **given)


def world(layer, places=PLACES):
    return np.array([layer.data_to_world(place)[-2:] for place in places])


@pytest.mark.parametrize("way", WAYS)
def test_a_place_tells_where_pixels_lie(way):
    layer = image(**WAYS[way])
    place = Placement.of(layer)
    np.testing.assert_allclose(place.world(PLACES), world(layer))
    np.testing.assert_allclose(place.pixel(world(layer)), PLACES, atol=1e-9)
    assert place.is_default == (way == "plain")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", WAYS)
def test_any_layer_can_be_put_anywhere(way, before):
    target, layer = image(**WAYS[way]), image(**WAYS[before])
    stack = Image(np.zeros((3, 10, 12), np.uint8), scale=(7, 1, 1))
    clicks = Points(np.zeros((0, 2)))
    for moved in (layer, stack, clicks):
        put(moved, Placement.of(target))
        np.testing.assert_allclose(world(moved), world(target), atol=1e-9)
        assert moved.units[-2:] == target.units
        np.testing.assert_allclose(moved.scale[-2:], target.scale)
    assert stack.scale[0] == 7


def test_what_a_person_set_stays_set():
    layer = image(rotate=30, translate=(1, 2))
    put(layer, Placement.of(layer).sized(2e-9))
    np.testing.assert_allclose(layer.rotate, image(rotate=30).rotate)
    np.testing.assert_allclose(layer.translate, (1, 2))
    np.testing.assert_allclose(world(layer), 2e-3 * world(image(rotate=30, translate=(1, 2))))


@pytest.mark.parametrize(
    ("given", "metres"),
    [
        ({}, None),
        ({"scale": (0.5, 0.5)}, None),
        ({"scale": (0.0025, 0.0025), "units": "um"}, 2.5e-9),
        ({"scale": (4, 4), "units": "nm", "rotate": 20}, 4e-9),
        ({"scale": (4, 5), "units": "nm"}, None),
        ({"scale": (4, 4), "units": "s"}, None),
    ],
)
def test_pixel_size_of_lengths(given, metres):
    found = Placement.of(image(**given)).pixel_size
    assert found == (metres if metres is None else pytest.approx(metres))


def test_a_size_that_is_known_changes_nothing():
    place = Placement.of(image(scale=(4, 4), units="nm"))
    assert place.sized(4e-9) is place
    assert Placement(scale=(2.0, 2.0)).sized(None).scale == (2, 2)
    assert place.sized(None) == Placement()
    assert place.sized(8e-9) == Placement((0.008, 0.008), UM)


def test_lengths_stay_and_pixels_lie_on_pixels():
    current = Placement((0.002, 0.002), UM)
    nanometres = Placement((4.0, 4.0), NM).shifted((10, 20))
    found = nanometres.beside(current)
    assert found.units == UM
    np.testing.assert_allclose(found.world(PLACES), nanometres.world(PLACES) / 1000)
    # A part of the image, half as fine, cut out at row 10.
    part = Placement((2.0, 2.0)).shifted((5, 0))
    np.testing.assert_allclose(part.beside(current).world((1, 1)), (12 * 0.002, 2 * 0.002))
    # Where no length is known, a picture of known size counts its own pixels.
    np.testing.assert_allclose(nanometres.beside(Placement()).world((0, 0)), (10, 20))


def test_stacks_agree_about_their_other_axes():
    seconds = pint.get_application_registry().Unit("s")
    stack = replace(Placement(), leading=(seconds, UM[0]))
    pixel = Placement().units[0]
    assert stack.beside(Placement()).leading == (pixel, pixel)
    assert stack.beside(replace(Placement(), leading=(seconds,))).leading == (pixel, seconds)
    three = replace(Placement(), leading=(seconds,) * 3)
    assert stack.beside(three).leading == (seconds, seconds)
