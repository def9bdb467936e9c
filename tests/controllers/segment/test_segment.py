import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.automatic import stage_two
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.algorithm1.reference import compare
from napari_semxai.algorithms.algorithm1.robust import robust_defect
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import SceneSpec, make_reference, make_scene
from napari_semxai.controllers.edit.recipe import automatic_settings
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.segment.candidates import _WINNERS_KEPT, StageTwo
from napari_semxai.controllers.segment.segment import CANDIDATES, SegmentController
from napari_semxai.state.session import Found, ModelChoice, Origin
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import (
    AlgorithmSettings,
    FilterSettings,
    GenerateSettings,
    GenerateUpdate,
    LeftOut,
    ModelInfo,
)
from napari_semxai.types.image import CompareRequest
from napari_semxai.types.learned import UNLIKE, LearnedMask, LearnedRequest
from napari_semxai.types.settings import usual_filters
from tests.open_images import open_image
from tests.pools import pool_of, scene_masks


class Engine:
    """Stands in for the engine process: the tests are about what is done with its answers."""

    def __init__(self):
        self.jobs, self.cancelled = {}, []

    def submit(self, request, *, destination, background=False, **callbacks):
        self.jobs[destination] = (request, callbacks)

    def cancel(self, destination):
        self.cancelled.append(destination)

    forget = cancel

    def answer(self, destination, *updates):
        for update in updates:
            self.jobs[destination][1]["on_update"](update)

    def finish(self, destination):
        self.jobs[destination][1]["on_done"]()

    def fail(self, destination, message):
        self.jobs[destination][1]["on_failed"](message)


def start_image(segment, image):
    """Make an image the current one, as the image controller does."""
    segment.start_image(image)
    open_image(segment._session, image)


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def segment(session, engine):
    return SegmentController(session, engine)


@pytest.fixture
def generated(session, engine, segment, image):
    start_image(segment, image)
    segment.generate()
    update = GenerateUpdate("decode", 16, 1024, 3.0, pool_of(scene_masks()))
    engine.answer(CANDIDATES, ModelInfo("bundled", "0" * 64, "cpu"), update)
    return pool_of(scene_masks())


def test_a_partial_pool_gives_a_mask_while_running(session, generated):
    assert session.generation.state == "running"
    assert (session.generation.done, session.generation.seconds_left) == (16, 3.0)
    assert session.model.device == "cpu"
    expected = ground_truth(session.automatic.pool)
    assert session.automatic.truth.winner == expected.winner
    np.testing.assert_array_equal(session.automatic.truth.mask, expected.mask)


def test_the_end_is_told(session, engine, segment, generated):
    engine.finish(CANDIDATES)
    assert session.generation.state == "done"


def test_a_failure_is_told_and_the_mask_stays(session, engine, generated):
    before = session.automatic
    engine.fail(CANDIDATES, "the engine stopped")
    assert (session.generation.state, session.generation.message) == (
        "failed",
        "the engine stopped",
    )
    assert session.automatic is before


def test_cancel_keeps_what_is_there(session, engine, segment, generated):
    before = session.automatic
    segment.cancel()
    assert engine.cancelled[-1] == CANDIDATES
    assert session.generation.state == "cancelled"
    assert session.automatic is before


@pytest.mark.parametrize("border", [None, 0, 3])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_every_parameter_equals_algorithm_1(session, segment, generated, border, connectivity):
    for alpha, beta in ((0.0, 0.02), (2.0, 0.05), (9.0, 0.2), (2.0, 0.99)):
        segment.set_algorithm(
            alpha=alpha, beta=beta, connectivity=connectivity, ignore_border=border
        )
        expected = ground_truth(
            session.automatic.pool,
            alpha=alpha,
            beta=beta,
            connectivity=connectivity,
            ignore_border=segment.ranking.left_out.border,
        )
        truth = session.automatic.truth
        np.testing.assert_array_equal(truth.mask, expected.mask)
        assert (truth.winner, truth.reason) == (expected.winner, expected.reason)
        assert truth.touches_edge == expected.touches_edge


