import numpy as np
import pytest

from napari_semxai.algorithms.explanations.masks import (
    PAPER_COLORS,
    concept_masks,
    gradcam_mask,
    threshold_mask,
)
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.controllers.explain.explain import ExplanationMaskController
from napari_semxai.controllers.scores.threshold_curves import ThresholdCurvesController
from napari_semxai.state.explanation import ExplanationPicture, Heatmaps
from tests import explanations as make
from tests.open_images import open_image


class Truth:
    truth = None


@pytest.fixture
def truth():
    return make.peak(width=10.0) > 0


@pytest.fixture
def controller(session, image, truth):
    open_image(session, image)
    masks = ExplanationMaskController(session, make.NowJobs(session.say), print, print)
    jobs, judge = make.NowJobs(session.say), Truth()
    judge.truth = truth
    yield ThresholdCurvesController(session, jobs, judge, masks)
    masks.release()


def at(session, name, place):
    curve = next(curve for curve in session.curves if curve.name == name)
    return curve.parameter, curve.thresholds[place], curve.dice[place]


def test_every_explanation_has_its_curve(session, controller, truth):
    heat, maps = make.heatmap(place=(45, 55)), make.concept_maps()
    session.explanation.heatmaps = Heatmaps(heat, (heat,))
    session.explanation.concepts = maps
    controller.draw()
    parameter, tau, dice = at(session, "Grad-CAM", 30)
    assert parameter == "tau"
    assert dice == scores(threshold_mask(heat.values, tau), truth).dice
    parameter, tau, dice = at(session, "concept 2", 40)
    assert parameter == "concept_tau"
    assert dice == scores(threshold_mask(maps.maps[1], tau), truth).dice
    found = [curve.name for curve in session.curves if curve.parameter == "delta"]
    assert found == ["concept 1", "concept 2", "concept 3", "concepts, union"]
    delta = next(curve for curve in session.curves if curve.parameter == "delta")
    expected = concept_masks(maps.rgb(), maps.colors[:1], delta.thresholds[50])[0]
    assert delta.dice[50] == scores(expected, truth).dice


@pytest.mark.parametrize("method", ["gradcam", "craft"])
def test_a_picture_made_elsewhere_has_a_curve(session, controller, truth, method):
    rgb = np.random.default_rng(1).integers(0, 256, (2 * 96, 2 * 128, 3), dtype=np.uint8)
    session.explanation.picture = ExplanationPicture(rgb, "a.png", method)
    controller.draw()
    own = rgb[1::2, 1::2]
    name, mask = {
        "gradcam": ("picture", lambda t: gradcam_mask(own, t)),
        "craft": ("picture, concept 5", lambda t: concept_masks(own, PAPER_COLORS, t)[4]),
    }[method]
    _, threshold, dice = at(session, name, 33)
    assert dice == pytest.approx(scores(mask(threshold), truth).dice)


def test_what_is_ignored_counts_in_no_curve(session, controller, truth):
    ignored = np.zeros_like(truth)
    ignored[:, :50] = True
    session.ignored = ignored
    maps = make.concept_maps()
    session.explanation.concepts = maps
    rgb = np.random.default_rng(1).integers(0, 256, (*truth.shape, 3), dtype=np.uint8)
    session.explanation.picture = ExplanationPicture(rgb, "a.png", "gradcam")
    controller.draw()
    masks = {
        ("delta", "concept 3"): lambda t: concept_masks(maps.rgb(), maps.colors[2:3], t)[0],
        ("tau", "picture"): lambda t: gradcam_mask(rgb, t),
    }
    for (parameter, name), mask in masks.items():
        (curve,) = (
            curve for curve in session.curves if (curve.parameter, curve.name) == (parameter, name)
        )
        for place in (10, 33, 60):
            found = mask(curve.thresholds[place])
            assert curve.dice[place] == pytest.approx(scores(found, truth, ignored).dice)
            assert curve.dice[place] != pytest.approx(scores(found, truth).dice)


def test_a_point_is_taken(session, controller):
    heat = make.heatmap()
    session.explanation.heatmaps = Heatmaps(heat, (heat,))
    session.explanation.concepts = make.concept_maps()
    controller.use("delta", 80.0)
    assert not session.explanation.mask_settings.paper
    controller.draw()
    controller.use("delta", 80.1)
    assert session.explanation.mask_settings.delta == 80.0
    assert session.explanation.mask_settings.paper
    controller.use("concept_tau", 0.333)
    controller.use("tau", 0.777)
    settings = session.explanation.mask_settings
    assert (settings.tau, settings.concept_tau, settings.paper) == (0.78, 0.33, False)


def test_curves_end_with_their_image(session, controller):
    controller.draw()
    assert "need an explanation" in session.message
    session.explanation.heatmaps = Heatmaps(make.heatmap(), (make.heatmap(),))
    controller.draw()
    assert session.curves
    open_image(session, None)
    assert session.curves == ()
