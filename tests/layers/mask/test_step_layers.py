import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.layers.mask.comparison import SideBySide
from tests.open_images import make_image, open_image


@pytest.fixture
def references(viewer, session, layers):
    references = layers.references
    open_image(session, make_image())
    session.update_image(pixel_size=2e-9)
    return references


def difference(shape, value=7):
    strength = np.full(shape, value, np.float32)
    parts = np.zeros(shape, np.int32)
    return Difference(strength, parts, 0.9, picture=np.full(shape, value, np.uint8), name="g.png")


def test_both_lie_on_the_picture_below_the_mask(viewer, session, layers, references):
    found = difference(session.image.gray.shape)
    session.difference = found
    assert "reference" not in viewer.layers
    active = viewer.layers.selection.active
    references.show(frozenset(("reference", "difference")))
    names = [layer.name for layer in viewer.layers]
    assert names == ["a", "reference", "difference", "defect mask"]
    assert viewer.layers.selection.active is active is layers.mask_layer
    picture = viewer.layers["a"]
    for name, values in (("reference", found.picture), ("difference", found.strength)):
        layer = viewer.layers[name]
        np.testing.assert_array_equal(layer.data, values)
        np.testing.assert_array_equal(layer.scale, picture.scale)
        assert layer.units == picture.units
    references.show(frozenset(("difference",)))
    assert not viewer.layers["reference"].visible
    assert viewer.layers["difference"].visible


def test_the_next_image_shows_its_own(viewer, session, references):
    references.show(frozenset(("reference",)))
    session.difference = difference(session.image.gray.shape)
    layer = viewer.layers["reference"]
    session.difference = None
    assert not layer.visible
    open_image(session, make_image("b", (64, 80)))
    session.difference = difference((64, 80), 9)
    assert layer.visible
    assert layer.data.shape == (64, 80)
    assert (layer.data == 9).all()
    names = [layer.name for layer in viewer.layers if layer.visible]
    assert names == ["b", "reference", "defect mask"]
    viewer.layers.remove(layer)
    session.difference = difference((64, 80), 3)
    assert (viewer.layers["reference"].data == 3).all()


def test_one_key_shows_the_reference_in_the_place_of_the_image(viewer, session, references):
    references.blink()
    assert session.message.startswith("No reference to show: choose one")
    session.difference = difference(session.image.gray.shape)
    references.blink()
    assert viewer.layers["reference"].visible
    references.blink()
    assert not viewer.layers["reference"].visible
    empty = np.empty((0, 0), np.float32), np.empty((0, 0), np.int32)
    session.difference = Difference(*empty, 0.2, "the reference does not match")
    references.blink()
    assert session.message.endswith("no reference: the reference does not match")
    assert not viewer.layers["reference"].visible


def test_the_reference_stands_beside_the_image(viewer, session, layers, references):
    beside = SideBySide(viewer, session, layers)
    beside.toggle()
    rows, columns = session.image.gray.shape
    layer = viewer.layers["without mask"]
    assert layer.data.shape == (rows, columns, 3)
    session.difference = difference(session.image.gray.shape)
    assert layer.data.shape[1] > 2 * columns
    assert (layer.data[:, -columns:] == 7).all()
    session.difference = None
    assert layer.data.shape == (rows, columns, 3)
    beside.release()
