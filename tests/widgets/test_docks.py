"""Docks as views: model to widget and widget to model."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtWidgets import QApplication, QComboBox, QFileDialog, QInputDialog, QLabel, QPushButton

from napari_semxai.algorithms.algorithm1.automatic import learned_mask
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth, rank
from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.algorithms.masks.click_edits import AnswerDoubts
from napari_semxai.algorithms.masks.edits import MASK_EDITS
from napari_semxai.algorithms.masks.foreground import parse_rule
from napari_semxai.controllers.kept_settings import CLICK_PREVIEW, NO
from napari_semxai.controllers.scores.comparison_table import ComparisonTableController
from napari_semxai.controllers.scores.evaluate import EvaluateController
from napari_semxai.layers.mask.comparison import Comparison
from napari_semxai.layers.mask.lasso_tool import LassoTool
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.explanation import Heatmaps
from napari_semxai.state.open_image import SaveStage
from napari_semxai.state.queue import Queue
from napari_semxai.state.review import Clicks, Offer, doubt_text
from napari_semxai.state.session import (
    AlgorithmSettings,
    Automatic,
    ModelChoice,
    Readout,
    SaveState,
    Session,
)
from napari_semxai.store.disk.safety_net import Recovery
from napari_semxai.types import (
    CandidatePool,
    FilterSettings,
    JobState,
    LeftOut,
    MaskSize,
    Microscope,
    ModelInfo,
    Progress,
    Prompts,
    Scores,
)
from napari_semxai.types.learned import Learned, LearnedMask, LearnedVersion, Verdict
from napari_semxai.widgets.candidates import panels, pickers
from napari_semxai.widgets.candidates.dock import CandidatesDock
from napari_semxai.widgets.candidates.ranking import ranked, winners
from napari_semxai.widgets.common.forms import Panel
from napari_semxai.widgets.edit.dock import CLICKS, DEFECTS, KEYS, SIZE, EditDock
from napari_semxai.widgets.edit.panels import ClickPanel, SizePanel
from napari_semxai.widgets.explain.masks_panel import MasksPanel
from napari_semxai.widgets.scores.dock import ScoresDock, size_text
from tests import explanations as make
from tests.doubles import Controller, FakeRuler, RecordedMarks
from tests.explanations import NowJobs
from tests.open_images import automatic_of, make_image, open_image
from tests.pools import pool_of


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def controller():
    controller = Controller()
    # `EditController` has restoring and discarding in a part of its own.
    controller.recovery = controller
    return controller


@pytest.fixture
def layers(viewer, session, controller):
    layers = SessionLayers(viewer, session, controller)
    yield layers
    layers.release()


@pytest.fixture
def candidates(qtbot, session, controller, layers):
    dock = CandidatesDock(session, controller, controller, controller, layers, controller)
    qtbot.addWidget(dock)
    open_image(session, make_image())
    controller.calls.clear()
    yield dock
    dock.release()


def test_what_was_learned_is_offered_where_it_is_in_use(
    candidates, session, controller, tmp_path, qtbot
):
    box = candidates.algorithm
    item = box.model().item(box.findData("learned"))
    assert not item.isEnabled()
    assert "Learn from reviews" in item.toolTip()
    assert candidates.learn.isHidden()
    session.project = SimpleNamespace(unwritten=(), project=SimpleNamespace(folder=tmp_path))
    assert not candidates.learn.isHidden()
    path = tmp_path / "0002.safetensors"
    made = LearnedVersion(path, "", "", "p", 20, Verdict(True, "0.9 against 0.5"))
    session.learned = Learned((made,), made)
    assert item.isEnabled()
    assert candidates.learn.verdict.text() == "Version 0002 in use: 0.9 against 0.5."
    assert candidates.learn.back.text() == "Go back to today's proposal"
    controller.calls.clear()
    box.setCurrentIndex(box.findData("learned"))
    wanted = {"algorithm": "learned", "network": str(path)}
    assert controller.calls == [("set_algorithm", (), wanted)]
    mask = np.zeros(session.image.gray.shape, dtype=bool)
    mask[1:4, 5:9] = True
    for border, said in (
        (1, "⚠ The defect touches the image edge or the ignored border"),
        (0, "Learned: defect 12 px, mask confidence 0.90"),
    ):
        edges = LeftOut((border,) * 4)
        truth = learned_mask(LearnedMask(mask, 0.9), edges)
        pool = CandidatePool.empty(mask.shape)
        session.automatic = Automatic(pool, np.empty(0, int), truth, edges)
        assert candidates.warning.text() == said
    session.learning = Progress("Training", 3, 9)
    assert candidates.learn.run.status.text() == "Training: 3 of 9 …"
    candidates.learn.back.click()
    assert controller.calls[-1] == ("use", ("none",), {})
    session.project = None


def test_the_reference_is_chosen_and_its_fit_is_said(
    candidates, session, controller, viewer, tmp_path, monkeypatch
):
    panel = candidates.reference
    assert panel.choice.currentData() == "auto"
    golden = tmp_path / "golden.png"
    monkeypatch.setattr(panels, "ask_open", lambda *_: golden)
    controller.calls.clear()
    panel.choice.setCurrentIndex(panel.choice.findData("file"))
    panel.choice.activated.emit(panel.choice.currentIndex())
    assert controller.calls == [("set_algorithm", (), {"reference": str(golden)})]
    session.algorithm = AlgorithmSettings(reference=str(golden))
    assert panel.choice.currentText() == "Reference: golden.png"
    # Whoever thinks better of it keeps what was chosen.
    monkeypatch.setattr(panels, "ask_folder", lambda *_: None)
    panel.choice.setCurrentIndex(panel.choice.findData("folder"))
    panel.choice.activated.emit(panel.choice.currentIndex())
    assert panel.choice.currentText() == "Reference: golden.png"
    assert len(controller.calls) == 1
    shape = session.image.gray.shape
    planes = np.full(shape, 2, np.float32), np.zeros(shape, np.int32)
    picture = np.zeros(shape, np.uint8)
    session.difference = Difference(*planes, 0.987, picture=picture, name="golden.png")
    assert panel.said.text() == "Compared with golden.png, correlation 0.99"
    panel.boxes["difference"].setChecked(True)
    assert viewer.layers["difference"].visible
    said = "the reference does not match: correlation 0.21"
    session.difference = Difference(*planes, 0.21, said, name="golden.png")
    assert panel.said.text() == f"⚠ golden.png: {said}"
    assert not panel.boxes["difference"].isEnabled()
    session.difference = Difference(*planes, 0.1, "the image has no period", name="self")
    assert panel.said.text() == "Not compared: the image has no period"
    session.algorithm = AlgorithmSettings(algorithm="paper")
    assert not panel.isEnabled()


@pytest.fixture
def ruler():
    return FakeRuler()


@pytest.fixture
def choices():
    """What was chosen, remembered in a dict."""
    kept = {}
    return SimpleNamespace(get=lambda name: kept.get(name, ""), set=kept.__setitem__, kept=kept)


@pytest.fixture
def edit(qtbot, session, controller, layers, ruler, choices):
    panels = {
        CLICKS: ClickPanel(session, controller, controller, choices),
        KEYS: Panel(),
        DEFECTS: Panel(),
        SIZE: SizePanel(session, controller, ruler),
    }
    lasso = LassoTool(layers.viewer, session, layers, controller, RecordedMarks())
    dock = EditDock(session, controller, layers, panels, lasso)
    qtbot.addWidget(dock)
    open_image(session, make_image())
    yield dock
    dock.release()


@pytest.fixture
def scores(qtbot, viewer, session, layers):
    comparison = Comparison(viewer, layers, EvaluateController(session, None))
    table = ComparisonTableController(session, NowJobs(session.say))
    dock = ScoresDock(viewer, session, Controller(), comparison, table)
    qtbot.addWidget(dock)
    yield dock
    dock.release()
    comparison.release()


def test_what_the_microscope_wrote_is_shown(edit, session):
    panel = edit.panels[SIZE]
    assert panel.microscope.text() == ""
    known = Microscope("JEOL", "JSM-7800F", voltage=15e3, stage=(1e-3, 2e-3))
    open_image(session, replace(make_image(), microscope=known))
    assert (
        "Microscope: JEOL JSM-7800F · Voltage: 15 kV · Stage: 1, 2 mm" in panel.microscope.text()
    )
    # All that a microscope can tell has room.
    known = Microscope(
        "Hitachi", "SU8220", None, None, 5e3, 1e4, 8.1e-3, "SE(UL)", (0.0525, -1e-6, 8e-3),
        "03/21/2024 10:11:12",
    )  # fmt: skip
    words = "Detector: SE(UL) · Stage: 52.5, -0.001, 8 mm · "
    width = panel.microscope.fontMetrics().horizontalAdvance(words)
    panel.microscope.resize(width, panel.microscope.sizeHint().height())
    open_image(session, replace(make_image(), microscope=known))
    assert QLabel.text(panel.microscope).endswith("Taken: 03/21/2024 10:11:12")
    open_image(session, make_image())
    assert panel.microscope.text() == ""


def test_whether_clicks_are_previewed_is_remembered(edit, controller, choices):
    panel = edit.panels[CLICKS]
    assert panel.preview.isChecked()
    panel.preview.click()
    assert controller.calls[-1] == ("enable", (False,), {})
    assert choices.kept == {CLICK_PREVIEW: NO}
    again = ClickPanel(edit._session, controller, controller, choices)
    assert not again.preview.isChecked()
    again.release()


def test_a_newcomer_sees_a_welcome_instead_of_a_form(candidates, session):
    assert not candidates.form.isHidden()
    open_image(session, None)
    assert candidates.form.isHidden()
    assert not candidates.welcome.isHidden()


def test_the_welcome_offers_images_with_unsaved_strokes(candidates, session, controller, tmp_path):
    path = tmp_path / "a.tif"
    info = {"name": "a.tif", "path": str(path), "page": 2}
    session.leftovers = (Recovery(tmp_path / "copy.npz", "key", 0.0, info, (1, 0.0)),)
    (offer,) = candidates.welcome.leftovers
    assert offer.text() == "Open a.tif"
    assert not candidates.welcome.unsaved.isHidden()
    offer.click()
    assert controller.calls[-1] == ("open_file", (path, 2), {})
    session.leftovers = ()
    assert candidates.welcome.leftovers == []
    assert candidates.welcome.unsaved.isHidden()


def test_sliders_show_and_set_alpha_and_beta(candidates, session, controller):
    session.algorithm = AlgorithmSettings(alpha=3.5, beta=0.125)
    assert (candidates.alpha.value(), candidates.beta.value()) == (3.5, 0.125)
    assert controller.calls == []
    candidates.alpha.setValue(4.0)
    assert controller.calls[-1] == ("set_algorithm", (), {"alpha": 4.0})
    candidates.beta.setValue(0.5)
    assert controller.calls[-1] == ("set_algorithm", (), {"beta": 0.5})


def test_the_robust_variant_comes_first_and_the_papers_beside_it(candidates, session, controller):
    box = candidates.algorithm
    titles = [box.itemText(index) for index in range(box.count())]
    assert titles == [
        "All defects, or none (robust)",
        "Largest component (paper)",
        "Learned from this project",
    ]
    assert box.currentIndex() == 0
    box.setCurrentIndex(1)
    assert controller.calls == [("set_algorithm", (), {"algorithm": "paper", "network": ""})]
    session.algorithm = AlgorithmSettings(algorithm="paper")
    assert box.currentText() == "Largest component (paper)"
    assert len(controller.calls) == 1


def test_advanced_forms_show_and_set(candidates, session, controller):
    session.filters = FilterSettings(pred_iou_thresh=0.5)
    assert candidates.advanced.filters["pred_iou_thresh"].value == 0.5
    assert controller.calls == []
    candidates.advanced.filters["box_nms_thresh"].value = 0.4
    expected = FilterSettings(pred_iou_thresh=0.5, box_nms_thresh=0.4)
    assert controller.calls[-1] == ("set_filters", (expected,), {})
    session.algorithm = replace(session.algorithm, alpha=7.0)
    candidates.advanced.components["ignore_border"].value = 3
    assert controller.calls[-1][2] == asdict(replace(session.algorithm, ignore_border=3))
    candidates.advanced.components["connectivity"].value = 4
    expected = replace(session.algorithm, connectivity=4, ignore_border=3)
    assert controller.calls[-1][2] == asdict(expected)
    candidates.advanced.grid["points_per_side"].value = 16
    assert controller.calls[-1][1][0].points_per_side == 16


def test_progress_and_time_left_are_shown(candidates, session):
    session.generation = Progress("decode", 64, 1024, 7.4)
    assert candidates.run.status.text() == "64 of 1,024 points, about 7 s left"
    assert candidates.run.progress.value() == 64
    assert candidates.run.cancel.isEnabled()
    assert not candidates.run.start.isEnabled()
    session.generation = Progress(state=JobState.FAILED, message="the engine stopped")
    assert candidates.run.status.text() == "⚠ the engine stopped"
    assert candidates.run.start.isEnabled()


def test_the_table_ranks_and_says_why_not(qtbot, candidates, session, controller):
    session.automatic = automatic_of()
    model = candidates.table.model()
    qtbot.waitUntil(lambda: model.rowCount() == 3)
    notes = [model.index(row, 6).data() for row in range(3)]
    assert notes[0] == "★"
    said = [model.index(row, 0).data(Qt.ItemDataRole.ToolTipRole) for row in range(3)]
    assert said[0] == "Winner"
    eligible = session.automatic.truth.eligible[model.order]
    assert [note == "≤ β" for note in notes] == [not passed for passed in eligible]
    candidates.table.clicked.emit(model.index(1, 0))
    assert controller.calls[-1] == ("choose_winner", (model.order[1],), {})
    candidates.table.entered.emit(model.index(2, 0))
    assert controller.calls[-1] == ("show_preview", (model.order[2],), {})


def test_the_table_marks_what_the_difference_proposed(qtbot, candidates, session):
    automatic, model = automatic_of(), candidates.table.model()
    proposed = np.arange(3) == ranked(automatic)[-1]
    session.automatic = replace(automatic, pool=replace(automatic.pool, proposed=proposed))
    qtbot.waitUntil(lambda: model.rowCount() == 3)
    assert ["Δ" in model.index(row, 6).data() for row in range(3)] == [False, False, True]
    assert "difference" in model.index(2, 6).data(Qt.ItemDataRole.ToolTipRole)
    assert "difference" not in model.index(0, 6).data(Qt.ItemDataRole.ToolTipRole)


def test_unsaved_strokes_of_a_crash_are_announced(candidates, session):
    open_image(session, make_image())
    assert candidates.run.status.text() == ""
    session.recovery = Recovery(Path("a.npz"), "key", 0.0, {}, (0, 0.0))
    assert "unsaved strokes" in candidates.run.status.text()
    session.generation = Progress("encode")
    assert candidates.run.status.text() == "Encoding the image …"
    session.generation = Progress(state=JobState.DONE)
    assert "unsaved strokes" in candidates.run.status.text()
    session.recovery = None
    assert candidates.run.status.text() == ""


def test_warnings_are_visible(candidates, session):
    session.automatic = automatic_of()
    assert candidates.warning.text() == "Candidates: 3, winner in row 1; defect 600 px"
    truth = replace(session.automatic.truth, touches_edge=True)
    session.automatic = replace(session.automatic, truth=truth)
    assert "touches the image edge" in candidates.warning.text()


def test_messages_and_rows_count_alike(qtbot, candidates, session):
    automatic, model = automatic_of(), candidates.table.model()
    last = ranked(automatic)[-1]
    truth = replace(automatic.truth, winner=last)
    session.automatic = replace(automatic, truth=truth, overridden=True)
    qtbot.waitUntil(lambda: model.rowCount() == 3)
    assert "row 3 chosen by hand" in candidates.warning.text()
    assert model.headerData(2, Qt.Orientation.Vertical) == 3
    assert model.index(2, 6).data() == "★"
    assert model.index(2, 6).data(Qt.ItemDataRole.ToolTipRole) == "Chosen by hand"


def test_the_table_fits_the_narrowest_dock(qtbot, candidates):
    table, header = candidates.table, candidates.table.horizontalHeader()
    candidates.resize(candidates.minimumSizeHint().width(), 600)
    candidates.form.show()
    candidates.show()
    # The last column is as wide as what is left: its signs have room, too.
    sign = header.fontMetrics().horizontalAdvance("≤ β Δ")
    sizes = partial(map, header.sectionSize, range(7))
    qtbot.waitUntil(lambda: sum(sizes()) <= table.viewport().width())
    assert header.sectionSize(6) >= sign
    for column in range(7):
        title = header.model().headerData(column, Qt.Orientation.Horizontal)
        shown = 0 if title is None else header.fontMetrics().horizontalAdvance(title)
        assert header.sectionSize(column) >= shown


@pytest.mark.parametrize("place", range(5))
def test_a_double_click_resets_a_slider(qtbot, candidates, place):
    masks = MasksPanel()
    qtbot.addWidget(masks)
    sliders = (candidates.alpha, candidates.beta, masks.tau, masks.concept_tau, masks.delta)
    wanted = (2.0, 0.05, 0.5, 0.5, 60.0)
    slider, default = sliders[place], wanted[place]
    assert slider.value() == default
    slider.setValue(default / 4)
    tip = slider.slider.toolTip()
    assert "Double-click" in tip
    assert float(tip.rpartition(" ")[2]) == default
    slider.slider.resize(120, 20)
    qtbot.mouseDClick(slider.slider, Qt.MouseButton.LeftButton)
    assert slider.value() == default


def test_advanced_settings_fold_away_under_their_title(candidates):
    advanced = candidates.advanced
    assert advanced.header.text() == "▸ Advanced"
    advanced.header.click()
    assert advanced.header.text() == "▾ Advanced"
    assert not advanced.components.native.isHidden()
    assert "point grid" in advanced.header.toolTip()


def automatic_with(*boxes, beta=0.05):
    """An answer over boxes (row0, column0, row1, column1) as candidates."""
    masks = np.zeros((len(boxes), *make_image().gray.shape), bool)
    for mask, (row0, column0, row1, column1) in zip(masks, boxes, strict=True):
        mask[row0:row1, column0:column1] = True
    pool = pool_of(masks)
    return Automatic(pool, np.arange(len(boxes)), ground_truth(pool, beta=beta), LeftOut())


def test_sliders_that_change_nothing_are_named(qtbot, candidates, session):
    corner, middle, small = (0, 0, 60, 60), (24, 40, 74, 90), (0, 0, 20, 20)
    session.automatic = automatic_with(corner)
    qtbot.waitUntil(lambda: "lead to another candidate" in candidates.reach.text())
    assert "lower thresholds" in candidates.reach.text()
    # Candidates that are still being made may change it.
    session.generation = Progress("decode", 64, 1024, 7.4)
    qtbot.waitUntil(lambda: not candidates.reach.text())
    session.generation = Progress(state=JobState.DONE)
    qtbot.waitUntil(lambda: bool(candidates.reach.text()))
    session.automatic = automatic_with(corner, middle)
    qtbot.waitUntil(lambda: not candidates.reach.text())
    # The small one wins nowhere.
    session.automatic = automatic_with(middle, small)
    qtbot.waitUntil(lambda: "lead to another candidate" in candidates.reach.text())
    session.automatic = automatic_with()
    qtbot.waitUntil(lambda: "No candidate passes" in candidates.reach.text())
    # Above the share of the only one there is no winner now, and below there is.
    session.automatic = automatic_with(corner, beta=1.0)
    qtbot.waitUntil(lambda: "A smaller β leads to one candidate" in candidates.reach.text())
    assert "larger than β = 1" in candidates.warning.text()


def test_the_winner_map_goes_where_it_is_clicked(qtbot, candidates, session, controller):
    session.automatic = automatic_of()
    candidates.map.resize(200, 100)
    qtbot.mouseClick(candidates.map, Qt.MouseButton.LeftButton, pos=candidates.map.rect().center())
    name, _, keywords = controller.calls[-1]
    assert name == "set_algorithm"
    assert keywords["alpha"] == pytest.approx(5, abs=0.1)
    assert keywords["beta"] == pytest.approx(0.5, abs=0.02)


def test_the_winner_map_is_what_ranking_says():
    automatic = automatic_of()
    found = winners(automatic, 10.0, 1.0)
    pool, (rows, columns) = automatic.pool, found.shape
    for row, column in ((0, 0), (rows - 1, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)):
        alpha, beta = (column + 0.5) / columns * 10, 1 - (row + 0.5) / rows
        expected = rank(pool.areas, pool.centroids, pool.shape, alpha=alpha, beta=beta).winner
        assert found[row, column] == (-1 if expected is None else expected)


def test_the_model_picker_shows_and_sets(candidates, session, controller):
    session.model = ModelInfo("bundled", "ab" * 32, "cpu")
    assert "bundled on cpu" in candidates.model.loaded.text()
    candidates.model.device.setCurrentText("cpu")
    candidates.model.device.activated.emit(1)
    assert controller.calls[-1] == ("choose_model", (ModelChoice("bundled", "cpu"),), {})


def test_official_weights_are_downloaded_only_when_asked_for(
    candidates, session, controller, monkeypatch, tmp_path
):
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(tmp_path))
    monkeypatch.setattr(pickers, "installed_path", lambda model: None)
    picker, tiny = candidates.model, pickers.OFFICIAL_MODELS[0]
    row = picker.model.findData(tiny.name)
    assert "download" in picker.model.itemText(row)
    picker.model.setCurrentIndex(row)
    picker.model.activated.emit(row)
    assert controller.calls == []
    assert picker.model.currentData() == "bundled"
    assert not picker.panel.isHidden()
    assert "156 MB" in picker.panel.text.text()
    assert tiny.address in picker.panel.text.text()
    assert candidates.minimumSizeHint().width() <= 420
    picker.panel.start.click()
    assert controller.calls == [("download", (tiny,), {})]


def test_a_download_is_followed_and_cancelled(candidates, session, controller):
    panel = candidates.model.panel
    session.download = Progress("large", 5 * 10**8, 9 * 10**8)
    assert panel.text.text() == "large: 500 of 900 MB"
    assert (panel.progress.value(), panel.progress.maximum()) == (500_000, 900_000)
    panel.cancel.click()
    assert controller.calls == [("cancel", (), {})]
    session.download = replace(session.download, state=JobState.FAILED, message="no network")
    assert panel.text.text() == "no network"
    assert panel.progress.isHidden()
    panel.cancel.click()
    assert panel.isHidden()


def test_steps_become_layers(candidates, session, viewer):
    session.automatic = automatic_of()
    candidates.steps["winner"].setChecked(True)
    assert viewer.layers["2 winner M_k"].visible


def test_picking_a_layer_opens_it(candidates, viewer, controller):
    layer = viewer.add_image(np.zeros((8, 9), np.uint8), name="other")
    candidates.image.layer.picked.emit(layer)
    name, (array, title, _), keywords = controller.calls[-1]
    assert (name, title, keywords["page"]) == ("open_array", "other", 0)
    assert array.shape == (8, 9)


def test_pages_of_a_file_are_offered(candidates, session, controller):
    image = candidates.image
    assert not image.previous.isEnabled()
    assert not image.following.isEnabled()
    open_image(session, replace(make_image(), path=Path("a.tif"), page=1, page_count=2))
    assert image.page.text() == "2 / 2"
    assert not image.following.isEnabled()
    image.previous.click()
    assert controller.calls[-1] == ("turn_page", (-1,), {})


def test_the_picker_follows_names_and_removal(candidates, viewer):
    layer = viewer.add_image(np.zeros((8, 9), np.uint8), name="other")
    layer.name = "renamed"
    texts = [candidates.image.layer.itemText(i) for i in range(candidates.image.layer.count())]
    assert texts == ["(none)", "a", "renamed"]
    viewer.layers.remove(layer)
    assert candidates.image.layer.count() == 2
    assert candidates.image.layer.layer.name == "a"


def test_painting_tools_follow_the_layer(edit, layers):
    edit.tools["paint"].click()
    assert layers.mask_layer.mode == "paint"
    layers.mask_layer.mode = "erase"
    assert edit.tools["erase"].isChecked()
    edit.brush.setValue(33)
    assert layers.mask_layer.brush_size == 33
    layers.mask_layer.brush_size = 12
    assert (edit.brush.value(), edit.diameter.value()) == (12, 12)
    edit.diameter.setValue(150)
    assert layers.mask_layer.brush_size == 150
    assert edit.diameter.value() == 150


def test_no_other_tool_looks_taken_beside_one_with_the_mouse(edit, layers):
    owner = object()
    layers.mouse.take(layers.mask_layer, owner)
    assert not any(part.isChecked() for part in edit.tools.values())
    layers.mouse.give_back(owner)
    assert edit.tools["pan_zoom"].isChecked()


def test_tab_goes_from_top_to_bottom(edit, qtbot):
    edit.resize(400, 4000)
    edit.show()
    qtbot.waitExposed(edit)
    parts, part = [], edit.tools["pan_zoom"]
    while part not in parts:
        parts.append(part)
        part = part.nextInFocusChain()
    tops = [
        each.mapTo(edit, QPoint(0, 0)).y()
        for each in parts
        if each.isVisible() and each.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    first = tops.index(min(tops))
    assert len(tops) > 20
    assert tops[first:] + tops[:first] == pytest.approx(sorted(tops), abs=12)


def test_a_tool_shows_a_hidden_mask(edit, layers):
    layers.mask_layer.visible = False
    edit.tools["paint"].click()
    assert layers.mask_layer.visible
    assert layers.mask_layer.mode == "paint"
    layers.mask_layer.visible = False
    assert edit.tools["pan_zoom"].isChecked()


def test_undo_and_redo(edit, layers):
    layers.mask_layer.paint((10, 10), 1)
    edit.undo.click()
    assert not layers.mask_layer.data.any()
    edit.redo.click()
    assert layers.mask_layer.data.any()


@pytest.mark.parametrize("name", [edit.name for edit in MASK_EDITS])
def test_every_whole_mask_edit_has_a_button(edit, controller, name):
    edit.radius.setValue(5)
    edit.edits[name].click()
    verb, arguments, keywords = controller.calls[-1]
    assert (verb, arguments) == ("edit", (name,))
    assert keywords in ({}, {"radius": 5}, {"size": 79})


def test_an_answer_that_is_offered_is_explained_and_decided_on(edit, session, controller):
    panel = edit.panels[CLICKS]
    assert not panel.apply.isEnabled()
    nothing = np.zeros((8, 8), bool)
    doubts = AnswerDoubts(missed=2, spilled=0.345)
    offer = Offer(nothing, ~nothing, Prompts(), doubts, "SAM click", {})
    session.clicks = Clicks(active=True, message="Predicted IoU 0.93", offer=offer)
    text = panel.status.text()
    said = "leaves out 2 clicks on the defect and has 34% of its area outside the box"
    assert f"not applied: {said}" in text
    panel.apply.click()
    panel.discard.click()
    assert [name for name, *_ in controller.calls[-2:]] == ["apply_offer", "discard_offer"]
    session.clicks = replace(session.clicks, offer=None)
    assert panel.status.text() == "Predicted IoU 0.93"
    assert not panel.apply.isEnabled()
    assert not panel.discard.isEnabled()


@pytest.mark.parametrize(
    ("doubts", "words"),
    [
        (AnswerDoubts(missed=1), "leaves out a click on the defect"),
        (AnswerDoubts(held=1), "holds a click on “not the defect”"),
        (AnswerDoubts(covered=0.93), "covers 93% of the image"),
        (AnswerDoubts(emptied=True), "removes the whole object"),
    ],
)
def test_every_doubt_has_words(doubts, words):
    assert words in doubt_text(doubts)


def test_the_save_state_is_visible(edit, session):
    session.update_image(save=SaveState(SaveStage.UNSAVED, message="Unsaved strokes"))
    assert edit.state.text() == "● Unsaved strokes"


def test_pixel_size_is_shown_and_entered_in_nanometres(edit, session, controller):
    panel = edit.panels[SIZE]
    session.update_image(pixel_size=2.5e-9)
    assert panel.pixel_size.value() == 2.5
    panel.pixel_size.setValue(4)
    name, (metres,), _ = controller.calls[-1]
    assert name == "set_pixel_size"
    assert metres == pytest.approx(4e-9)


def test_a_pixel_size_is_offered_to_all_images_of_a_project_only(edit, session, controller):
    panel = edit.panels[SIZE]
    assert panel.for_all.isHidden()
    session.queue = Queue("lot", Path("lot"), "anna", 3)
    assert not panel.for_all.isHidden()
    panel.for_all.click()
    assert controller.calls[-1][0] == "set_for_all"


def test_a_pixel_size_is_measured_at_the_scale_bar(edit, controller, ruler):
    panel = edit.panels[SIZE]
    controller.calls.clear()
    assert not panel.bar.isEnabled()
    panel.draw.click()
    assert ruler.calls == [True]
    ruler.active_changed.emit(True)
    assert panel.draw.isChecked()
    ruler.active_changed.emit(False)
    assert not panel.draw.isChecked()
    ruler.measured.emit(80.0)
    assert panel.bar.isEnabled()
    assert panel.bar.text() == "80.0 px are …"
    enter = "0,2 µm"
    panel.bar.lineEdit().setText(enter)
    panel.bar.interpretText()
    assert controller.calls[-1] == ("set_pixel_size", (pytest.approx(2.5e-9),), {})
    # A line needs a length of its own.
    ruler.measured.emit(100.0)
    assert (panel.bar.value(), len(controller.calls)) == (0, 1)
    panel.bar.setValue(200)
    assert controller.calls[-1] == ("set_pixel_size", (pytest.approx(2e-9),), {})
    ruler.measured.emit(None)
    assert not panel.bar.isEnabled()
    assert len(controller.calls) == 2


def test_without_an_image_editing_is_off(edit, session):
    assert edit.editing.isEnabled()
    open_image(session, None)
    assert not edit.editing.isEnabled()


def test_scores_follow_and_are_copied(scores, session, layers, viewer):
    open_image(session, make_image())
    session.automatic = automatic_of()
    truth = viewer.add_labels(layers.mask_layer.data.copy(), name="expert")
    scores.truth.picked.emit(truth)
    assert scores.values["dice"].text() == "1.0000"
    assert scores.bars["iou"].value() == 1000
    layers.mask_layer.fill((50, 60), 0)
    assert scores.values["dice"].text() == "0.0000"
    assert scores.values["precision"].text() == "–"
    scores.copy.click()
    names, values = QApplication.clipboard().text().split("\n")[:2]
    row = dict(zip(names.split("\t"), values.split("\t"), strict=True))
    assert row["fn"] == str((truth.data != 0).sum())
    assert row["truth"] == "expert"


class Paints(QObject):
    """Counts the paint events of the widgets it filters."""

    count = 0

    def eventFilter(self, watched, event):
        self.count += event.type() == QEvent.Type.Paint
        return False


def test_bars_are_not_painted_within_a_stroke(qtbot, scores, session):
    with qtbot.waitExposed(scores):
        scores.show()
    QApplication.processEvents()
    paints = Paints()
    for bar in scores.bars.values():
        bar.installEventFilter(paints)
    session.readout = Readout("a", "b", Scores(tp=1, fp=1, fn=1, tn=1))
    assert scores.bars["dice"].value() == 500
    assert paints.count == 0
    qtbot.waitUntil(lambda: paints.count >= len(scores.bars))


def test_sizes_in_pixels_and_micrometres():
    size = MaskSize(area=400, height=10, width=50)
    assert size_text(size, None) == "Mask: 400 px, 50 × 10 px, ⌀ 22.6 px"
    assert "1,600 nm², 100 nm × 20 nm, ⌀ 45.1 nm" in size_text(size, 2e-9)


def test_every_control_has_a_tooltip(candidates, edit, scores):
    for dock in (candidates, edit, scores):
        controls = [*dock.findChildren(QPushButton), *dock.findChildren(QComboBox)]
        ours = [control for control in controls if not control.objectName().startswith("qt_")]
        assert ours
        assert [control for control in ours if not control.toolTip()] == []
    for form in (
        candidates.advanced.components,
        candidates.advanced.filters,
        candidates.advanced.grid,
    ):
        assert all(entry.tooltip for entry in form.entries)


@pytest.mark.parametrize("name", ["candidates", "edit", "scores"])
def test_docks_fit_a_small_laptop(request, name):
    hint = request.getfixturevalue(name).minimumSizeHint()
    assert hint.height() <= 300
    assert hint.width() <= 420


@pytest.fixture
def shown_scores(qtbot, scores, session, layers, viewer):
    open_image(session, make_image())
    session.automatic = automatic_of()
    truth = viewer.add_labels(layers.mask_layer.data.copy(), name="expert")
    scores.truth.picked.emit(truth)
    scores.show()
    qtbot.waitUntil(lambda: scores.panel.masks.rowCount() == 4)
    return scores


def test_all_masks_of_an_image_stand_in_one_table(qtbot, shown_scores, session, viewer):
    dock, table = shown_scores, shown_scores.panel.masks
    names = [table.item(row, 0).text() for row in range(table.rowCount())]
    assert names == [
        "defect mask",
        "empty (trivial)",
        "centre disc (trivial)",
        "Otsu (trivial)",
    ]
    assert table.item(0, 1).text() == "1.000"
    other = viewer.add_labels(np.zeros_like(dock._comparison.truth.data), name="other")
    dock.prediction.picked.emit(other)
    dock.keep.click()
    dock.prediction.picked.emit(viewer.layers["defect mask"])
    qtbot.waitUntil(lambda: table.rowCount() == 5)
    assert table.item(1, 0).text() == "other"
    other.fill((1, 1), 1)
    qtbot.waitUntil(lambda: table.item(1, 6).text() == str(other.data.size))
    viewer.layers.remove(other)
    qtbot.waitUntil(lambda: table.rowCount() == 4)


def test_maps_and_curve_follow(qtbot, shown_scores, session):
    dock, found = shown_scores, make.heatmap()
    assert dock.panel.maps.isHidden()
    session.explanation.heatmaps = Heatmaps(found, (found,))
    qtbot.waitUntil(lambda: dock.panel.maps.rowCount() == 1)
    auroc = session.comparison.maps[0].localisation.auroc
    assert dock.panel.maps.item(0, 4).text() == f"{auroc:.3f}"
    dock.panel.curve.resize(226, 150)
    with qtbot.waitSignal(dock.tau_picked) as picked:
        qtbot.mouseClick(dock.panel.curve, Qt.MouseButton.LeftButton, pos=QPoint(119, 60))
    assert picked.args[0] == "tau"
    assert picked.args[1] == pytest.approx(0.5, abs=0.01)


def test_a_mask_is_proposed_beside_the_image_after_strokes_too(
    edit, session, controller, tmp_path, monkeypatch
):
    asked = []

    def ask(parent, title, start, files):
        asked.append(Path(start))
        return str(tmp_path / "other" / "mine.png"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    open_image(session, replace(make_image("die 3"), path=tmp_path / "lot" / "die 3.tif"))
    for save in (
        SaveState(SaveStage.RECOVERY, tmp_path / "hidden" / "0123.npz", "copied"),
        SaveState(SaveStage.SAVED, tmp_path / "other" / "mine.png", "saved"),
    ):
        session.update_image(save=save)
        edit.save_mask.click()
    assert asked == [tmp_path / "lot" / "die 3_mask.png"] * 2
    assert controller.calls[-1] == ("save", (tmp_path / "other" / "mine.png",), {})


def test_an_unclear_truth_is_asked_about(scores, monkeypatch, tmp_path):
    path, asked = tmp_path / "truth.png", []
    typed = iter([("rubbish", True), ("zero", True), ("zero", False)])

    def answer(_parent, _title, question, _items):
        asked.append(question)
        return next(typed)

    monkeypatch.setattr("napari_semxai.widgets.scores.dock.ask_open", lambda *_: path)
    monkeypatch.setattr(QInputDialog, "getItem", answer)
    scores.load.click()
    name, arguments, options = scores._evaluate.calls[-1]
    assert (name, arguments) == ("load_truth", (path,))
    # What is no rule is asked about again.
    options["ask"]("black may be the defect")
    assert scores._evaluate.calls[-1] == ("load_truth", (path, parse_rule("zero")), {})
    assert "black may be" in asked[0]
    assert "rubbish" in asked[1]
    before = len(scores._evaluate.calls)
    options["ask"]("black may be the defect")
    assert len(scores._evaluate.calls) == before