def test_the_robust_variant_takes_the_same_winner(session, segment, generated):
    paper = session.automatic.truth
    segment.set_algorithm(algorithm="robust")
    expected = robust_defect(
        session.image.gray,
        paper.surface,
        session.automatic.pool,
        connectivity=8,
        left_out=segment.ranking.left_out,
    )
    truth = session.automatic.truth
    np.testing.assert_array_equal(truth.mask, expected.mask)
    assert truth.winner == paper.winner
    assert truth.confidence == expected.confidence is not None
    segment.set_algorithm(algorithm="paper")
    np.testing.assert_array_equal(session.automatic.truth.mask, paper.mask)
    assert session.automatic.truth.confidence is None


def test_the_robust_variant_follows_the_candidates_that_pass(session, segment, image):
    """It is surer of a defect that is a candidate, too."""
    pool = pool_of(scene_masks()[:2], np.array([0.95, 0.9], np.float32))
    start_image(segment, image)
    segment.set_algorithm(algorithm="robust")
    segment.resume(Found(pool, None, Origin(ModelChoice(), GenerateSettings())))
    before = session.automatic.truth.confidence
    segment.set_filters(FilterSettings(pred_iou_thresh=0.92))
    assert session.automatic.truth.confidence < before
    segment.set_filters(FilterSettings(pred_iou_thresh=0.85))
    assert session.automatic.truth.confidence == before


def test_the_mask_of_a_winner_is_computed_once(session, segment, generated):
    segment.set_algorithm(alpha=1.0)
    first = session.automatic.truth.mask
    segment.set_algorithm(alpha=1.5)
    assert session.automatic.truth.mask is first


def test_a_chosen_winner_stays_while_sliders_move(session, segment, generated):
    row = int(np.flatnonzero(session.automatic.indices == 2)[0])
    segment.choose_winner(row)
    segment.set_algorithm(alpha=5.0)
    assert session.automatic.overridden
    assert session.automatic.indices[session.automatic.truth.winner] == 2
    segment.choose_winner(None)
    assert not session.automatic.overridden
    assert session.automatic.indices[session.automatic.truth.winner] == 0


def test_thresholds_act_without_the_network(session, engine, segment, generated):
    engine.jobs.clear()
    segment.set_filters(FilterSettings(pred_iou_thresh=0.99))
    assert len(session.automatic.pool) == 0
    assert session.automatic.truth.reason == "there are no mask candidates"
    segment.set_filters(FilterSettings())
    assert len(session.automatic.pool) == 3
    assert engine.jobs == {}


def test_thresholds_come_with_the_network_unless_changed(session, segment):
    segment.choose_model(ModelChoice("sam2.1_hiera_tiny"))
    assert session.filters == usual_filters("sam2.1_hiera_tiny")
    segment.choose_model(ModelChoice("bundled"))
    assert session.filters == usual_filters("bundled")
    own = FilterSettings(0.6, 0.7)
    segment.set_filters(own)
    segment.choose_model(ModelChoice("sam2.1_hiera_tiny"))
    assert session.filters == own


def test_below_the_floor_the_network_is_asked_for_the_rest(session, engine, segment, generated):
    engine.finish(CANDIDATES)
    engine.jobs.clear()
    segment.set_generate(GenerateSettings(points_per_side=7))
    segment.set_filters(FilterSettings(pred_iou_thresh=0.3))
    request, _ = engine.jobs[CANDIDATES]
    assert request.settings == GenerateSettings(pred_iou_floor=0.3)
    assert session.generate.pred_iou_floor == 0.3
    assert session.generation.state == "running"
    assert len(session.automatic.pool) == 3
    engine.jobs.clear()
    segment.set_filters(FilterSettings(pred_iou_thresh=0.4))
    assert engine.jobs == {}
    segment.generate()
    assert engine.jobs[CANDIDATES][0].settings == GenerateSettings(7, pred_iou_floor=0.4)


