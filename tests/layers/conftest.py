"""A viewer without a window, and the layers of a session in it."""

import pytest
from napari.components import ViewerModel

from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.session import Session
from tests.doubles import Edit


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def edit():
    return Edit()


@pytest.fixture
def layers(viewer, session, edit):
    layers = SessionLayers(viewer, session, edit)
    yield layers
    layers.release()
