"""Classes, heat maps, concepts and masks: what is asked for, and what becomes of the answers."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Picture

from napari_semxai.algorithms.explanations.masks import (
    PAPER_COLORS,
    concept_masks,
    gradcam_mask,
    resized_mask,
    threshold_mask,
    weighted_map,
)
from napari_semxai.controllers.explain.classify import ClassifyController
from napari_semxai.controllers.explain.concept_sources import ConceptSource
from napari_semxai.controllers.explain.concepts import ConceptController
from napari_semxai.controllers.explain.explain import ExplanationMaskController, fit_masks
from napari_semxai.controllers.explain.heatmaps import HeatmapController, seconds_of
from napari_semxai.controllers.explain.request_tracker import ResultCache
from napari_semxai.state.explanation import (
    CONCEPTS,
    HEAT_MAP,
    PICTURE,
    UNION,
    WEIGHTED,
    CamSettings,
    ClassifierChoice,
    CraftSettings,
    ExplanationPicture,
)
from napari_semxai.state.queue import Queue
from napari_semxai.types import (
    ChecksRequest,
    ClassifyRequest,
    CraftFitRequest,
    CraftOpenRequest,
    CraftSweepRequest,
    CraftTransformRequest,
    GradcamRequest,
    LayersRequest,
    NearestRequest,
    Progress,
    Registration,
    SemImage,
    SweepAdvice,
    SweepRow,
)
from tests import explanations as make
from tests.open_images import open_image, propose_to

LAYERCAM = CamSettings("layercam")


def another_image(name="b", seed=7):
    gray = np.random.default_rng(seed).integers(80, 120, make.SHAPE).astype(np.uint8)
    return SemImage(name, gray, gray)


@pytest.fixture
def engine():
    return make.Engine()


@pytest.fixture
def jobs(session):
    return make.NowJobs(session.say)


@pytest.fixture
def cache():
    return ResultCache()


@pytest.fixture
def classify(session, engine, jobs, cache, opened):
    controller = ClassifyController(session, engine, jobs, cache, opened.append)
    yield controller
    controller.release()


@pytest.fixture
def defect():
    return np.zeros(make.SHAPE, bool)


@pytest.fixture
def heat(session, engine, cache, classify, defect):
    controller = HeatmapController(session, engine, cache, defect.copy)
    yield controller
    controller.release()


@pytest.fixture
def opened():
    """Images that were gone to."""
    return []


@pytest.fixture
def craft(session, engine, jobs, cache, opened, defect):
    controller = ConceptController(
        session, engine, jobs, cache, opened.append, lambda: fit_masks(session, defect.copy()).of
    )
    yield controller
    controller.release()


@pytest.fixture
def prompts():
    return []


@pytest.fixture
def masks(session, jobs, prompts):
    controller = ExplanationMaskController(
        session, jobs, lambda *prompt: prompts.append(prompt), propose_to(session)
    )
    yield controller
    controller.release()


@pytest.fixture(autouse=True)
def controllers(classify, heat, craft, masks):
    """All of them follow the session."""


@pytest.fixture
def warm(session, engine, classify, image):
    open_image(session, image)
    classify.warm()
    engine.answer(LayersRequest, make.network())
    engine.answer(ClassifyRequest, make.classification())
    return session.explanation


@pytest.fixture
def explained(warm, heat, engine):
    heat.explain()
    engine.answer(GradcamRequest, make.heatmap())
    return warm


@pytest.fixture
def fitted(warm, craft, engine, image):
    craft.add_images([image, Path("a.png")])
    craft.fit()
    engine.answer(CraftFitRequest, make.bank())
    engine.answer(CraftTransformRequest, make.concept_maps())
    return warm


def test_nothing_runs_before_the_dock_is_looked_at(session, classify, heat, engine, image):
    open_image(session, image)
    assert engine.jobs == {}
    classify.warm()
    assert engine.request(ClassifyRequest).image is image.gray
    classify.warm()
    assert len(engine.jobs) == 2


def test_a_class_is_known_and_kept(session, engine, warm, image):
    assert warm.classification.predicted == 2
    assert warm.classifying.state == "done"
    open_image(session, another_image())
    assert warm.classification is None
    engine.answer(ClassifyRequest, make.classification(4))
    open_image(session, image)
    assert warm.classification.predicted == 2
    assert engine.jobs == {}


def test_a_late_class_of_the_image_before_is_dropped(session, engine, classify, image):
    open_image(session, image)
    classify.warm()
    engine.answer(LayersRequest, make.network())
    open_image(session, another_image())
    assert "classify" in engine.cancelled


def test_another_classifier_starts_again(session, engine, classify, explained):
    classify.choose_classifier(ClassifierChoice("own.safetensors"))
    assert explained.network is explained.classification is explained.heatmaps.active is None
    assert engine.request(LayersRequest).classifier == "own.safetensors"
    assert engine.request(ClassifyRequest).classifier == "own.safetensors"


def test_maps_of_two_classifiers_stand_side_by_side(engine, classify, heat, explained):
    first, old = explained.heatmaps.active, explained.choice
    classify.choose_classifier(ClassifierChoice("own.safetensors"))
    assert explained.heatmaps.all == (first,)
    engine.answer(LayersRequest, make.network())
    engine.answer(ClassifyRequest, make.classification())
    # The same is asked of the other network without being told.
    assert engine.request(GradcamRequest).classifier == "own.safetensors"
    own = replace(make.heatmap(), sha256="cd" * 32)
    engine.answer(GradcamRequest, own)
    assert explained.heatmaps.active is own
    assert explained.heatmaps.all == (own, first)
    classify.choose_classifier(old)
    assert explained.heatmaps.all == (first, own)
    heat.clear()
    assert explained.heatmaps.all == ()


def test_layers_of_another_classifier_are_asked_for_no_longer(engine, classify, heat, explained):
    heat.set_cam(CamSettings("gradcam", ("layer3",)))
    classify.choose_classifier(ClassifierChoice("own.safetensors"))
    assert explained.cam == CamSettings("gradcam")
    engine.answer(LayersRequest, make.network())
    engine.answer(ClassifyRequest, make.classification())
    assert engine.request(GradcamRequest).layers == ()
    own = replace(make.heatmap(), sha256="cd" * 32)
    engine.answer(GradcamRequest, own)
    assert explained.heatmaps.active is own


def test_maps_of_another_classifier_go_with_their_image(session, classify, explained):
    classify.choose_classifier(ClassifierChoice("own.safetensors"))
    assert explained.heatmaps.all
    open_image(session, another_image())
    assert explained.heatmaps.all == ()


def test_an_edited_description_is_another_classifier(tmp_path, engine, classify, explained):
    weights, beside = tmp_path / "own.safetensors", tmp_path / "own.json"
    weights.touch()
    beside.touch()
    classify.choose_classifier(ClassifierChoice(str(weights)))
    first = explained.choice
    os.utime(beside, ns=(1, 1))
    classify.choose_classifier(ClassifierChoice(str(weights)))
    assert (explained.choice.classifier, explained.choice.device) == (str(weights), "auto")
    assert explained.choice != first


def test_a_failure_is_told(session, engine, classify, image):
    open_image(session, image)
    classify.warm()
    engine.fail(LayersRequest, "own.pt: refused")
    assert session.explanation.classifying.message == "own.pt: refused"


def test_progress_is_told(warm, heat, engine):
    heat.explain()
    engine.answer(GradcamRequest, Progress("runs", 3, 10, 4.5), done=False)
    activity = warm.explaining
    assert (activity.state, activity.stage, activity.done, activity.total) == (
        "running",
        "runs",
        3,
        10,
    )
    heat.cancel()
    assert warm.explaining.state == "cancelled"
    assert engine.jobs == {}


def test_a_heat_map_is_asked_for_the_predicted_class(warm, heat, engine, image):
    heat.explain()
    request = engine.request(GradcamRequest)
    assert (request.target, request.method, request.mask) == (2, "gradcam", None)
    assert request.image is image.gray
    engine.answer(GradcamRequest, make.heatmap())
    assert warm.heatmaps.active is warm.heatmaps.all[0]
    assert warm.explaining.state == "done"


def test_a_heat_map_on_its_way_is_not_asked_for_again_once_the_class_is_known(
    session, classify, heat, engine, image
):
    open_image(session, image)
    classify.warm()
    engine.answer(LayersRequest, make.network())
    heat.explain()
    assert engine.request(GradcamRequest).target is None
    engine.answer(ClassifyRequest, make.classification())
    assert engine.request(GradcamRequest).target is None
    engine.answer(GradcamRequest, make.heatmap())
    assert session.explanation.heatmaps.active.target == 2
    assert engine.jobs == {}
    classify.set_target(4)
    assert engine.request(GradcamRequest).target == 4


def test_methods_stand_side_by_side(explained, heat, engine):
    heat.set_cam(LAYERCAM)
    assert engine.request(GradcamRequest).method == "layercam"
    engine.answer(GradcamRequest, make.heatmap(method="layercam"))
    assert [found.method for found in explained.heatmaps.all] == ["gradcam", "layercam"]
    assert explained.heatmaps.active.method == "layercam"
    heat.set_cam(CamSettings())
    assert explained.heatmaps.active.method == "gradcam"
    assert engine.jobs == {}
    heat.set_cam(CamSettings(as_drawn=True))
    assert engine.request(GradcamRequest).as_drawn
    engine.answer(GradcamRequest, replace(make.heatmap(), as_drawn=True))
    assert [found.as_drawn for found in explained.heatmaps.all] == [False, False, True]
    heat.clear()
    assert explained.heatmaps.all == ()


def test_a_key_goes_through_the_heat_maps_and_the_concepts(explained, fitted, heat, engine):
    heat.set_cam(LAYERCAM)
    engine.answer(GradcamRequest, make.heatmap(method="layercam"))
    heat.set_cam(CamSettings())
    # At first everything lies over each other.
    assert not explained.hides_heat_map
    assert not explained.hides_concepts
    stops = []
    for _ in range(4):
        heat.show_next()
        stops.append((explained.alone, explained.cam.method))
    both = [(HEAT_MAP, "layercam"), (CONCEPTS, "layercam"), (HEAT_MAP, "gradcam")]
    assert stops == [*both, both[0]]
    assert explained.hides_concepts
    heat.set_together(True)
    assert not explained.hides_concepts
    heat.set_together(False)
    assert explained.hides_concepts


def test_what_is_asked_for_is_shown(explained, fitted, heat, craft, masks, classify):
    heat.show_next()
    assert explained.hides_heat_map
    heat.explain()
    assert explained.alone == ""
    heat.show_next()
    heat.set_cam(CamSettings())
    assert explained.alone == ""
    heat.set_together(False)
    masks.set_masks(tau=0.25)
    assert explained.alone == HEAT_MAP
    masks.set_masks(concepts=frozenset((1,)))
    assert explained.alone == ""
    heat.set_together(False)
    craft.set_craft(CraftSettings(refinement="guided"))
    assert explained.alone == ""
    # Without concepts there is only the heat map to look at.
    heat.show_next()
    classify.set_target(4)
    assert explained.alone == CONCEPTS
    assert not explained.hides_heat_map


def test_slow_methods_wait_for_the_button(explained, heat, engine):
    slow = CamSettings("scorecam")
    assert seconds_of(explained.network, slow) == pytest.approx(257 * 0.05)
    heat.set_cam(slow)
    assert engine.jobs == {}
    assert explained.heatmaps.active is None
    heat.explain()
    assert engine.request(GradcamRequest).method == "scorecam"


def test_a_quick_method_after_a_slow_one_is_shown_at_once(explained, heat, engine):
    heat.set_cam(CamSettings("scorecam"))
    heat.set_cam(CamSettings("layercam"))
    assert engine.request(GradcamRequest).method == "layercam"


def test_what_is_picked_while_the_network_loads_is_shown_when_it_has_come(explained, heat, engine):
    network, explained.network = explained.network, None
    heat.set_cam(CamSettings(as_drawn=True))
    assert engine.jobs == {}
    explained.network = network
    assert engine.request(GradcamRequest).as_drawn


def test_a_class_already_explained_is_back_at_once(explained, classify, engine):
    first = explained.heatmaps.active
    classify.set_target(4)
    assert explained.heatmaps.active is None
    assert engine.request(GradcamRequest).target == 4
    engine.answer(GradcamRequest, make.heatmap(4))
    classify.set_target(2)
    assert explained.heatmaps.active is first
    assert engine.jobs == {}


def test_an_answer_for_another_class_is_only_kept(explained, classify, engine):
    classify.set_target(4)
    classify.set_target(2)
    engine.answer(GradcamRequest, make.heatmap(4))
    assert explained.heatmaps.active.target == 2
    classify.set_target(4)
    assert explained.heatmaps.active.target == 4


def test_heat_maps_follow_the_image_and_come_back(session, explained, engine, image):
    first = explained.heatmaps.active
    other = another_image()
    open_image(session, other)
    assert explained.heatmaps.all == ()
    engine.answer(ClassifyRequest, make.classification())
    assert engine.request(GradcamRequest).image is other.gray
    engine.answer(GradcamRequest, make.heatmap())
    open_image(session, image)
    assert explained.heatmaps.active is first
    assert engine.jobs == {}


def test_nothing_follows_unless_wanted(session, explained, heat, engine):
    heat.set_follow(False)
    open_image(session, another_image())
    engine.answer(ClassifyRequest, make.classification())
    assert engine.jobs == {}


def test_the_heat_map_looked_at_is_checked(session, explained, heat, engine, image):
    heat.check()
    request = engine.request(ChecksRequest)
    assert request.heatmap is explained.heatmaps.active
    assert (request.asked.method, request.asked.target) == ("gradcam", 2)
    assert request.asked.image is image.gray
    engine.answer(ChecksRequest, make.checks())
    assert explained.checks.sanity.noise == 0.97
    # They are not those of another map, which has none until it is asked.
    heat.set_cam(LAYERCAM)
    engine.answer(GradcamRequest, make.heatmap(method="layercam"))
    assert explained.checks is None
    heat.check()
    heat.clear()
    assert engine.request(ChecksRequest) is None
    heat.check()
    assert "Compute a heat map first" in session.message


def test_why_inside_this_mask(session, explained, heat, engine, defect, image):
    heat.set_cam(CamSettings(inside_mask=True))
    assert engine.jobs == {}
    heat.explain()
    assert engine.request(GradcamRequest).mask.shape == make.SHAPE
    # A stroke while the answer is on its way: it belongs to the mask it was asked about.
    defect[3] = True
    inside = make.heatmap()
    engine.answer(GradcamRequest, inside)
    assert explained.heatmaps.active is inside
    heat.explain()
    assert engine.request(GradcamRequest).mask[3].all()
    engine.answer(GradcamRequest, make.heatmap())
    # Another image, and back with the mask as it was.
    open_image(session, another_image())
    defect[3] = False
    open_image(session, image)
    assert explained.heatmaps.active is inside
    heat.explain()
    assert engine.request(GradcamRequest) is None


def test_concepts_need_a_class_and_images(session, warm, craft, engine):
    craft.fit()
    assert "images that show it" in session.message
    assert engine.jobs == {}


def test_images_to_fit_on(session, warm, craft, tmp_path, image):
    Picture.fromarray(image.gray).save(tmp_path / "a.png")
    craft.add_folder(tmp_path)
    craft.add_images([tmp_path / "a.png"])
    craft.add_current()
    assert warm.fit_images == (tmp_path / "a.png", image)
    craft.clear_images()
    assert warm.fit_images == ()


def test_a_fit_is_asked_for_and_shown(warm, craft, engine, image):
    craft.add_images([image, Path("a.png")])
    craft.set_craft(CraftSettings("layer3", 7, 48, 3, "guided"))
    craft.fit()
    request = engine.request(CraftFitRequest)
    assert request.images == (image, Path("a.png"))
    assert (request.layer, request.n_concepts, request.patch_size, request.seed) == (
        "layer3",
        7,
        48,
        3,
    )
    assert request.pieces == "cells"
    engine.answer(CraftFitRequest, Progress("factorize", 1, 3), make.bank())
    request = engine.request(CraftTransformRequest)
    assert (request.bank, request.refinement) == (Path("bank.safetensors"), "guided")
    engine.answer(CraftTransformRequest, make.concept_maps())
    assert warm.bank.n_concepts == 6
    assert len(warm.concepts.maps) == 6
    assert warm.fitting.state == "done"


def test_another_number_of_concepts_is_shown_at_once(fitted, craft, engine):
    images = fitted.bank_images
    # What is chosen for the next fit is not what the concepts on show were found in.
    craft.add_images([Path("later.png")])
    bank = fitted.bank
    same = {name: getattr(bank, name) for name in ("patch_size", "seed", "pieces")}
    settings = replace(fitted.craft, **same)
    craft.set_craft(settings)
    assert engine.request(CraftFitRequest) is None
    craft.set_craft(replace(settings, n_concepts=4))
    request = engine.request(CraftFitRequest)
    assert (request.n_concepts, len(request.images)) == (4, len(images))
    engine.answer(CraftFitRequest, make.bank(4, key="four"))
    assert fitted.bank.n_concepts == 4
    assert fitted.bank_images == images
    # Another patch is another fit, which takes its time.
    craft.set_craft(replace(settings, n_concepts=5, patch_size=settings.patch_size + 8))
    assert engine.request(CraftFitRequest) is None
    # So is one on other pieces.
    craft.set_craft(replace(settings, n_concepts=6, pieces="cells"))
    assert engine.request(CraftFitRequest) is None


def test_concepts_follow_the_image_and_the_class(session, fitted, classify, engine, image):
    first = fitted.concepts
    open_image(session, another_image())
    assert fitted.concepts is None
    engine.answer(ClassifyRequest, make.classification())
    engine.answer(CraftTransformRequest, make.concept_maps())
    open_image(session, image)
    assert fitted.concepts is first
    classify.set_target(0)
    assert fitted.bank is fitted.concepts is None
    classify.set_target(2)
    assert fitted.concepts is first
    assert engine.jobs == {}


def test_maps_of_another_bank_go_at_once(fitted, craft, classify, engine):
    craft.set_craft(CraftSettings(refinement="guided"))
    # Of the same bank, other maps are on their way.
    assert fitted.concepts.bank == fitted.bank.key
    engine.answer(CraftTransformRequest, make.concept_maps())
    craft.fit()
    engine.answer(CraftFitRequest, make.bank(key="other"))
    assert fitted.bank.key == "other"
    assert fitted.concepts is None
    engine.fail(CraftTransformRequest, "no")
    assert fitted.concepts is None


@pytest.fixture
def two_banks(fitted, craft, classify, engine):
    """Concepts of class 2 with their maps, and of class 0; class 2 is looked at."""
    classify.set_target(0)
    craft.fit()
    engine.answer(CraftFitRequest, make.bank(target=0, key="other"))
    engine.answer(CraftTransformRequest, make.concept_maps(target=0, key="other"))
    classify.set_target(2)
    return fitted


def test_late_maps_of_another_class_are_only_kept(session, two_banks, classify, engine):
    open_image(session, another_image())
    own, late = make.concept_maps(), make.concept_maps(target=0, key="other")
    engine.answer(CraftTransformRequest, own)
    classify.set_target(0)
    assert two_banks.concepts is None
    classify.set_target(2)
    assert two_banks.concepts is own
    engine.answer(CraftTransformRequest, late)
    assert (two_banks.bank.target, two_banks.concepts) == (2, own)
    classify.set_target(0)
    assert (two_banks.bank.target, two_banks.concepts) == (0, late)
    assert engine.request(CraftTransformRequest) is None


def test_late_maps_for_a_class_without_concepts_are_only_kept(fitted, craft, classify, engine):
    craft.set_craft(CraftSettings(refinement="guided"))
    classify.set_target(0)
    late = make.concept_maps()
    engine.answer(CraftTransformRequest, late)
    assert fitted.bank is fitted.concepts is None
    classify.set_target(2)
    assert fitted.concepts is late


def test_late_maps_of_another_refinement_are_only_kept(fitted, craft, engine):
    plain, guided = fitted.concepts, make.concept_maps()
    craft.set_craft(CraftSettings(refinement="guided"))
    craft.set_craft(CraftSettings())
    engine.answer(CraftTransformRequest, guided)
    assert fitted.concepts is plain
    craft.set_craft(CraftSettings(refinement="guided"))
    assert fitted.concepts is guided
    craft.set_craft(CraftSettings(refinement="guided", as_drawn=True))
    assert engine.request(CraftTransformRequest).as_drawn


def without_local(maps):
    return replace(maps, local_importances=np.full(len(maps.maps), np.nan, np.float32))


def test_importances_that_did_not_come_are_asked_for_again(
    session, fitted, classify, engine, image
):
    other = another_image()
    open_image(session, other)
    engine.answer(ClassifyRequest, make.classification())
    first, whole = without_local(make.concept_maps()), make.concept_maps()
    engine.answer(CraftTransformRequest, first, done=False)
    assert fitted.concepts is first
    # Leaving before the second answer, and coming back.
    open_image(session, image)
    open_image(session, other)
    assert fitted.concepts is first
    engine.answer(CraftTransformRequest, without_local(whole), whole)
    assert fitted.concepts is whole
    open_image(session, image)
    open_image(session, other)
    assert fitted.concepts is whole
    assert engine.jobs == {}


def test_importances_on_their_way_are_not_asked_for_anew(two_banks, classify, craft, engine):
    craft.set_craft(CraftSettings(refinement="none"))
    first, whole = without_local(make.concept_maps()), make.concept_maps()
    engine.answer(CraftTransformRequest, first, done=False)
    asked = engine.request(CraftTransformRequest)
    classify.set_target(None)
    assert two_banks.concepts is first
    assert engine.request(CraftTransformRequest) is asked
    engine.answer(CraftTransformRequest, whole)
    assert two_banks.concepts is whole


def test_a_crop_leads_to_its_place(fitted, craft, opened):
    craft.open_crop(1, 1)
    assert opened == [Path("a.png")]
    assert fitted.focus.box == (8, 16, 40, 48)


def test_a_crop_of_the_current_image_only_moves_there(fitted, craft, opened):
    # What the layers do as soon as they have moved.
    fitted.events.focus.connect(lambda: setattr(fitted, "focus", None))
    craft.open_crop(1, 0)
    assert opened == []


def test_images_most_alike_are_found_in_the_project(explained, session, classify, engine, opened):
    classify.find_nearest()
    assert session.message.startswith("Open a project")
    asked = []
    rows = [SimpleNamespace(image=n, name=n, label="pit", state="accepted") for n in "ab"]
    files = {n: SimpleNamespace(path=Path(f"{n}.png"), page=0) for n in "ab"}
    index = SimpleNamespace(queue=lambda wanted: asked.append(wanted) or rows)
    project = SimpleNamespace(index=index, project=SimpleNamespace(image=files.__getitem__))
    session.queue = Queue("lot", Path("lot"), "anna", 2)
    session.project = project
    classify.find_nearest()
    # Whoever reviews blind sees what others say nowhere, and not here either.
    assert asked[0].hidden_from == "anna"
    request = engine.request(NearestRequest)
    assert [(file.name, file.label, file.state) for file in request.files] == [
        ("a", "pit", "accepted"),
        ("b", "pit", "accepted"),
    ]
    found = make.nearest(request.files)
    engine.answer(NearestRequest, found)
    assert explained.nearest is found
    classify.open_nearest(1)
    assert opened == [Path("b.png")]
    classify.find_nearest()
    classify.find_nearest()
    assert engine.request(NearestRequest) is None
    open_image(session, another_image())
    assert explained.nearest is None


def test_concepts_are_named(explained, craft, engine, jobs, tmp_path):
    bank = make.bank(path=tmp_path / "bank.safetensors")
    bank.path.with_suffix(".json").write_text("{}", "utf-8")
    craft.open_bank(bank.path)
    engine.answer(CraftOpenRequest, bank)
    engine.answer(CraftTransformRequest, make.concept_maps())
    craft.name_concept(1, " bright rim ")
    assert explained.bank.names == ("", "bright rim", "", "", "", "")
    # Of its layer; masks and recipes go by the number.
    named = ConceptSource().maps(explained)[1]
    assert (named.name, named.role) == ("concept 2: bright rim", "concept 2")
    details = ConceptSource().details(explained, "concept 2")
    assert (details["concepts"], details["names"][1]) == ([2], "bright rim")
    written = json.loads(bank.path.with_suffix(".json").read_text("utf-8"))
    assert written == {"names": list(explained.bank.names)}
    again = explained.bank
    craft.name_concept(1, "bright rim")
    assert explained.bank is again


def test_tuning_tells_as_it_goes(fitted, craft, engine):
    rows = [SweepRow("layer3", k, 64, 0.9, 0.95, 0.8, 5, float("nan"), 3.0) for k in (5, 12)]
    craft.tune()
    engine.answer(CraftSweepRequest, rows[0], done=False)
    assert fitted.sweep == (rows[0],)
    engine.answer(CraftSweepRequest, rows[1], SweepAdvice(tuple(rows), 1, ("more stable",)))
    assert fitted.advice.suggested == 1
    craft.use(rows[1])
    assert (fitted.craft.layer, fitted.craft.n_concepts) == ("layer3", 12)


def test_tuning_is_asked_for_with_masks_and_patch_sizes(session, fitted, craft, engine, defect):
    craft.tune()
    request = engine.request(CraftSweepRequest)
    # The mask is the algorithm's alone, which is no truth.
    assert request.masks == ()
    assert len(request.patch_sizes) >= 2
    assert request.refinement == "fine"
    craft.set_craft(CraftSettings(refinement="none"))
    craft.tune()
    # The maps that are measured are those on show.
    assert engine.request(CraftSweepRequest).refinement == "none"
    defect[5:9] = True
    session.update_image(edited=True)
    craft.tune()
    first, second = engine.request(CraftSweepRequest).masks
    np.testing.assert_array_equal(first, defect)
    assert second is None


def test_concepts_are_saved_and_opened(session, fitted, craft, engine, tmp_path, opened):
    source = tmp_path / "cache" / "bank.safetensors"
    source.parent.mkdir()
    source.write_bytes(b"vectors")
    source.with_suffix(".json").write_text("{}")
    fitted.bank = make.bank(path=source)
    craft.save_bank(tmp_path / "mine")
    assert (tmp_path / "mine.safetensors").read_bytes() == b"vectors"
    assert (tmp_path / "mine.json").read_text() == "{}"
    assert "mine.safetensors" in session.message

    craft.open_bank(tmp_path / "mine.safetensors")
    assert engine.request(CraftOpenRequest).bank == tmp_path / "mine.safetensors"
    engine.answer(CraftOpenRequest, make.bank(target=4, key="mine"))
    assert (fitted.target, fitted.bank.key, fitted.concepts) == (4, "mine", None)
    assert engine.request(CraftTransformRequest) is not None
    craft.open_crop(1, 1)
    assert "from a file" in session.message
    assert opened == []


def test_float_maps_are_the_truth(explained, fitted, masks):
    masks.set_masks(tau=0.3, concept_tau=0.6, concepts=frozenset((0, 2)))
    found, maps = explained.masks.masks, fitted.concepts.maps
    np.testing.assert_array_equal(
        found[HEAT_MAP], threshold_mask(explained.heatmaps.active.values, 0.3)
    )
    for number in (0, 2):
        np.testing.assert_array_equal(
            found[f"concept {number + 1}"], threshold_mask(maps[number], 0.6)
        )
    assert "concept 2" not in found
    np.testing.assert_array_equal(found[UNION], found["concept 1"] | found["concept 3"])
    weights = fitted.concepts.importances[[0, 2]]
    expected = threshold_mask(weighted_map(maps[[0, 2]], weights), 0.6)
    np.testing.assert_array_equal(found[WEIGHTED], expected)
    np.testing.assert_array_equal(explained.masks.labels[CONCEPTS] > 0, found[UNION])
    both = found["concept 1"] & found["concept 3"]
    assert set(explained.masks.labels[CONCEPTS][both]) <= {1}


def test_a_mask_that_stays_the_same_is_not_made_again(explained, fitted, masks):
    before = explained.masks
    masks.set_masks(tau=0.3)
    assert explained.masks.labels[CONCEPTS] is before.labels[CONCEPTS]
    heat = explained.masks.masks[HEAT_MAP]
    masks.set_masks(concepts=frozenset((0,)))
    assert explained.masks.masks[HEAT_MAP] is heat
    assert explained.masks.labels[CONCEPTS] is not before.labels[CONCEPTS]


def test_local_importances_weigh_this_image(fitted, masks):
    masks.set_masks(local=True, concepts=frozenset(range(6)))
    concepts = fitted.concepts
    expected = threshold_mask(weighted_map(concepts.maps, concepts.local_importances), 0.5)
    np.testing.assert_array_equal(fitted.masks.masks[WEIGHTED], expected)


def test_paper_mode_is_algorithms_2_and_3(explained, fitted, masks):
    masks.set_masks(paper=True, tau=0.7, delta=40.0, concepts=frozenset((0, 1)))
    found = explained.masks.masks
    np.testing.assert_array_equal(
        found[HEAT_MAP], gradcam_mask(explained.heatmaps.active.rgb(), 0.7)
    )
    expected = concept_masks(fitted.concepts.rgb(), PAPER_COLORS, 40.0)
    np.testing.assert_array_equal(found["concept 2"], expected[1])
    np.testing.assert_array_equal(found[UNION], expected[:2].any(axis=0))
    assert WEIGHTED not in found


def test_pictures_made_elsewhere(session, warm, masks, tmp_path):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 70, 3), dtype=np.uint8)
    rgb[5:20, 10:30] = PAPER_COLORS[1]
    Picture.fromarray(rgb).save(tmp_path / "figure.png")
    masks.load_picture(tmp_path / "figure.png", "craft")
    assert warm.picture.colors == PAPER_COLORS
    crop = (0, 5, 32, 64)
    masks.set_picture(type(warm.picture)(rgb, "figure", "craft", crop, PAPER_COLORS))
    # Whatever is ticked of a bank: all five colours, each alone and together.
    masks.set_masks(delta=90.0, concepts=frozenset((1,)))
    found = concept_masks(rgb, PAPER_COLORS, 90.0, crop=crop)
    for number, expected in enumerate(found, start=1):
        own = warm.masks.masks[f"{PICTURE}, concept {number}"]
        np.testing.assert_array_equal(own, resized_mask(expected, make.SHAPE))
        assert own.any()
    expected = resized_mask(found.any(axis=0), make.SHAPE)
    np.testing.assert_array_equal(warm.masks.masks[PICTURE], expected)
    masks.set_picture(type(warm.picture)(rgb, "figure", "gradcam", crop))
    masks.set_masks(tau=0.25)
    expected = gradcam_mask(rgb[0:32, 5:64], 0.25)
    np.testing.assert_array_equal(warm.masks.masks[PICTURE], resized_mask(expected, make.SHAPE))
    open_image(session, another_image())
    assert PICTURE not in warm.masks.masks


def test_a_click_moves_the_right_threshold(warm, masks):
    masks.set_threshold("tau", 0.2)
    masks.set_threshold("concept_tau", 0.8)
    assert (warm.mask_settings.tau, warm.mask_settings.concept_tau) == (0.2, 0.8)


def test_a_figure_of_the_published_size_is_cropped(warm, masks, tmp_path):
    Picture.fromarray(np.zeros((700, 1800, 3), np.uint8)).save(tmp_path / "figure.png")
    masks.load_picture(tmp_path / "figure.png", "craft")
    assert warm.picture.crop == (151, 488, 556, 892)


def test_a_grey_picture_is_refused(session, warm, masks, tmp_path):
    Picture.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "mask.png")
    masks.load_picture(tmp_path / "mask.png", "gradcam")
    assert "mask.png: not an 8-bit colour picture" in session.message


def test_a_mask_goes_to_the_editor_and_to_sam(session, explained, masks, prompts):
    masks.send(HEAT_MAP)
    assert session.proposal.mask is explained.masks.masks[HEAT_MAP]
    assert "heat map" in session.proposal.title
    details = session.proposal.details
    assert (details["method"], details["tau"], details["paper"]) == ("gradcam", 0.5, False)
    assert details["layers"] == list(explained.heatmaps.active.layers)
    masks.send_to_sam(HEAT_MAP)
    assert prompts == [(explained.masks.masks[HEAT_MAP], "SAM from explanation: heat map")]


def test_masks_of_concepts_and_pictures_say_how_they_were_made(session, fitted, masks):
    place = Registration("layer4", (-0.1, 0.25), (0, 0), (0, 0), 0.2)
    fitted.concepts = replace(fitted.concepts, registrations=(place,))
    masks.set_masks(concept_tau=0.25, concepts=frozenset({0, 1}))
    masks.send("concept 2")
    assert session.proposal.details["concepts"] == [2]
    assert session.proposal.details["moved_by"] == {"layer4": [-0.1, 0.25]}
    assert session.proposal.details["bank"] == fitted.concepts.bank
    masks.send(WEIGHTED)
    details = session.proposal.details
    assert (details["concepts"], details["tau"]) == ([1, 2], 0.25)
    assert details["importances"] == "global"
    masks.set_masks(paper=True, delta=40.0)
    masks.send(UNION)
    assert session.proposal.details["delta"] == 40.0
    assert session.proposal.details["moved_by"] == {}
    assert "tau" not in session.proposal.details
    masks.set_picture(ExplanationPicture(np.zeros((9, 9, 3), np.uint8), "figure.png"))
    masks.send(PICTURE)
    assert session.proposal.details["picture"] == "figure.png"
    assert json.loads(json.dumps(session.proposal.details)) == session.proposal.details


def test_the_cache_keeps_what_fits():
    cache = ResultCache(limit=100)
    cache.put("a", 1, 60)
    cache.put("b", 2, 30)
    assert cache.get("a") == 1
    cache.put("c", 3, 40)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    cache.put("huge", 4, 1000)
    assert (cache.get("huge"), len(cache)) == (4, 1)
    cache.put("huge", 5, 10)
    cache.put("d", 6, 90)
    assert (cache.get("huge"), cache.get("d")) == (5, 6)