def test_a_choice_outlives_the_candidates_that_come_after_it(session, engine, segment, generated):
    row = int(np.flatnonzero(session.automatic.indices == 2)[0])
    chosen = session.automatic.pool.mask(row)
    segment.choose_winner(row)
    engine.answer(
        CANDIDATES, GenerateUpdate("decode", 64, 1024, 2.0, pool_of(scene_masks()[::-1]))
    )
    assert session.automatic.overridden
    np.testing.assert_array_equal(session.automatic.truth.surface, chosen)
    engine.answer(CANDIDATES, GenerateUpdate("decode", 99, 1024, 2.0, pool_of(scene_masks()[:1])))
    assert not session.automatic.overridden


@pytest.mark.parametrize("row", [-1, 3, 99])
def test_rows_that_are_not_there_choose_nothing(session, segment, generated, row):
    segment.choose_winner(row)
    assert not session.automatic.overridden


def test_candidates_are_left_and_come_back(session, segment, generated, image):
    segment.choose_winner(1)
    before, found = session.automatic, segment.ranking.found
    start_image(segment, None)
    assert segment.ranking.found is None
    start_image(segment, image)
    segment.resume(found)
    assert session.automatic.overridden
    np.testing.assert_array_equal(session.automatic.truth.mask, before.truth.mask)


@pytest.fixture
def compared(session, engine, segment):
    """A pattern with its candidates, of which the last was proposed, and what differs."""
    spec = SceneSpec(shape=(240, 240), pattern="holes", radius=14, noise=4, contrast=1.2)
    scene = make_scene(spec, 5)
    found = compare(scene.image, (7, 7, 7, 7), make_reference(spec, 5))
    start_image(segment, image_from_array(scene.image, "pattern"))
    segment.generate()
    pool = pool_of(~scene.defect[None]).with_proposed(pool_of(scene.defect[None]))
    pool = replace(pool, compared_logits=np.where(scene.defect, 80, -100).astype(np.int8))
    update = GenerateUpdate("decode", 1024, 1024, 0.0, pool)
    engine.answer(CANDIDATES, ModelInfo("bundled", "0" * 64, "cpu"), found, update)
    engine.finish(CANDIDATES)
    return scene, found


def test_what_differs_from_the_reference_is_the_mask(session, engine, segment, compared):
    scene, found = compared
    request = engine.jobs[CANDIDATES][0]
    assert request.compare.wanted == "auto"
    assert session.difference is session.automatic.difference is found
    assert scores(session.automatic.truth.mask, scene.defect).dice > 0.8
    settings = automatic_settings(session, session.automatic)
    assert settings["reference"] == "auto"
    assert settings["compared"]["correlation"] == found.correlation


def test_beside_a_reference_the_winner_is_computed_behind_the_window(session, engine):
    """In a large image it takes seconds."""
    spec = SceneSpec(shape=(240, 240), pattern="holes", radius=14, noise=4, contrast=1.2)
    scene, waiting = make_scene(spec, 5), []
    jobs = SimpleNamespace(run=lambda name, *rest: waiting.append((name, *rest)))
    segment = SegmentController(session, engine, jobs)
    found = compare(scene.image, (7, 7, 7, 7), make_reference(spec, 5))
    start_image(segment, image_from_array(scene.image, "pattern"))
    segment.generate()
    update = GenerateUpdate("decode", 8, 16, 0.0, pool_of(~scene.defect[None]))
    engine.answer(CANDIDATES, ModelInfo("bundled", "0" * 64, "cpu"), found, update, update)
    assert session.automatic is None
    # One at a time, however fast candidates come.
    [(_, work, done, _)] = waiting
    waiting.clear()
    done(work())
    # Of the candidates that came since, which have no defect yet.
    [(_, work, done, _)] = waiting
    done(work())
    assert scores(session.automatic.truth.mask, scene.defect).dice > 0.7


