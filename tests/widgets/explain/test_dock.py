"""The Explain dock as a view: model to widget and widget to model."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QComboBox,
    QFileDialog,
    QLabel,
    QWidget,
)

from napari_semxai.controllers.explain.sources import hex_color
from napari_semxai.layers.explain.explanations import ExplanationLayers, Look
from napari_semxai.layers.explain.float_layers import LegendEntry
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.explanation import (
    CONCEPTS,
    CamSettings,
    ClassifierChoice,
    CraftSettings,
    ExplanationMasks,
    ExplanationMaskSettings,
    ExplanationPicture,
    Heatmaps,
)
from napari_semxai.state.session import Session
from napari_semxai.types import (
    JobState,
    Progress,
    Registration,
    ReviewedFile,
    SweepAdvice,
    SweepRow,
)
from napari_semxai.types.colors import chip
from napari_semxai.widgets.common.forms import row
from napari_semxai.widgets.explain.classifier_panel import SYNTHETIC
from napari_semxai.widgets.explain.concept_list import ConceptList, Legend
from napari_semxai.widgets.explain.dock import ExplainDock
from napari_semxai.widgets.explain.heatmap_panel import LayerTree
from napari_semxai.widgets.explain.masks_panel import parse_colors
from tests import explanations as make
from tests.doubles import Controller, Edit
from tests.open_images import make_image, open_image


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def state(session):
    return session.explanation


@pytest.fixture
def controllers():
    return SimpleNamespace(
        classify=Controller(), heatmaps=Controller(), concepts=Controller(), masks=Controller()
    )


@pytest.fixture
def shown(session):
    viewer = ViewerModel()
    layers = SessionLayers(viewer, session, Edit())
    shown = ExplanationLayers(viewer, session, layers)
    yield shown
    shown.release()
    layers.release()


@pytest.fixture
def dock(qtbot, session, controllers, shown):
    dock = ExplainDock(session, controllers, shown)
    qtbot.addWidget(dock)
    open_image(session, make_image())
    yield dock
    dock.release()


def test_looking_at_the_dock_warms_the_classifier(qtbot, dock, controllers):
    dock.show()
    assert controllers.classify.calls == []
    qtbot.waitUntil(lambda: controllers.classify.calls == [("warm", (), {})])


def test_class_and_confidence_are_shown(dock, state, controllers):
    state.classification = make.classification()
    assert "Class 3" in dock.classifier.predicted.text()
    assert "90.0%" in dock.classifier.predicted.text()
    assert dock.classifier.training.text() == SYNTHETIC
    assert not dock.classifier.training.isHidden()
    own = replace(make.INFO, synthetic=False)
    state.classification = replace(make.classification(), info=own)
    assert dock.classifier.training.isHidden()
    state.classification = replace(make.classification(), strange=True)
    assert "Unlike anything" in dock.classifier.predicted.text()
    assert "%" not in dock.classifier.predicted.text()
    assert "%" not in dock.classifier.target.itemText(3)
    doubtful = np.float32([0.5, 0.4, 0.1, 0, 0, 0])
    state.classification = replace(make.classification(), probabilities=doubtful)
    assert "Class 1 or Class 2" in dock.classifier.predicted.text()
    assert dock.classifier.predicted.text().endswith("Class 1 50%, Class 2 40%, Class 3 10%")
    assert dock.classifier.target.itemText(2) == "Class 2 (40.0%)"
    state.target = 4
    assert dock.classifier.target.currentText().startswith("Class 5")
    dock.classifier.target.activated.emit(0)
    assert controllers.classify.calls[-1] == ("set_target", (None,), {})
    dock.classifier.target.activated.emit(2)
    assert controllers.classify.calls[-1] == ("set_target", (1,), {})


def test_images_most_alike_with_class_and_review(qtbot, dock, state, controllers):
    dock.classifier.find.click()
    assert controllers.classify.calls[-1][0] == "find_nearest"
    files = ReviewedFile(Path("a.png"), label="pit", state="accepted"), ReviewedFile(Path("b.png"))
    state.nearest = make.nearest(files)
    said = dock.classifier.names.text()
    assert said == "pit (accepted, 0.90) · no class (not reviewed, 0.50)"
    dock.classifier.strip.picked.emit(1)
    assert controllers.classify.calls[-1] == ("open_nearest", (1,), {})
    state.nearest = None
    assert dock.classifier.names.text() == ""


def test_another_classifier_can_be_opened(dock, state, controllers, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("own.safetensors", ""))
    dock.classifier.classifier.activated.emit(1)
    choice = ClassifierChoice("own.safetensors")
    assert controllers.classify.calls == [("choose_classifier", (choice,), {})]
    state.choice = choice
    assert dock.classifier.classifier.currentText() == "own.safetensors"


def test_a_refusal_is_read_in_full(dock, state):
    state.classifying = Progress(
        state=JobState.FAILED, message="own.pt: holds os.system; convert it"
    )
    assert dock.classifier.status.text() == "⚠ own.pt: holds os.system; convert it"


def test_methods_and_cost_before_they_run(dock, state, controllers):
    state.network = make.network()
    method = dock.gradcam.method
    titles = [method.itemText(place) for place in range(method.count())]
    assert titles[0] == "Grad-CAM"
    assert "Score-CAM" in titles
    assert dock.gradcam.bar.status.text().startswith("Takes about 0.")
    method.activated.emit(titles.index("Score-CAM"))
    assert controllers.heatmaps.calls[-1] == ("set_cam", (CamSettings("scorecam"),), {})
    assert "Slow: about 13 s, 257 forward passes" in dock.gradcam.bar.status.text()
    dock.gradcam.bar.start.click()
    assert controllers.heatmaps.calls[-1] == ("explain", (), {})


def test_what_another_method_costs_is_said_after_one_was_cancelled(dock, state):
    state.network = make.network()
    state.explaining = Progress("rise", 2, 63)
    state.explaining = Progress("rise", 2, 63, state=JobState.CANCELLED)
    assert dock.gradcam.bar.status.text() == "Cancelled"
    state.cam = CamSettings("scorecam")
    assert "Slow: about 13 s" in dock.gradcam.bar.status.text()


def test_layers_are_ticked_in_a_tree(dock, state, controllers):
    state.network = make.network()
    tree = dock.gradcam.tree
    item = tree.topLevelItem(0)
    assert item.childCount() == 1
    item.setCheckState(0, Qt.CheckState.Checked)
    assert controllers.heatmaps.calls[-1][1] == (CamSettings(layers=("layer3",)),)
    state.cam = CamSettings(layers=("layer4", "layer3.0"))
    assert item.checkState(0) == Qt.CheckState.Unchecked
    assert item.child(0).checkState(0) == Qt.CheckState.Checked
    linear = tree.topLevelItem(tree.topLevelItemCount() - 1)
    assert not linear.flags() & Qt.ItemFlag.ItemIsUserCheckable
    assert linear.toolTip(0) == "its output is no map"


def test_progress_and_cancel(dock, state, controllers):
    state.explaining = Progress("runs", 3, 10, 4.6)
    assert dock.gradcam.bar.status.text() == "Runs: 3 of 10, about 5 s left …"
    dock.gradcam.bar.cancel.click()
    assert controllers.heatmaps.calls[-1] == ("cancel", (), {})
    state.explaining = Progress(state=JobState.DONE)
    assert dock.gradcam.bar.progress.isHidden()


def test_what_a_heat_map_says(dock, state):
    found = make.heatmap()
    state.heatmaps = Heatmaps(found, (found,))
    assert "Class 3 · layer layer4 · peak 3.5 · heat map 1 of 1" in dock.gradcam.result.text()
    nothing = make.heatmap(raw_maximum=0)
    state.heatmaps = Heatmaps(nothing, (nothing,))
    assert "No evidence for Class 3" in dock.gradcam.result.text()
    # Scaled before their mean is taken: it has no unit.
    several = replace(found, layers=("layer3", "layer4"))
    state.heatmaps = Heatmaps(several, (several,))
    assert dock.gradcam.result.text() == "Class 3 · layers layer3, layer4 · mean · heat map 1 of 1"


def test_a_heat_map_is_checked(dock, state, controllers):
    assert not dock.gradcam.check.isEnabled()
    state.network = make.network()
    found = make.heatmap()
    state.heatmaps = Heatmaps(found, (found,))
    dock.gradcam.check.click()
    assert controllers.heatmaps.calls[-1][0] == "check"
    state.checks = make.checks()
    said = dock.gradcam.checks.text()
    assert "grey fill: insertion 0.70, deletion 0.20" in said
    assert "noise 0.97" in said
    assert "⚠" not in said
    state.checks = make.checks(randomised=0.9, deletion=0.8)
    assert dock.gradcam.checks.text().count("⚠") == 2
    assert "the weights hardly matter" in dock.gradcam.checks.text()
    state.checks = None
    assert dock.gradcam.checks.text() == ""


def test_methods_that_say_the_same_are_named(dock, state):
    first, other = make.heatmap(), make.heatmap(method="hirescam")
    state.heatmaps = Heatmaps(other, (first, other))
    assert dock.gradcam.result.text().endswith("heat map 2 of 2 · same map as Grad-CAM")
    different = replace(other, values=1 - other.values)
    state.heatmaps = Heatmaps(different, (first, different))
    assert dock.gradcam.result.text().endswith("heat map 2 of 2")


def test_where_a_layer_looks_is_told_and_can_be_left_as_drawn(dock, state, controllers):
    place = Registration("layer4", (-0.1, 0.25), (0, 0), (0, 0), 0.2)
    shown = replace(make.heatmap(), registrations=(place,))
    rows, columns = shown.values.shape
    state.heatmaps = Heatmaps(shown, (shown,))
    assert dock.gradcam.place.text() == (
        f"layer4 looks {round(rows / 10)} px above and {round(columns / 4)} px right of where the "
        "library draws it: moved"
    )
    dock.gradcam.as_drawn.setChecked(True)
    assert controllers.heatmaps.calls[-1] == ("set_cam", (CamSettings(as_drawn=True),), {})
    state.cam = CamSettings(as_drawn=True)
    state.cam = CamSettings()
    assert not dock.gradcam.as_drawn.isChecked()
    drawn = replace(shown, as_drawn=True)
    state.heatmaps = Heatmaps(drawn, (drawn,))
    assert dock.gradcam.place.text().endswith(": as the library draws it")


def test_without_craft_the_dock_says_what_to_install(dock, state):
    state.network = replace(make.network(), craft_missing="pip install 'napari-semxai[craft]'")
    # Cells need nothing.
    assert dock.concepts.bar.status.text() == ""
    assert dock.concepts.bar.start.isEnabled()
    state.craft = CraftSettings(pieces="crops")
    assert "napari-semxai[craft]" in dock.concepts.bar.status.text()
    assert not dock.concepts.bar.start.isEnabled()
    state.network = make.network()
    assert dock.concepts.bar.status.text() == ""
    assert dock.concepts.bar.start.isEnabled()


def test_settings_of_craft(dock, state, controllers):
    state.network = make.network()
    names = [dock.concepts.layer.itemData(place) for place in range(dock.concepts.layer.count())]
    assert names == ["", "layer3", "layer3.0", "layer4"]
    dock.concepts.layer.activated.emit(1)
    assert controllers.concepts.calls[-1] == ("set_craft", (CraftSettings("layer3"),), {})
    dock.concepts.form["n_concepts"].value = 7
    assert controllers.concepts.calls[-1][1][0].n_concepts == 7
    assert dock.concepts.count.value() == 7
    dock.concepts.form["pieces"].value = "crops"
    assert controllers.concepts.calls[-1][1][0].pieces == "crops"
    dock.concepts.count.setValue(9)
    assert controllers.concepts.calls[-1][1][0].n_concepts == 9
    state.craft = CraftSettings("layer4", 5, 32, 1, "guided")
    assert dock.concepts.form["patch_size"].value == 32
    assert dock.concepts.layer.currentData() == "layer4"


def test_concepts_as_legend_bars_and_gallery(qtbot, dock, state, controllers):
    state.bank, state.concepts = make.bank(), make.concept_maps()
    rows = dock.concepts.concepts.rows
    assert [row.value.text() for row in rows[:2]] == ["0.500", "0.404"]
    assert [row.box.isChecked() for row in rows] == [True] * 3 + [False] * 3
    rows[4].box.setChecked(True)
    assert controllers.masks.calls[-1][2] == {"concepts": frozenset((0, 1, 2, 4))}
    state.mask_settings = ExplanationMaskSettings(local=True, concepts=frozenset((5,)))
    assert rows[0].value.text() == "0.020"
    assert [row.box.isChecked() for row in rows] == [False] * 5 + [True]
    said = dock.concepts.quality.toPlainText()
    assert "91% of the activations" in said
    assert said.startswith("⚠ Fitted on 2 images")
    state.bank = replace(make.bank(), n_images=1)
    assert f"{state.bank.class_name}, 1 image, layer" in dock.concepts.quality.toPlainText()
    state.bank = replace(make.bank(), names=("", "rim"))
    assert [row.name.text() for row in dock.concepts.concepts.rows[:3]] == ["", "rim", ""]
    row = dock.concepts.concepts.rows[2]
    row.name.setText("edge")
    row.name.editingFinished.emit()
    assert controllers.concepts.calls[-1] == ("name_concept", (2, "edge"), {})


def test_a_named_concept_keeps_its_importance_in_the_legend(dock, state):
    state.bank, state.concepts = make.bank(), make.concept_maps()
    dock.legend.set_entries(
        tuple(LegendEntry(name, ("#27cdff",), 0, 1) for name in ("concept 1: rim", "concept 2"))
    )
    named, other = (f"{share:.0%}" for share in state.bank.importances[:2].tolist())
    assert dock.legend.text().index(named) < dock.legend.text().index("concept&nbsp;2")
    assert dock.legend.text().endswith(other)


def test_one_legend_names_what_is_on_show(qtbot, dock, shown, session, state):
    open_image(session, make_image())
    state.bank = make.bank()
    found = make.heatmap(raw_maximum=3.5)
    state.heatmaps = Heatmaps(found, (found,))
    state.concepts = make.concept_maps()
    # The layers come in the next turn of the event loop, the legend in that after it.
    qtbot.waitUntil(lambda: "concept" in dock.legend.text())
    dock.legend.resize(400, 60)
    text = dock.legend.text()
    assert "Grad-CAM:&nbsp;Class&nbsp;3 0" in text
    assert "3.5<br>" in text
    share = f"&nbsp;{state.bank.importances[0]:.0%}"
    assert chip("concept&nbsp;1", hex_color(state.concepts.colors[0])) + share in text
    shown.toggle()
    qtbot.waitUntil(lambda: dock.legend.text() == "")
    # It takes no room from anything while it is empty, and stands beside the line of the jobs.
    foot = row(QWidget(), QLabel())
    dock.set_foot(foot)
    assert dock.legend.parent() is foot
    assert dock.foot.sizeHint().height() >= dock.legend.sizeHint().height()
    dock.legend.setStyleSheet("font-size: 30px")
    dock.resize(420, 500)
    dock.show()
    assert dock.viewport().geometry().bottom() < dock.foot.geometry().top()


def test_a_long_legend_keeps_its_lines(qtbot):
    legend = Legend()
    qtbot.addWidget(legend)
    legend.resize(400, legend.sizeHint().height())
    heat = tuple(
        LegendEntry(f"LayerCAM, features.expand{n} + features.head: particle", ("#000000",) * 9, n)
        for n in range(5)
    )
    concepts = tuple(LegendEntry(f"concept {n}", ("#27cdff",), 1) for n in range(1, 11))
    named = LegendEntry("concept 11: rim", ("#27cdff",), 1)
    for entries, lines in ((heat[:3], 3), (heat, 3), (heat + concepts, 3), (heat[:1], 1)):
        legend.set_entries(entries)
        assert legend.text().count("<br>") == lines - 1
        assert QLabel.heightForWidth(legend, 400) <= legend.sizeHint().height()
        # Nothing is lost: the tooltip has the names in full.
        assert heat[0].name in legend.toolTip()
    assert "…" in legend.text()
    legend.set_entries(heat)
    assert "and 3 more" in legend.text()
    legend.set_entries((heat[0], *concepts, named))
    assert "concept" not in legend.text()
    assert "rim" in legend.text()
    assert QLabel.heightForWidth(legend, 400) <= legend.sizeHint().height()


def test_maps_of_one_scale_have_one_line(qtbot):
    legend = Legend()
    qtbot.addWidget(legend)
    legend.resize(400, legend.sizeHint().height())
    heat = [LegendEntry(f"Grad-CAM, layer{n}", ("#000000", "#ffffff"), 1) for n in range(3)]
    difference = LegendEntry("Grad-CAM, layer0 − layer1", ("#0072b2", "#e69f00"), 1, -1)
    legend.set_entries((*heat, difference))
    first, second = legend.text().replace("&nbsp;", " ").split("<br>")
    assert first.startswith("3 heat maps, each to its maximum: 0")
    assert second.startswith("difference, first − second -1")
    assert all(one.name in legend.toolTip() for one in (*heat, difference))


def test_layers_that_can_be_ticked_have_a_box_in_sight(qtbot):
    tree = LayerTree()
    qtbot.addWidget(tree)
    tree.set_network(make.network())
    tree.resize(300, 200)
    picture = tree.grab().toImage()
    gray = QColor("gray").rgb()
    edge = [
        (column, row)
        for column in range(picture.width())
        for row in range(picture.height())
        if picture.pixel(column, row) == gray
    ]
    assert len(edge) > 40


def test_rows_serve_another_bank(qtbot):
    concepts = ConceptList()
    qtbot.addWidget(concepts)
    concepts.set_bank(make.bank())
    concepts.show()
    first = concepts.rows[0]
    places = [row.geometry() for row in concepts.rows[:3]]
    other = make.bank(k=3, key="other")
    other.colors[0] = (1, 2, 3)
    concepts.set_bank(other)
    assert len(concepts.rows) == 3
    assert concepts.rows[0] is first
    concepts.layout().activate()
    assert [row.geometry() for row in concepts.rows] == places
    color = first.strip.grab().toImage().pixelColor(10, 1)
    assert color.getRgb()[:3] == (1, 2, 3)
    concepts.set_bank(None)
    assert concepts.rows == []


def test_concepts_are_opened_and_saved(dock, state, controllers, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("a.safetensors", ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("b.safetensors", ""))
    dock.concepts.open.click()
    assert controllers.concepts.calls[-1] == ("open_bank", (Path("a.safetensors"),), {})
    assert not dock.concepts.save.isEnabled()
    state.bank = replace(make.bank(), clamp_agreement=0.875)
    assert "keeps the predicted class of 88%" in dock.concepts.quality.toPlainText()
    dock.concepts.save.click()
    assert controllers.concepts.calls[-1] == ("save_bank", (Path("b.safetensors"),), {})


def test_a_crop_is_clicked(qtbot):
    concepts = ConceptList()
    qtbot.addWidget(concepts)
    concepts.set_bank(make.bank())
    concepts.resize(400, 300)
    concepts.show()
    strip = concepts.rows[2].strip
    with qtbot.waitSignal(concepts.crop_picked) as picked:
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(40, 10))
    assert picked.args == [2, 1]
    # The frame has the concept's colour: legend, bar and gallery show the same.
    color = strip.grab().toImage().pixelColor(10, 1)
    np.testing.assert_allclose(color.getRgb()[:3], make.bank().colors[2], atol=3)


def test_sliders_show_and_set(dock, state, controllers):
    state.mask_settings = ExplanationMaskSettings(tau=0.25, concept_tau=0.75, delta=90)
    masks = dock.masks
    assert (masks.tau.value(), masks.concept_tau.value(), masks.delta.value()) == (0.25, 0.75, 90)
    assert controllers.masks.calls == []
    for slider, name, value in (
        (masks.tau, "tau", 0.5),
        (masks.concept_tau, "concept_tau", 0.1),
        (masks.delta, "delta", 120.0),
    ):
        slider.setValue(value)
        assert controllers.masks.calls[-1] == ("set_masks", (), {name: value})


def test_paper_mode_comes_with_a_warning(dock, state, controllers):
    assert dock.masks.warning.text() == ""
    dock.masks.paper.setChecked(True)
    assert controllers.masks.calls[-1][2] == {"paper": True}
    state.mask_settings = ExplanationMaskSettings(paper=True)
    assert "ring" in dock.masks.warning.text()


def test_masks_are_sent_by_name(dock, state, controllers):
    assert not dock.masks.send.isEnabled()
    masks = {"heat map": np.eye(10, dtype=bool), "concept 1": np.zeros((10, 10), bool)}
    state.masks = ExplanationMasks(masks)
    assert dock.masks.area.text() == "10 px, 10.00% of the image"
    dock.masks.mask.setCurrentIndex(1)
    dock.masks.send.click()
    assert controllers.masks.calls[-1] == ("send", ("concept 1",), {})
    state.masks = ExplanationMasks(masks | {"picture": masks["heat map"]})
    assert dock.masks.mask.currentText() == "concept 1"
    dock.masks.sam.click()
    assert controllers.masks.calls[-1] == ("send_to_sam", ("concept 1",), {})


def test_pictures_are_cropped_and_coloured(dock, state, controllers):
    rgb = np.zeros((700, 1800, 3), np.uint8)
    state.picture = ExplanationPicture(
        rgb, "figure.png", "craft", (151, 488, 556, 892), ((1, 2, 3),)
    )
    panel = dock.picture
    assert [box.value() for box in panel.crop.values()] == [151, 488, 556, 892]
    assert panel.colors.text() == "#010203"
    panel.crop["top"].setValue(160)
    assert controllers.masks.calls[-1][1][0].crop == (160, 488, 556, 892)
    panel.colors.setText("#0a0b0c, 0d0e0f")
    panel.colors.editingFinished.emit()
    assert controllers.masks.calls[-1][1][0].colors == ((10, 11, 12), (13, 14, 15))
    panel.drop.click()
    assert controllers.masks.calls[-1] == ("set_picture", (None,), {})


def test_colours_that_are_none_are_left_out():
    assert parse_colors("#27cdff nonsense #12345 FA0051") == ((39, 205, 255), (250, 0, 81))


def test_tuning_shows_rows_and_reasons(dock, state, controllers):
    rows = tuple(SweepRow("layer3", k, 64, 0.9, 0.95, 0.8, 5, float("nan"), 3.0) for k in (5, 12))
    state.sweep = rows
    assert dock.tuning.table.item(1, 1).text() == "12"
    assert dock.tuning.table.item(0, 7).text() == "–"
    state.advice = SweepAdvice(rows, 1, ("It is more stable.",))
    assert "k = 12" in dock.tuning.advice.text()
    assert "more stable" in dock.tuning.advice.text()
    dock.tuning.table.cellDoubleClicked.emit(1, 0)
    assert controllers.concepts.calls[-1] == ("use", (rows[1],), {})


def test_what_is_on_show(dock, shown):
    dock.looks["side_by_side"].setChecked(True)
    assert shown.look == Look(side_by_side=True)
    shown.toggle()
    assert not dock.looks["visible"].isChecked()


def test_heat_maps_are_compared(dock, state, controllers, shown):
    dock.compare.setChecked(True)
    assert controllers.heatmaps.calls[-1] == ("set_compare", (True,), {})
    # Masks lie over the first map alone, and would change its colours.
    assert shown.look == Look(side_by_side=True, masks=False)
    dock.looks["side_by_side"].setChecked(False)
    assert not dock.compare.isChecked()
    assert controllers.heatmaps.calls[-1] == ("set_compare", (False,), {})
    assert shown.look == Look()
    dock.looks["masks"].setChecked(False)
    dock.compare.setChecked(True)
    dock.compare.setChecked(False)
    assert not shown.look.masks
    state.compare = True
    assert dock.compare.isChecked()
    state.compare = False
    assert not dock.compare.isChecked()


def test_one_thing_after_the_other(dock, state, controllers):
    found = make.heatmap()
    state.heatmaps = Heatmaps(found, (found,))
    assert not dock.gradcam.next.isEnabled()
    state.concepts = make.concept_maps()
    assert dock.gradcam.next.isEnabled()
    dock.gradcam.next.click()
    assert controllers.heatmaps.calls[-1][0] == "show_next"
    assert dock.together.isChecked()
    state.alone = CONCEPTS
    assert not dock.together.isChecked()
    dock.together.setChecked(True)
    assert controllers.heatmaps.calls[-1] == ("set_together", (True,), {})
    state.heatmaps = Heatmaps()
    assert not dock.gradcam.next.isEnabled()


def test_a_dock_that_opens_later_shows_everything(qtbot, session, state, controllers, shown):
    open_image(session, make_image())
    state.network, state.classification = make.network(), make.classification()
    found = make.heatmap()
    state.heatmaps = Heatmaps(found, (found,))
    state.bank, state.concepts = make.bank(), make.concept_maps()
    dock = ExplainDock(session, controllers, shown)
    qtbot.addWidget(dock)
    assert dock.classifier.status.text() == ""
    assert dock.gradcam.method.count() == len(state.network.methods)
    assert len(dock.concepts.concepts.rows) == 6
    assert "Class 3" in dock.gradcam.result.text()
    dock.release()


def test_every_control_has_a_tooltip_and_the_dock_fits(dock, state):
    state.bank = make.bank()
    kinds = (QAbstractButton, QComboBox, QAbstractSlider)
    controls = [part for kind in kinds for part in dock.findChildren(kind)]
    ours = [
        part
        for part in controls
        if not part.objectName().startswith("qt_")
        and type(part).__name__ not in ("QScrollBar", "QTableCornerButton")
        and type(part.parent()).__name__ not in ("QTableWidget", "QTreeWidget")
    ]
    assert len(ours) > 20
    assert [part for part in ours if not (part.toolTip() or part.parent().toolTip())] == []
    assert dock.minimumSizeHint().height() <= 300
    assert dock.minimumSizeHint().width() <= 420
