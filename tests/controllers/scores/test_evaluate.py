"""A truth that is loaded from a file; live scores are tested in `test_metrics`."""

import threading

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.masks.foreground import parse_rule
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.scores.evaluate import EvaluateController
from tests.open_images import open_image


@pytest.fixture
def load(session, image, tmp_path):
    """Load pixels as the truth of the open image, and return it with what was said."""
    open_image(session, image)
    done, said = threading.Event(), []

    def say(message):
        said.append(message)
        done.set()

    jobs = Jobs(lambda function: function(), say=say)
    controller = EvaluateController(session, jobs)
    session.events.loaded_truth.connect(lambda _: done.set())
    session.events.message.connect(lambda _: done.set())

    def load(pixels, *rule, **ask):
        Image.fromarray(pixels).save(tmp_path / "truth.png")
        done.clear()
        controller.load_truth(tmp_path / "truth.png", *rule, **ask)
        assert done.wait(10)
        return session.loaded_truth, said

    yield load
    jobs.close()


@pytest.mark.parametrize("value", [1, 2, 255])
def test_a_truth_of_another_program(load, image, value):
    mask = np.zeros(image.gray.shape, np.uint8)
    mask[10:20, 30:50] = value
    truth, said = load(mask)
    np.testing.assert_array_equal(truth.mask, mask > 0)
    assert (truth.name, said) == ("truth", [])


def test_a_truth_that_could_be_two_things_is_none(load, image):
    mask = np.full(image.gray.shape, 255, np.uint8)
    mask[10:20, 30:50] = 0
    truth, (said,) = load(mask)
    assert truth is None
    assert "black may be the defect; save it as 0 and 255" in said


def test_a_truth_that_could_be_two_things_is_asked_about(load, session, image):
    mask = np.full(image.gray.shape, 255, np.uint8)
    mask[10:20, 30:50] = 0
    asked = []

    def ask(why):
        asked.append(why)
        session.message = "asked"

    load(mask, ask=ask)
    assert "black may be the defect" in asked[0]
    truth, said = load(mask, parse_rule("zero"))
    np.testing.assert_array_equal(truth.mask, mask == 0)
    assert (len(asked), said) == (1, [])
