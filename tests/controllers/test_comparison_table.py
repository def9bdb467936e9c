import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_semxai.algorithms.localisation import RankedMap, trivial_baselines
from napari_semxai.algorithms.metrics import scores
from napari_semxai.controllers.comparison_table import (
    PAPER_MAP,
    ComparisonTableController,
    table_lines,
)
from napari_semxai.controllers.explanation_masks import ExplanationMaskController
from napari_semxai.state.comparison import TAUS
from napari_semxai.state.explanation import HEAT_MAP, UNION, WEIGHTED, Heatmaps
from tests import explanations as make


@pytest.fixture
def table(session, image):
    session.image = image
    masks = ExplanationMaskController(session, make.NowJobs(), print)
    found = make.heatmap(), make.heatmap(method="layercam", place=(60, 80))
    session.explanation.heatmaps = Heatmaps(found[0], found)
    session.explanation.concepts = make.concept_maps()
    yield ComparisonTableController(session, make.NowJobs())
    masks.release()


@pytest.fixture
def truth():
    return make.peak(width=10.0) > 0


def test_every_mask_and_map_is_judged_by_one_truth(session, table, truth, image):
    own = np.roll(truth, 5, axis=1)
    table.refresh({"defect mask": own}, ("expert", truth))
    found = session.comparison
    masks = {row.name: row for row in found.masks}
    explained = session.explanation.masks.masks
    assert next(iter(masks)) == "defect mask"
    assert list(masks)[-3:] == ["empty", "centre disc", "Otsu"]
    assert {HEAT_MAP, "concept 1", UNION, WEIGHTED} <= set(masks)
    for name, mask in (explained | trivial_baselines(image.gray) | {"defect mask": own}).items():
        assert masks[name].scores == scores(mask, truth)
    assert [row.name for row in found.masks if row.trivial] == ["empty", "centre disc", "Otsu"]
    maps = {row.name: row for row in found.maps}
    assert list(maps) == ["Grad-CAM", "LayerCAM", "concept 1", "concept 2", "concept 3", WEIGHTED]
    expected = RankedMap(session.explanation.heatmaps.all[1].values)
    assert {row.parameter for row in maps.values() if row.name in ("Grad-CAM", "LayerCAM")} == {
        "tau"
    }
    assert maps["concept 2"].parameter == maps[WEIGHTED].parameter == "concept_tau"
    color = session.explanation.concepts.colors[1]
    assert maps["concept 2"].color == tuple(color.tolist())
    assert maps["LayerCAM"].localisation == expected.localisation(truth)
    np.testing.assert_array_equal(maps["LayerCAM"].curve, expected.dice_curve(truth, TAUS))


def test_the_curve_goes_through_the_current_mask(session, table, truth):
    explanation = session.explanation
    for tau in (0.25, 0.5, 0.75):
        explanation.mask_settings = replace(explanation.mask_settings, tau=tau)
        table.refresh({}, ("expert", truth))
        found = session.comparison
        dice = next(row.scores.dice for row in found.masks if row.name == HEAT_MAP)
        curve = next(row.curve for row in found.maps if row.name == "Grad-CAM")
        assert curve[np.argmin(abs(tau - TAUS))] == pytest.approx(dice)


def test_the_published_route_has_a_curve_too(session, table, truth):
    explanation = session.explanation
    explanation.mask_settings = replace(explanation.mask_settings, paper=True, tau=0.7)
    table.refresh({}, ("expert", truth))
    curve = next(row.curve for row in session.comparison.maps if row.name == PAPER_MAP)
    dice = next(row.scores.dice for row in session.comparison.masks if row.name == HEAT_MAP)
    assert curve[70] == pytest.approx(dice)


def test_without_a_truth_there_is_no_comparison(session, table, truth):
    table.refresh({}, ("expert", truth))
    table.refresh({}, None)
    assert session.comparison.masks == ()
    table.refresh({}, ("another size", truth[1:]))
    assert session.comparison.masks == ()


def test_saved_as_csv_with_the_curves_beside(session, table, truth, tmp_path):
    table.refresh({'mask, "mine"': truth}, ("expert", truth))
    table.save(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert float(rows['mask, "mine"']["dice"]) == 1
    assert rows["empty"]["precision"] == ""
    assert int(rows["empty"]["true_area"]) == truth.sum()
    expected = session.comparison.maps[0].localisation
    assert float(rows["Grad-CAM"]["auroc"]) == pytest.approx(expected.auroc, abs=1e-6)
    curves = np.genfromtxt(tmp_path / "scores_dice_tau.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(curves[:, 0], TAUS)
    np.testing.assert_allclose(curves[:, 2], session.comparison.maps[1].curve, atol=1e-6)


def test_lines_have_one_width(session, table, truth):
    table.refresh({"a": truth}, ("expert", truth))
    widths = {len(line.split("\t")) for line in table_lines(session.comparison, "\t")}
    assert len(widths) == 1
