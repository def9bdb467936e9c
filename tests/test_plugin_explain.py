"""Explanations in a real viewer, with the real engine process and the bundled classifier."""

import json
import time
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLabel
from skimage import data

from napari_semxai import plugin, scores
from napari_semxai.algorithms.explanations.masks import threshold_mask
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.state.explanation import HEAT_MAP, CraftSettings
from napari_semxai.store.images.read import image_from_array
from tests import explanations as make
from tests.in_napari.gestures import press

HEAT_MASK = "heat map mask"

ANSWER_MILLISECONDS = 240_000


@pytest.fixture
def workbench(engine_on_demand, make_napari_viewer, qtbot, folders, tmp_path, monkeypatch):
    # The engine keeps concepts there, with the names that a test gives them.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    viewer = make_napari_viewer(show=True)
    workbench = plugin.open_workbench(viewer, folders)
    workbench.open_sample()
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    # Behind other tabs it costs nothing.
    assert not workbench.explain_engine.alive
    yield workbench
    plugin.close_workbench(workbench)


@pytest.fixture
def explained(workbench, qtbot):
    _explain(workbench, qtbot)
    return workbench


def _explain(workbench, qtbot):
    state = workbench.session.explanation
    workbench.dock("Explain").parent().raise_()
    workbench.explaining.heatmaps.explain()

    def answered():
        for activity in (state.classifying, state.explaining):
            assert activity.state != "failed", activity.message
        return state.heatmaps.active is not None and state.classification is not None

    qtbot.waitUntil(answered, timeout=ANSWER_MILLISECONDS)
    qtbot.waitUntil(lambda: state.network is not None, timeout=ANSWER_MILLISECONDS)


def test_explanations_in_the_window(workbench, qtbot, tmp_path):
    own = workbench.session.explanation.choice
    _answers_with_nan_are_said_and_show_nothing(workbench, qtbot, tmp_path)
    workbench.explaining.classify.choose_classifier(own)
    _explain(workbench, qtbot)
    _from_class_to_mask_to_score(workbench, qtbot)
    workbench.dock("Explain").parent().raise_()
    _a_photograph_has_no_class(workbench, qtbot)


def _from_class_to_mask_to_score(workbench, qtbot):
    session = workbench.session
    state, dock = session.explanation, workbench.dock("Explain")
    # What a person reads and sees.
    name = state.classification.class_names[state.classification.predicted]
    assert name in dock.classifier.predicted.text()
    assert "synthetic" in dock.classifier.training.text()
    heatmap = state.heatmaps.active
    assert heatmap.values.shape == session.image.gray.shape
    layer = workbench.viewer.layers[f"Grad-CAM: {name}"]
    np.testing.assert_allclose(
        np.nan_to_num(layer.data), heatmap.values * np.float32(heatmap.raw_maximum), rtol=1e-6
    )

    # τ acts on the layer while it moves.
    outline = workbench.viewer.layers[HEAT_MASK]
    for tau in (0.3, 0.8):
        dock.masks.tau.setValue(tau)
        expected = threshold_mask(heatmap.values, tau)
        np.testing.assert_array_equal(outline.data != 0, expected)

    # Into the editor as one undoable edit, live in the scores.
    dock.masks.send.click()
    mask_layer = workbench.layers.mask_layer
    np.testing.assert_array_equal(mask_layer.data != 0, expected)
    truth = workbench.viewer.layers["SEM defect, exact mask"].data
    assert session.readout.scores == scores(mask_layer.data, truth)
    mask_layer.undo()
    assert not mask_layer.data.any()

    # Beside all others in the Scores dock.
    workbench.dock("Scores").parent().raise_()
    qtbot.waitUntil(lambda: any(row.name == HEAT_MAP for row in session.comparison.masks))
    row = next(row for row in session.comparison.masks if row.name == HEAT_MAP)
    assert row.scores == scores(expected, truth)

    # Another class, and back at once; the keys.
    other = (heatmap.target + 1) % len(state.classification.class_names)
    workbench.explaining.classify.set_target(other)
    qtbot.waitUntil(lambda: state.heatmaps.active is not None, timeout=ANSWER_MILLISECONDS)
    assert state.heatmaps.active.target == other
    workbench.explaining.classify.set_target(heatmap.target)
    # Out of the cache; where the engine was asked twice at the start it may be the second answer.
    assert state.heatmaps.active.target == heatmap.target
    np.testing.assert_array_equal(state.heatmaps.active.values, heatmap.values)
    _motions_cost_little(workbench, (heatmap.target, other))
    _hidden_by_a_key(workbench, layer, outline)


def _hidden_by_a_key(workbench, *layers):
    press(workbench, Qt.Key.Key_X)
    QApplication.processEvents()
    assert not any(layer.visible for layer in layers)