def test_without_a_reference_what_it_proposed_is_no_candidate(session, engine, segment, compared):
    segment.set_algorithm(reference="none")
    assert session.difference is None
    assert len(session.automatic.pool) == 1
    assert session.automatic.difference is None
    # Another reference makes another map.
    assert session.pool.compared_logits is None
    segment.set_algorithm(reference="auto")
    request = engine.jobs[CANDIDATES][0]
    assert (request.compare.wanted, session.generation.running) == ("auto", True)


def test_the_comparison_is_made_again_for_an_image_one_comes_back_to(
    session, engine, segment, compared
):
    _scene, found = compared
    image, mask, left = session.image, session.automatic.truth.mask, segment.ranking.found
    assert left.difference.is_light
    start_image(segment, None)
    assert session.difference is None
    start_image(segment, image)
    segment.resume(left)
    # Another mask would follow from the candidates alone.
    assert session.automatic is None
    request = engine.jobs[CANDIDATES][0]
    assert isinstance(request, CompareRequest)
    np.testing.assert_array_equal(request.image, image.gray)
    engine.answer(CANDIDATES, found)
    np.testing.assert_array_equal(session.automatic.truth.mask, mask)


def test_another_reference_is_asked_for_before_candidates_are_there(
    session, engine, segment, image
):
    start_image(segment, image)
    segment.set_algorithm(reference="self")
    assert engine.jobs == {}
    segment.generate()
    segment.set_algorithm(reference="auto")
    assert engine.jobs[CANDIDATES][0].compare.wanted == "auto"


def test_previews_are_masks_of_rows(session, segment, generated):
    segment.show_preview(1)
    np.testing.assert_array_equal(session.preview, session.automatic.pool.mask(1))
    segment.show_preview(None)
    assert session.preview is None


def test_opening_lets_go_of_what_belonged_to_the_previous_image(session, segment, generated):
    start_image(segment, None)
    assert session.pool is session.automatic is session.image is None
    assert session.generation.state == "idle"


def test_the_info_bar_of_the_tags_is_ignored(session, segment, image):
    start_image(segment, type(image)("b", image.pixels, image.gray, picture_rows=90))
    assert segment.ranking.left_out.border == (0, 0, 6, 0)


def test_another_model_is_loaded_at_once(session, engine, segment):
    segment.choose_model(ModelChoice("sam2.1_hiera_tiny", "cpu"))
    request, _ = engine.jobs["warm"]
    assert (request.model, request.device) == ("sam2.1_hiera_tiny", "cpu")
    engine.fail("warm", "sam2.1_hiera_tiny: not installed")
    assert session.message == "sam2.1_hiera_tiny: not installed"
    over = []
    session.events.failure_over.connect(over.append)
    for _ in range(2):
        segment.choose_model(ModelChoice())
        engine.jobs["warm"][1]["on_done"]()
    assert over == ["sam2.1_hiera_tiny: not installed"]


def test_nothing_is_generated_without_an_image(session, engine, segment):
    segment.generate()
    assert engine.jobs == {}


def test_candidates_keep_what_made_them(session, engine, segment, generated):
    made = session.automatic.origin
    assert (made.choice, made.model.sha256) == (ModelChoice(), "0" * 64)
    assert (made.generate, made.points) == (session.generate, (16, 1024))
    segment.choose_model(ModelChoice("sam2.1_hiera_tiny"))
    segment.set_generate(GenerateSettings(points_per_side=7))
    segment.set_algorithm(alpha=5.0)
    assert session.automatic.origin == made
    # A late answer of the first network is not the chosen one's.
    engine.answer(CANDIDATES, ModelInfo("bundled", "0" * 64, "cpu"))
    assert session.model is None
    engine.answer(CANDIDATES, GenerateUpdate("decode", 1024, 1024, 0.0, pool_of(scene_masks())))
    assert session.automatic.origin.points is None
    # Nothing has answered yet: what is shown is still of the first one.
    segment.generate()
    segment.set_algorithm(alpha=4.0)
    assert session.automatic.origin.choice == ModelChoice()
    engine.answer(CANDIDATES, GenerateUpdate("decode", 49, 49, 0.0, pool_of(scene_masks())))
    assert session.automatic.origin.choice.model == "sam2.1_hiera_tiny"


