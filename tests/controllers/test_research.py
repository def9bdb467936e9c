import threading

import numpy as np
import pytest

from napari_semxai.algorithms import robust
from napari_semxai.algorithms.ground_truth import ground_truth
from napari_semxai.algorithms.metrics import scores
from napari_semxai.controllers.research import ALPHAS, BETAS, ResearchController
from napari_semxai.state.session import AlgorithmSettings
from tests.layers.test_session_layers import automatic_of


class Truth:
    truth = None


@pytest.fixture
def research(session, jobs):
    return ResearchController(session, jobs, Truth())


def test_the_current_image_is_swept(session, research, image):
    session.image = image
    session.automatic = automatic_of()
    Truth.truth = np.roll(session.automatic.truth.mask, 2, axis=0)
    done = threading.Event()
    session.events.sweep.connect(done.set)
    research.sweep()
    assert done.wait(20)
    plane = session.sweep.plane
    assert plane.dice.shape == (BETAS.size, ALPHAS.size)
    expected = ground_truth(session.automatic.pool, alpha=ALPHAS[8], beta=BETAS[3])
    assert plane.dice[3, 8] == scores(expected.mask, Truth.truth).dice
    assert "hint" in session.sweep.advice
    session.image = None
    assert session.sweep is None


def test_the_chosen_algorithm_is_swept(session, research, image, monkeypatch):
    asked = []

    def stage_2(algorithm, gray, **rest):
        asked.append((algorithm, gray.shape))
        return robust.stage_2(algorithm, gray, **rest)

    monkeypatch.setattr("napari_semxai.controllers.research.stage_2", stage_2)
    session.image, session.automatic = image, automatic_of()
    session.algorithm = AlgorithmSettings(algorithm="robust")
    Truth.truth = session.automatic.truth.mask
    done = threading.Event()
    session.events.sweep.connect(done.set)
    research.sweep()
    assert done.wait(60)
    assert asked == [("robust", image.gray.shape)]


def test_without_a_truth_it_says_what_is_missing(session, research):
    Truth.truth = None
    research.sweep()
    assert "truth" in session.message