def _motions_cost_little(workbench, classes):
    """Signal to layer, as a ratio to napari's own refresh of one mask layer of this size."""
    dock, layer = workbench.dock("Explain").masks, workbench.layers.mask_layer
    explaining, state = workbench.explaining, workbench.session.explanation
    refreshes = []
    for step in range(20):
        layer.data[step, step] = 1
        refreshes.append(_seconds(layer.refresh))
        QApplication.processEvents()
    state.concepts = make.concept_maps(shape=workbench.session.image.gray.shape)
    motions = {
        "tau": lambda step: dock.tau.setValue(0.2 + 0.02 * step),
        "toggle": lambda step: explaining.masks.set_masks(
            concepts=frozenset((0, 1, 2) if step % 2 else (0, 1))
        ),
        "delta": lambda step: dock.delta.setValue(40 + step),
        # Last: without a bank for them, concepts go with their class.
        "class": lambda step: explaining.classify.set_target(classes[step % 2]),
    }
    ratios = {}
    for name, move in motions.items():
        dock.paper.setChecked(name == "delta")
        times = []
        for step in range(22):
            times.append(_seconds(lambda move=move, step=step: move(step)))
            QApplication.processEvents()
        # The first ones make layers and render colours.
        ratios[name] = median(times[2:]) / median(refreshes)
    dock.paper.setChecked(False)
    explaining.classify.set_target(classes[0])
    # Measured 1 to 4; showing and hiding layers, or an image-sized sort, would be 10 and more.
    assert {name: ratio for name, ratio in ratios.items() if ratio > 8} == {}, ratios


@pytest.mark.slow
def test_concepts_in_the_window(explained, qtbot):
    workbench, state = explained, explained.session.explanation
    concepts = workbench.explaining.concepts
    label = state.classification.predicted + 1
    scenes = [scene_of_class(label, seed=100 + number) for number in range(4)]
    concepts.add_images(
        [image_from_array(scene.image, f"{number}") for number, scene in enumerate(scenes)]
    )
    concepts.set_craft(CraftSettings(n_concepts=4))
    concepts.fit()

    def fitted():
        assert state.fitting.state != "failed", state.fitting.message
        return state.concepts is not None

    qtbot.waitUntil(fitted, timeout=2 * ANSWER_MILLISECONDS)
    dock = workbench.dock("Explain")
    assert len(dock.concepts.concepts.rows) == 4
    # Layers come one turn of the event loop after the maps.
    qtbot.waitUntil(lambda: "concept 1" in workbench.viewer.layers)
    assert workbench.viewer.layers["concept 1"].visible
    assert "⚠ Fitted on 4 images" in dock.concepts.quality.toPlainText()
    assert state.concepts.refinement == "fine"

    # Named, and fewer of them while the slider moves.
    first = dock.concepts.concepts.rows[0]
    first.name.setText("edge")
    first.name.editingFinished.emit()
    qtbot.waitUntil(lambda: "concept 1: edge" in workbench.viewer.layers)
    dock.concepts.count.setValue(3)
    qtbot.waitUntil(
        lambda: state.concepts is not None and len(state.concepts.maps) == 3,
        timeout=2 * ANSWER_MILLISECONDS,
    )
    assert len(dock.concepts.concepts.rows) == 3
    dock.concepts.concepts.rows[0].strip.picked.emit(0)
    qtbot.waitUntil(lambda: workbench.session.image.name in "0123")


def _a_photograph_has_no_class(workbench, qtbot):
    state = workbench.session.explanation
    dock = workbench.dock("Explain").classifier
    workbench.images.show(image_from_array(data.rocket(), "rocket"))
    qtbot.waitUntil(
        lambda: state.classification is not None and state.classification.strange,
        timeout=ANSWER_MILLISECONDS,
    )
    assert "Unlike anything it was trained on" in dock.predicted.text()
    said = [dock.predicted.text(), *(dock.target.itemText(n) for n in range(dock.target.count()))]
    assert not any("%" in text for text in said)


def _seconds(call):
    begin = time.thread_time()
    call()
    return time.thread_time() - begin


def _answers_with_nan_are_said_and_show_nothing(workbench, qtbot, tmp_path):
    from napari_semxai.backends.runtime.libraries import load_triton

    # The window is open: torchvision may not be the one to load triton.
    load_triton()
    import torch
    from safetensors.torch import save_file
    from torchvision import models

    weights = models.resnet18(num_classes=3).state_dict()
    weights["fc.weight"] = torch.full_like(weights["fc.weight"], float("nan"))
    path = tmp_path / "nan.safetensors"
    save_file(weights, path)
    values = {"architecture": "resnet18", "class_names": list("abc"), "input_size": [64, 64]}
    path.with_suffix(".json").write_text(json.dumps(values))
    state, layers = workbench.session.explanation, list(workbench.viewer.layers)
    dock = workbench.dock("Explain")
    dock.parent().raise_()
    workbench.explaining.classify.choose_classifier(replace(state.choice, classifier=str(path)))
    workbench.explaining.heatmaps.explain()
    for activity in ("classifying", "explaining"):
        qtbot.waitUntil(
            lambda activity=activity: getattr(state, activity).state == "failed",
            timeout=ANSWER_MILLISECONDS,
        )
        assert "nan.safetensors: answers with NaN" in getattr(state, activity).message
    assert state.classification is None
    assert state.heatmaps.active is None
    assert list(workbench.viewer.layers) == layers
    texts = [label.text() for label in dock.findChildren(QLabel)]
    assert any("answers with NaN" in text for text in texts)
    assert not any("nan%" in text for text in texts)
