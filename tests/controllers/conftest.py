import numpy as np
import pytest

from napari_semxai.controllers.jobs import Jobs
from napari_semxai.state.session import Session
from napari_semxai.types import SemImage
from tests.controllers.desk import Desk, make_images


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def jobs(session):
    """Jobs whose results are handed over in their own thread, as soon as they are there."""
    jobs = Jobs(lambda function: function(), say=session.say)
    yield jobs
    jobs.close()


@pytest.fixture
def image():
    gray = np.random.default_rng(0).integers(80, 120, (96, 128)).astype(np.uint8)
    return SemImage("a", gray, gray)


@pytest.fixture
def folder(tmp_path):
    """A folder of five images."""
    make_images(tmp_path)
    return tmp_path


@pytest.fixture
def desk(folder):
    """A desk at which nothing is open yet."""
    desk = Desk(folder)
    yield desk
    desk.close()
