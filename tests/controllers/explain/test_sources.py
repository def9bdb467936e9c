"""Masks, scores, curves and recipes of a family that the package does not have."""

import numpy as np
import pytest

from napari_semxai.algorithms.explanations.masks import threshold_mask
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.controllers.explain import explain
from napari_semxai.controllers.explain.explain import ExplanationMaskController
from napari_semxai.controllers.scores.comparison_table import ComparisonTableController
from napari_semxai.controllers.scores.threshold_curves import ThresholdCurvesController
from napari_semxai.state.explanation import HEAT_MAP, Heatmaps
from tests import explanations as make
from tests.open_images import open_image, propose_to

STRONG, WEAK = "edges, strong", "edges, weak"


class Judge:
    truth = make.peak(width=10.0) > 0


@pytest.fixture
def masks(session, image, monkeypatch):
    own = (*explain.SOURCES, make.OwnFamily)
    monkeypatch.setattr(explain, "SOURCES", own)
    open_image(session, image)
    masks = ExplanationMaskController(
        session, make.NowJobs(session.say), print, propose_to(session)
    )
    heat = make.heatmap()
    session.explanation.heatmaps = Heatmaps(heat, (heat,))
    session.explanation.advice = object()
    yield masks
    masks.release()


def test_its_masks_follow_the_threshold_and_say_what_made_them(session, masks):
    masks.set_masks(tau=0.7)
    found = session.explanation.masks
    strong, weak = (threshold_mask(make.peak(place=place), 0.7) for place in ((40, 50), (60, 80)))
    np.testing.assert_array_equal(found.masks[STRONG], strong)
    np.testing.assert_array_equal(found.labels["edges"], np.where(strong, 1, 2 * weak))
    masks.send(WEAK)
    np.testing.assert_array_equal(session.proposal.mask, weak)
    assert session.proposal.details == {"method": "edges", "name": WEAK}
    session.explanation.advice = None
    assert list(session.explanation.masks.masks) == [HEAT_MAP]
    assert list(session.explanation.masks.labels) == [HEAT_MAP]


def test_it_is_compared_and_has_curves(session, masks):
    ComparisonTableController(session, make.NowJobs(session.say)).refresh(
        {}, ("expert", Judge.truth)
    )
    table = session.comparison
    assert [row.name for row in table.maps] == ["Grad-CAM", STRONG, WEAK]
    assert (table.maps[1].classifier, table.maps[2].color) == ("own", (9, 8, 8))
    row = next(row for row in table.masks if row.name == STRONG)
    assert row.scores == scores(session.explanation.masks.masks[STRONG], Judge.truth)
    assert row.classifier == "own"
    ThresholdCurvesController(session, make.NowJobs(session.say), Judge(), masks).draw()
    assert [curve.name for curve in session.curves] == ["Grad-CAM", STRONG, WEAK]
