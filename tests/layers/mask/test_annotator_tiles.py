import numpy as np
import pytest
from napari.components import ViewerModel

from napari_semxai.layers.mask.annotator_tiles import SideBySide, side_by_side
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.review import OtherMasks
from napari_semxai.state.session import Session
from tests.layers.mask.test_session_layers import Edit, make_image
from tests.open_images import open_image
from tests.pools import scene_masks


def test_differences_have_colours_and_the_rest_is_the_image():
    gray = np.full((60, 50), 100, np.uint8)
    own, theirs = np.zeros((2, 60, 50), bool)
    own[30:40, 10:30] = theirs[30:40, 20:40] = True
    picture = side_by_side(gray, own, {"bert": theirs, "carl": own})
    assert picture.shape == (60, 102, 3)
    colors = {tuple(picture[35, column]) for column in (15, 25, 35)}
    assert len(colors) == 3
    assert (100, 100, 100) not in colors
    assert tuple(picture[50, 5]) == (100, 100, 100)
    np.testing.assert_array_equal(picture[35, 62:82], np.tile(picture[35, 25], (20, 1)))
    # The names are drawn at the top.
    assert (picture[:15, :50] > 180).any()


def test_the_picture_lies_beside_the_image_while_others_are_shown():
    viewer, session = ViewerModel(), Session()
    layers = SessionLayers(viewer, session, Edit())
    beside = SideBySide(viewer, session, layers)
    image = make_image()
    open_image(session, image)
    session.update_image(pixel_size=2e-9)
    mask = scene_masks()[1]
    session.others = OtherMasks({"bert": mask}, {})
    layer = viewer.layers["differences"]
    row, column = layer.data_to_world((0, 0))
    assert row == pytest.approx(0)
    assert 1 < column / (image.gray.shape[1] * 2e-3) < 1.1
    assert viewer.layers.selection.active is layers.mask_layer
    session.others = None
    assert not layer.visible
    session.others = OtherMasks({"bert": mask, "carl": mask}, {})
    assert layer.visible
    assert layer.data.shape[1] > 2 * image.gray.shape[1]
    viewer.layers.remove(layer)
    session.others = OtherMasks({"bert": mask}, {})
    assert viewer.layers["differences"].visible
    beside.release()
    layers.release()
