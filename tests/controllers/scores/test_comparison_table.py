import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_semxai.algorithms.explanations.localisation import RankedMap, trivial_baselines
from napari_semxai.algorithms.explanations.masks import gradcam_mask, threshold_mask
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.controllers.explain.explain import ExplanationMaskController
from napari_semxai.controllers.explain.heatmap_source import PAPER_MAP
from napari_semxai.controllers.scores.comparison_table import (
    ComparisonTableController,
    table_lines,
)
from napari_semxai.state.comparison import TAUS
from napari_semxai.state.explanation import HEAT_MAP, UNION, WEIGHTED, Heatmaps
from tests import explanations as make
from tests.open_images import open_image


@pytest.fixture
def table(session, image):
    open_image(session, image)
    masks = ExplanationMaskController(session, make.NowJobs(session.say), print, print)
    found = make.heatmap(), make.heatmap(method="layercam", place=(60, 80))
    session.explanation.heatmaps = Heatmaps(found[0], found)
    session.explanation.concepts = make.concept_maps()
    yield ComparisonTableController(session, make.NowJobs(session.say))
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
    known = {HEAT_MAP: f"{HEAT_MAP}, Grad-CAM"}
    assert {f"{HEAT_MAP}, LayerCAM", "concept 1", UNION, WEIGHTED} <= set(masks)
    for name, mask in (explained | trivial_baselines(image.gray) | {"defect mask": own}).items():
        assert masks[known.get(name, name)].scores == scores(mask, truth)
    second = threshold_mask(session.explanation.heatmaps.all[1].values, 0.5)
    assert masks[f"{HEAT_MAP}, LayerCAM"].scores == scores(second, truth)
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
        for name in ("Grad-CAM", "LayerCAM"):
            own = next(row for row in found.masks if row.name == f"{HEAT_MAP}, {name}")
            curve = next(row.curve for row in found.maps if row.name == name)
            assert curve[np.argmin(abs(tau - TAUS))] == pytest.approx(own.scores.dice)


def test_the_published_route_has_a_curve_too(session, table, truth):
    explanation = session.explanation
    explanation.mask_settings = replace(explanation.mask_settings, paper=True, tau=0.7)
    table.refresh({}, ("expert", truth))
    curve = next(row.curve for row in session.comparison.maps if row.name == PAPER_MAP)
    masks = {row.name: row.scores for row in session.comparison.masks}
    assert curve[70] == pytest.approx(masks[f"{HEAT_MAP}, Grad-CAM"].dice)
    second = gradcam_mask(session.explanation.heatmaps.all[1].rgb(), 0.7)
    assert masks[f"{HEAT_MAP}, LayerCAM"] == scores(second, truth)


def test_one_heat_map_needs_no_name(session, table, truth):
    found = make.heatmap()
    session.explanation.heatmaps = Heatmaps(found, (found,))
    table.refresh({}, ("expert", truth))
    assert HEAT_MAP in {row.name for row in session.comparison.masks}


def test_maps_of_one_method_have_a_row_each(session, table, truth):
    found = make.heatmap()
    deeper = replace(found, layers=("layer3", "layer4"), values=make.peak(place=(60, 80)))
    inside = replace(found, inside_mask=True, values=make.peak(place=(20, 30)))
    all_of_them = (found, deeper, inside)
    session.explanation.heatmaps = Heatmaps(found, all_of_them)
    table.refresh({}, ("expert", truth))
    names = [
        "Grad-CAM, layer4",
        "Grad-CAM, layer3 + layer4",
        "Grad-CAM, layer4, inside the mask",
    ]
    maps = {row.name: row for row in session.comparison.maps}
    masks = {row.name: row for row in session.comparison.masks}
    assert list(maps)[:3] == names
    for name, heatmap in zip(names, all_of_them, strict=True):
        expected = RankedMap(heatmap.values).localisation(truth)
        assert maps[name].localisation == expected
        own = masks[f"{HEAT_MAP}, {name}"].scores
        assert own == scores(threshold_mask(heatmap.values, 0.5), truth)


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
    # Whose explanation it is; other masks are nobody's.
    explained = (f"{HEAT_MAP}, LayerCAM", "concept 1", UNION, "Grad-CAM", WEIGHTED)
    assert {rows[name]["classifier_sha256"] for name in explained} == {make.INFO.sha256}
    assert {rows[name]["classifier_sha256"] for name in ('mask, "mine"', "empty")} == {""}
    expected = session.comparison.maps[0].localisation
    assert float(rows["Grad-CAM"]["auroc"]) == pytest.approx(expected.auroc, abs=1e-6)
    curves = np.genfromtxt(tmp_path / "scores_dice_tau.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(curves[:, 0], TAUS)
    np.testing.assert_allclose(curves[:, 2], session.comparison.maps[1].curve, atol=1e-6)


def test_lines_have_one_width(session, table, truth):
    table.refresh({"a": truth}, ("expert", truth))
    widths = {len(line.split("\t")) for line in table_lines(session.comparison, "\t")}
    assert len(widths) == 1
    assert table_lines(session.comparison, ",")[0].startswith("name,truth,dice,iou,precision")
