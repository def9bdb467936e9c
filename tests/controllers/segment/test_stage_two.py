import threading

import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.segment.segment import CANDIDATES, SegmentController
from napari_semxai.controllers.segment.stage_two import _KEPT, StageTwo
from napari_semxai.types import AlgorithmSettings, GenerateUpdate
from tests.controllers.segment.test_segment import Engine
from tests.open_images import open_image
from tests.pools import pool_of, scene_masks


@pytest.fixture
def stage(image):
    return StageTwo(pool_of(scene_masks()), image, AlgorithmSettings(), (0, 0, 0, 0))


def test_the_defect_of_a_winner_is_that_of_algorithm_1(stage):
    pool = pool_of(scene_masks())
    truth = ground_truth(pool)
    surface, defect = stage.of(truth.winner)
    np.testing.assert_array_equal(surface, truth.surface)
    np.testing.assert_array_equal(defect.mask, truth.mask)


def test_few_are_kept_and_the_one_used_last_is_among_them(image):
    masks = np.zeros((_KEPT + 2, 96, 128), dtype=bool)
    for number, mask in enumerate(masks):
        mask[: 10 + number] = True
    stage = StageTwo(pool_of(masks), image, AlgorithmSettings(), (0, 0, 0, 0))
    first = stage.of(0)[0]
    for candidate in range(1, _KEPT + 2):
        stage.of(candidate)
        assert stage.of(0)[0] is first
    assert len(stage._known) == _KEPT


def test_motion_to_a_new_winner_finds_its_defect_ready(session, image, monkeypatch):
    """Whatever alpha and beta lead to was computed in a thread, when the candidates were there."""
    done = threading.Event()

    def deliver(function):
        function()
        done.set()

    engine, jobs = Engine(), Jobs(deliver)
    segment = SegmentController(session, engine, jobs)
    masks = np.zeros((2, 96, 128), dtype=bool)
    masks[0, :, :90] = masks[1, 18:78, 24:104] = True
    segment.start_image(image)
    open_image(session, image)
    segment.generate()
    engine.answer(CANDIDATES, GenerateUpdate("decode", 9, 9, 0.0, pool_of(masks)))
    assert not done.is_set()
    engine.finish(CANDIDATES)
    assert done.wait(30)

    def never(*_arguments, **_options):
        raise AssertionError("stage 2 was computed in the motion")

    monkeypatch.setattr("napari_semxai.controllers.segment.stage_two.StageTwo._compute", never)
    winners = set()
    for alpha in np.linspace(0, 10, 50):
        segment.set_algorithm(alpha=float(alpha))
        winners.add(session.automatic.truth.winner)
    assert winners == {0, 1}
    jobs.close()
