import numpy as np
import pytest
from napari.components import ViewerModel

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.controllers.scores.evaluate import EvaluateController
from napari_semxai.layers.mask.comparison import Comparison
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.session import Session
from tests.layers.mask.test_session_layers import Edit, automatic_of, make_image
from tests.open_images import open_image
from tests.pools import scene_masks


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def layers(viewer, session):
    layers = SessionLayers(viewer, session, Edit())
    yield layers
    layers.release()


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
