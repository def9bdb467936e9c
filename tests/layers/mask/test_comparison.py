import numpy as np
import pytest
from napari.components import ViewerModel

from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.controllers.scores.evaluate import EvaluateController
from napari_semxai.layers.mask.comparison import Comparison, SideBySide, side_by_side
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.review import OtherMasks
from napari_semxai.state.session import Session
from tests.doubles import Edit
from tests.open_images import automatic_of, make_image, open_image
from tests.pools import scene_masks


@pytest.fixture
def comparison(viewer, session, layers):
    comparison = Comparison(viewer, layers, EvaluateController(session, None))
    yield comparison
    comparison.release()


@pytest.fixture
def truth(viewer, session, layers, comparison):
    open_image(session, make_image())
    layer = viewer.add_labels(scene_masks()[1].astype(np.uint8), name="expert")
    comparison.set_truth(layer)
    return layer


def test_readout_follows_sliding_painting_and_undo(session, layers, truth):
    assert session.readout.scores.dice == 0
    session.automatic = automatic_of()
    assert session.readout.scores.dice == 1
    for change in (
        lambda: layers.mask_layer.paint((10, 10), 1),
        lambda: layers.mask_layer.paint((50, 60), 0),
        lambda: layers.mask_layer.undo(),
        lambda: truth.paint((45, 60), 0),
        lambda: truth.undo(),
    ):
        change()
        assert session.readout.scores == scores(layers.mask_layer.data, truth.data)
    assert (session.readout.prediction, session.readout.truth) == ("defect mask", "expert")


def test_a_truth_of_another_size_gives_no_readout(session, viewer, comparison, truth):
    comparison.set_truth(viewer.add_labels(np.zeros((5, 5), np.uint8)))
    assert session.readout is None


def test_a_deleted_layer_is_let_go(session, viewer, comparison, truth):
    viewer.layers.remove(truth)
    assert comparison.truth is None
    assert session.readout is None


def test_a_mask_compared_with_itself_stays_perfect(session, layers, comparison, truth):
    comparison.set_truth(layers.mask_layer)
    layers.mask_layer.paint((10, 10), 1)
    assert session.readout.scores.dice == 1
    assert session.readout.scores.tp == (layers.mask_layer.data != 0).sum()


def test_the_next_image_is_compared_with_its_own_mask(session, layers, comparison, truth):
    open_image(session, make_image("b"))
    assert comparison.prediction is layers.mask_layer
    layers.mask_layer.paint((50, 60), 1)
    assert session.readout.scores == scores(layers.mask_layer.data, truth.data)


def test_truth_painted_to_another_shape_ends_the_readout(session, comparison, truth):
    truth.data = np.zeros((7, 7), np.uint8)
    assert session.readout is None


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
    alone = viewer.scene.camera.zoom
    session.others = OtherMasks({"bert": mask}, {})
    assert viewer.scene.camera.zoom < alone
    layer = viewer.layers["differences"]
    row, column = layer.data_to_world((0, 0))
    assert row == pytest.approx(0)
    assert 1 < column / (image.gray.shape[1] * 2e-3) < 1.1
    assert viewer.layers.selection.active is layers.mask_layer
    session.others = None
    assert not layer.visible
    # All of the image is seen again, as large as before; what somebody zoomed to stays.
    assert viewer.scene.camera.zoom == pytest.approx(alone)
    session.others = OtherMasks({"bert": mask}, {})
    viewer.scene.camera.zoom = looked_at = 3 * alone
    session.others = None
    assert viewer.scene.camera.zoom == looked_at
    session.others = OtherMasks({"bert": mask, "carl": mask}, {})
    assert layer.visible
    assert layer.data.shape[1] > 2 * image.gray.shape[1]
    viewer.layers.remove(layer)
    session.others = OtherMasks({"bert": mask}, {})
    assert viewer.layers["differences"].visible
    beside.release()
    layers.release()


def test_all_of_image_and_reference_is_in_view_beside_the_mask(viewer, session, layers):
    beside = SideBySide(viewer, session, layers)
    open_image(session, make_image())
    for _ in range(2):
        beside.toggle()
    shape = session.image.gray.shape
    session.difference = Difference(
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
        0.9,
        picture=np.zeros(shape, np.uint8),
    )
    beside.toggle()
    width = viewer.layers["without mask"].data.shape[1]
    assert width > 2 * shape[1]
    seen = viewer.canvas.size[1] / viewer.scene.camera.zoom
    assert viewer.scene.camera.center[-1] + seen / 2 > shape[1] + width
    beside.release()


def test_the_image_without_its_mask_beside_it(viewer, session, layers):
    beside = SideBySide(viewer, session, layers)
    open_image(session, make_image())
    beside.toggle()
    layer = viewer.layers["without mask"]
    np.testing.assert_array_equal(layer.data[..., 0], session.image.gray)
    assert layers.layout.is_fitted
    wide = viewer.scene.camera.center[-1]
    # The next image, of another size, has its own beside it; others' masks go before.
    open_image(session, make_image("b", (64, 80)))
    np.testing.assert_array_equal(layer.data[..., 0], session.image.gray)
    assert layer.visible
    assert layers.layout.is_fitted
    assert viewer.scene.camera.center[-1] < wide
    session.others = OtherMasks({"bert": np.ones((64, 80), bool)}, {})
    assert layer.name == "differences"
    session.others = None
    assert layer.name == "without mask"
    assert layer.visible
    beside.toggle()
    assert not layer.visible
    open_image(session, make_image("c"))
    assert not layer.visible
    beside.release()
