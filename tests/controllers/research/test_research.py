import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1 import automatic
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.controllers.research.research import ALPHAS, BETAS, ResearchController
from napari_semxai.state.explanation import CONCEPTS, Heatmaps
from napari_semxai.state.research import ImageSweep, RunResult
from napari_semxai.types import AlgorithmSettings, LeftOut
from tests.explanations import concept_maps, heatmap
from tests.open_images import automatic_of, open_image, propose_to
from tests.pools import pool_of, scene_masks


class Truth:
    truth = None


@pytest.fixture
def research(session, jobs):
    return ResearchController(session, jobs, Truth(), propose_to(session))


def test_the_current_image_is_swept(session, research, image):
    open_image(session, image)
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
    open_image(session, None)
    assert session.sweep is None


def test_the_chosen_algorithm_is_swept(session, research, image, monkeypatch):
    asked = []

    def stage_two(settings, gray, border, pool):
        asked.append((settings.algorithm, gray.shape))
        return automatic.stage_two(settings, gray, border, pool)

    monkeypatch.setattr("napari_semxai.controllers.research.research.stage_two", stage_two)
    open_image(session, image)
    session.automatic = automatic_of()
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


def swept(session, research, image):
    open_image(session, image)
    session.pool = pool_of(scene_masks())
    session.automatic = automatic_of()
    Truth.truth = session.automatic.truth.mask
    done = threading.Event()
    session.events.sweep.connect(done.set)
    research.sweep()
    assert done.wait(20)
    return session.automatic


def test_a_sweep_stays_while_alpha_and_beta_move(session, research, image):
    automatic = swept(session, research, image)
    session.algorithm = replace(session.algorithm, alpha=1.0, beta=0.7)
    session.automatic = replace(automatic, overridden=True)
    # Other thresholds that select the same candidates make a new pool of them.
    session.automatic = replace(automatic, pool=automatic.pool.take(automatic.indices))
    assert session.sweep is not None


@pytest.mark.parametrize("change", ["pool", "filters", "border", "algorithm", "none"])
def test_a_sweep_of_other_candidates_goes(session, research, image, change):
    automatic = swept(session, research, image)
    if change == "pool":
        session.pool = pool_of(scene_masks())
        automatic = automatic_of()
    elif change == "filters":
        automatic = replace(automatic, indices=automatic.indices[:-1])
    elif change == "border":
        automatic = replace(automatic, left_out=LeftOut((1, 3, 0, 0)))
    elif change == "algorithm":
        session.algorithm = replace(session.algorithm, algorithm="paper")
        automatic = replace(automatic)
    session.automatic = None if change == "none" else automatic
    assert session.sweep is None


def test_a_sweep_that_comes_after_other_candidates_is_dropped(
    session, research, image, jobs, monkeypatch
):
    wait, asked = threading.Event(), threading.Event()

    def late(*arguments):
        asked.set()
        assert wait.wait(20)
        return ImageSweep(None, None, "late")

    monkeypatch.setattr("napari_semxai.controllers.research.research._sweep", late)
    open_image(session, image)
    session.automatic = automatic_of()
    Truth.truth = session.automatic.truth.mask
    research.sweep()
    assert asked.wait(20)
    session.pool = pool_of(scene_masks())
    session.automatic = automatic_of()
    wait.set()
    jobs.close()
    assert session.sweep is None


def test_a_heat_map_of_a_run_lies_over_its_image_only(session, research, image):
    open_image(session, image)
    other = heatmap(method="layercam")
    session.explanation.heatmaps = Heatmaps(None, (other, heatmap()))
    found = heatmap()
    research.show_result(RunResult("", image=replace(image), heatmap=found))
    assert session.explanation.heatmaps.active is None
    session.explanation.concepts, session.explanation.alone = concept_maps(), CONCEPTS
    research.show_result(RunResult("", image=image, heatmap=found))
    assert session.explanation.heatmaps == Heatmaps(found, (other, found))
    assert not session.explanation.hides_heat_map


def test_a_mask_of_a_run_replaces_no_edited_one_unless_it_is_taken(session, research, image):
    mask = np.ones(image.gray.shape, bool)
    result = RunResult("", Path("runs/a_mask.png"), image=image, mask=mask)
    open_image(session, image, edited=True)
    research.show_result(result)
    assert session.proposal is None
    research.take_mask(result)
    assert session.proposal.mask is mask
    assert session.proposal.details == {"file": "a_mask.png"}
    session.update_image(edited=False)
    session.proposal = None
    research.show_result(result)
    assert session.proposal.mask is mask
    session.proposal = None
    open_image(session, replace(image))
    research.take_mask(result)
    research.show_result(result)
    assert session.proposal is None