@pytest.fixture
def stage(image):
    pool = pool_of(scene_masks())
    return StageTwo(pool, stage_two(AlgorithmSettings(), image.gray, LeftOut(), pool))


def test_the_defect_of_a_winner_is_that_of_algorithm_1(stage):
    pool = pool_of(scene_masks())
    truth = ground_truth(pool)
    surface, defect = stage.of(truth.winner)
    np.testing.assert_array_equal(surface, truth.surface)
    np.testing.assert_array_equal(defect.mask, truth.mask)


def test_few_are_kept_and_the_one_used_last_is_among_them(image):
    masks = np.zeros((_WINNERS_KEPT + 2, 96, 128), dtype=bool)
    for number, mask in enumerate(masks):
        mask[: 10 + number] = True
    pool = pool_of(masks)
    stage = StageTwo(pool, stage_two(AlgorithmSettings(), image.gray, LeftOut(), pool))
    first = stage.of(0)[0]
    for candidate in range(1, _WINNERS_KEPT + 2):
        stage.of(candidate)
        assert stage.of(0)[0] is first
    assert len(stage._known) == _WINNERS_KEPT


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

    monkeypatch.setattr("napari_semxai.controllers.segment.candidates.StageTwo.compute", never)
    winners = set()
    for alpha in np.linspace(0, 10, 50):
        segment.set_algorithm(alpha=float(alpha))
        winners.add(session.automatic.truth.winner)
    assert winners == {0, 1}
    jobs.close()


def test_a_learned_network_answers_instead_and_the_candidates_stay(
    session, engine, segment, image, generated
):
    engine.finish(CANDIDATES)
    by_candidates = session.automatic.truth.mask
    segment.set_algorithm(algorithm="learned", network="/p/learned/0001.safetensors")
    request, _ = engine.jobs[CANDIDATES]
    assert isinstance(request, LearnedRequest)
    assert request.network == "/p/learned/0001.safetensors"
    assert request.image is image.gray
    mask = np.zeros(image.gray.shape, dtype=bool)
    mask[:, 20:30] = True
    model = session.model
    engine.answer(CANDIDATES, ModelInfo("0001", "f" * 64, "cpu"), LearnedMask(mask, 0.9))
    engine.finish(CANDIDATES)
    automatic = session.automatic
    np.testing.assert_array_equal(automatic.truth.mask, mask)
    assert automatic.truth.confidence == 0.9
    assert automatic.truth.touches_edge
    assert (len(automatic.pool), automatic.score, automatic.origin.sha256) == (0, 0.9, "f" * 64)
    # SAM 2 still answers clicks.
    assert session.model is model
    segment.set_algorithm(ignore_border=4)
    assert not session.automatic.truth.mask[:4].any()
    engine.answer(CANDIDATES, LearnedMask(mask & False, 0.8, unlike=2 * UNLIKE))
    assert session.automatic.truth.confidence is None
    assert "unlike" in session.automatic.truth.reason

    segment.set_algorithm(algorithm="paper", network="", ignore_border=None)
    np.testing.assert_array_equal(session.automatic.truth.mask, by_candidates)


def test_without_candidates_nothing_of_the_learned_network_stays(session, engine, segment, image):
    start_image(segment, image)
    segment.set_algorithm(algorithm="learned", network="x")
    engine.answer(CANDIDATES, LearnedMask(np.ones(image.gray.shape, bool), 0.9))
    segment.set_algorithm(algorithm="robust", network="")
    assert session.automatic is None
    assert session.generation.state == "idle"
