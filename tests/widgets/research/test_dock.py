import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QComboBox, QPushButton

from napari_semxai.algorithms.algorithm1.ground_truth import defect_in
from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, sweep_image, sweep_set
from napari_semxai.algorithms.explanations.localisation import DELTAS, ThresholdCurve
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.cli.common.options import settings_from
from napari_semxai.cli.entry import make_parser
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.research.research import ResearchController
from napari_semxai.controllers.research.runs import EXPLANATIONS
from napari_semxai.state.comparison import TAUS, ComparisonTable, MaskRow
from napari_semxai.state.explanation import UNION, ExplanationMasks
from napari_semxai.state.queue import Queue
from napari_semxai.state.research import ImageSweep, RunState
from napari_semxai.state.session import Session
from napari_semxai.store.datasets.dataset import write_sweep
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.masks import write_mask
from napari_semxai.types import (
    AlgorithmSettings,
    FilterSettings,
    GenerateSettings,
    JobState,
    LeftOut,
)
from napari_semxai.widgets.common.progress_bar import MainThread
from napari_semxai.widgets.research.dock import ResearchDock
from napari_semxai.widgets.research.run_panel import RUNS, settings_of
from tests.doubles import Controller
from tests.explanations import concept_maps
from tests.open_images import automatic_of, make_image, open_image, propose_to
from tests.pools import pool_of, scene_masks

FIND = partial(defect_in, connectivity=8, left_out=LeftOut((0, 3, 0, 0)))


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def dock(qtbot, session):
    main_thread = MainThread()
    jobs = Jobs(main_thread.deliver, say=session.say)
    dock = ResearchDock(
        session,
        ResearchController(session, jobs, Controller(), propose_to(session)),
        Controller(),
        Controller(),
        runs=Controller(),
        jobs=jobs,
    )
    qtbot.addWidget(dock)
    dock.resize(420, 700)
    dock.show()
    yield dock
    dock.release()
    jobs.close()
    main_thread.close()


def click_data(qtbot, view, panel, x, y):
    """Click where a panel of the shown figure has these data coordinates."""
    figure = view._figure
    across, up = figure.axes[panel].transData.transform((x, y))
    pixmap = view.picture.pixmap()
    size = pixmap.size() / pixmap.devicePixelRatio()
    column = int(across / figure.bbox.width * size.width())
    row = int((1 - up / figure.bbox.height) * size.height())
    qtbot.mouseClick(view.picture, Qt.MouseButton.LeftButton, pos=QPoint(column, row))


def two_planes():
    """Return a sweep of two images whose best point is alpha 3, beta 0.2."""
    alphas, betas = np.linspace(0, 10, 11), np.linspace(0, 1, 11)
    dice = np.zeros((11, 11))
    dice[2, 3] = 0.5
    plane = ImagePlane(np.zeros((11, 11), int), dice, dice)
    return sweep_set([plane, plane], alphas, betas)


def test_a_click_on_the_picture_applies_alpha_and_beta(qtbot, dock, session):
    alphas, betas = np.linspace(0, 10, 11), np.linspace(0, 1, 11)
    masks = scene_masks()
    plane = sweep_image(pool_of(masks), masks[1], alphas, betas, FIND)
    session.sweep = ImageSweep(sweep_set([plane], alphas, betas), plane, "words")
    assert dock.advice.text() == "words"
    qtbot.waitUntil(lambda: dock.figure.drawn)
    for alpha, beta in ((5, 0.5), (10, 1), (0, 0)):
        click_data(qtbot, dock.figure, 0, alpha, beta)
        expected = {"alpha": pytest.approx(alpha, abs=1), "beta": pytest.approx(beta, abs=0.1)}
        assert dock._segment.calls[-1] == ("set_algorithm", (), expected)
        assert dock._segment.calls[-1][2]["alpha"] in alphas
    qtbot.mouseClick(dock.figure.picture, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    assert len(dock._segment.calls) == 3
    session.sweep = None
    assert not dock.figure.drawn


def test_a_click_on_a_curve_takes_its_threshold(qtbot, dock, session):
    assert "Compute an explanation" in dock.curves.best.text()
    dock.curves.draw.click()
    assert dock._curves.calls == [("draw", (False,), {})]
    dice = np.linspace(0, 1, 103)
    session.curves = (
        ThresholdCurve("Grad-CAM", "tau", TAUS, dice[:101]),
        ThresholdCurve("concept 1", "concept_tau", TAUS, dice[:101]),
        ThresholdCurve("concept 1", "delta", DELTAS, dice),
    )
    assert dock.curves.best.text().startswith("Grad-CAM: best τ 1, Dice 0.98")
    qtbot.waitUntil(lambda: dock.curves.figure.drawn)
    points = (("tau", 0.5), ("concept_tau", 0.9), ("delta", 60))
    for panel, (parameter, threshold) in enumerate(points):
        click_data(qtbot, dock.curves.figure, panel, threshold, 0.3)
        name, (own, value), _ = dock._curves.calls[-1]
        assert (name, own) == ("use", parameter)
        assert value == pytest.approx(threshold, abs=0.02 if threshold <= 1 else 5)
    session.curves = ()
    assert not dock.curves.figure.drawn


def test_a_run_is_started_followed_and_opened(qtbot, dock, session, tmp_path):
    panel = dock.run
    panel.start.click()
    assert panel._runs.calls == []
    assert "Choose a data set" in panel.state.text()
    session.queue = Queue("wafers", Path("scenes"), "Anna", 3)
    session.queue = Queue("others", Path("others"), "Anna", 3)
    panel.output.setText(str(tmp_path))
    panel.processes.setValue(2)
    panel.start.click()
    command = ["sweep", "scenes", "-o", str(tmp_path), "--jobs", "2"]
    own = settings_of(session, ("sweep",))
    assert panel._runs.calls == [("start", ([*command, *own], Path(tmp_path)), {})]
    panel.scheduler.setText(" tcp://host:8786 ")
    panel.start.click()
    command[-2:] = ["--scheduler", "tcp://host:8786"]
    assert panel._runs.calls[-1] == ("start", ([*command, *own], Path(tmp_path)), {})
    session.run = RunState(tuple(command), tmp_path, lines=("1/2", "2/2"))
    assert panel.log.toPlainText() == "1/2\n2/2"
    assert (panel.start.isEnabled(), panel.stop.isEnabled()) == (False, True)
    session.run = RunState(tuple(command), tmp_path, JobState.DONE)
    write_sweep(tmp_path / "sweep.npz", two_planes())
    panel.open.click()
    qtbot.waitUntil(lambda: panel.figure.drawn)
    assert "mean Dice 0.500 over 2 images" in panel.result.toPlainText()
    panel.apply.click()
    assert dock._segment.calls[-1] == ("set_algorithm", (), {"alpha": 3.0, "beta": 0.2})
    click_data(qtbot, panel.figure, 0, 10, 1)
    _, _, picked = dock._segment.calls[-1]
    assert picked["alpha"] == pytest.approx(10, abs=1)
    assert picked["beta"] == pytest.approx(1, abs=0.1)


def test_another_kind_of_run_in_the_same_folder_shows_its_own_result(
    qtbot, dock, session, tmp_path
):
    panel = dock.run
    write_sweep(tmp_path / "sweep.npz", two_planes())
    (tmp_path / "table.md").write_text("| method |")
    (tmp_path / "evaluation.json").write_text("{}")
    Image.new("RGB", (90, 30)).save(tmp_path / "scores.png")
    session.run = RunState(("sweep",), tmp_path, JobState.DONE)
    panel.open.click()
    qtbot.waitUntil(lambda: panel.figure.drawn)
    session.run = RunState(("evaluate",), tmp_path, JobState.DONE)
    panel.open.click()
    qtbot.waitUntil(lambda: panel.result.toPlainText() == "| method |")
    assert panel.picture.pixmap().width() >= 200
    assert not panel.apply.isEnabled()
    assert not panel.figure.isVisibleTo(panel)
    session.run = RunState(("sweep",), tmp_path, JobState.DONE)
    panel.open.click()
    qtbot.waitUntil(lambda: panel.figure.drawn)
    assert not panel.picture.isVisibleTo(panel)
    (tmp_path / "sweep.npz").write_bytes(b"damaged")
    panel.open.click()
    qtbot.waitUntil(lambda: "cannot be read as a sweep" in panel.state.text())


def test_the_mask_of_the_current_image_is_brought_into_the_editor(qtbot, dock, session, tmp_path):
    panel, image = dock.run, make_image()
    mask = image.gray > 100
    write_mask(tmp_path / "b_mask.png", mask)
    record = {"image": {"sha256": array_digest(image.pixels)}}
    (tmp_path / "b.json").write_text(json.dumps(record))
    write_mask(tmp_path / "a_mask.png", ~mask)
    session.run = RunState(("mask",), tmp_path, JobState.DONE)
    panel.open.click()
    qtbot.waitUntil(lambda: "the first is a_mask.png" in panel.result.toPlainText())
    assert panel.picture.isVisibleTo(panel)
    assert session.proposal is None
    open_image(session, image)
    panel.open.click()
    qtbot.waitUntil(lambda: session.proposal is not None)
    np.testing.assert_array_equal(session.proposal.mask, mask)
    assert not panel.take.isEnabled()
    session.update_image(edited=True)
    session.proposal = None
    panel.open.click()
    qtbot.waitUntil(lambda: panel.take.isEnabled())
    assert session.proposal is None
    panel.take.click()
    np.testing.assert_array_equal(session.proposal.mask, mask)


def test_thresholds_of_maps_are_swept(dock, session, tmp_path):
    panel = dock.run
    assert not panel.maps.isEnabled()
    panel.kind.setCurrentText("Suggest τ, δ of maps")
    assert panel.maps.isEnabled()
    panel.dataset.setText("scenes")
    panel.output.setText("out")
    panel.start.click()
    assert "folder of the maps" in panel.state.text()
    assert panel._runs.calls == []
    panel.maps.setText("report/deep")
    panel.start.click()
    command = ["sweep", "scenes", "--explanations", "deep=report/deep", "-o", "out", "--jobs", "1"]
    assert panel._runs.calls == [("start", (command, Path("out")), {})]
    (tmp_path / "deep").mkdir()
    command[3] = f"deep={tmp_path / 'deep'}"
    options = make_parser().parse_args(command)
    assert options.explanations == [("deep", tmp_path / "deep")]


def test_alpha_and_beta_are_scored_on_other_images_than_they_come_from():
    kinds = [run for run in RUNS.values() if run[0] == "evaluate" and "--method" not in run]
    assert [("--tune-alpha-beta" in command) for command in kinds] == [True, False]


def test_figures_for_a_report_are_drawn_and_saved(qtbot, dock, session, tmp_path):
    dock.figures.draw.click()
    assert "nothing of this kind" in dock.figures.figure.message.text()
    open_image(session, make_image())
    session.automatic = automatic_of()
    dock.figures.draw.click()
    qtbot.waitUntil(lambda: dock.figures.figure.drawn)
    dock.figures.figure.save_to(tmp_path / "steps.svg")
    qtbot.waitUntil(lambda: "Saved" in dock.figures.figure.message.text())
    assert "(e) mask" in (tmp_path / "steps.svg").read_text()
    masks = session.automatic.truth.mask
    dock.figures.kind.setCurrentText("Concepts")
    dock.figures.draw.click()
    assert "nothing of this kind" in dock.figures.figure.message.text()
    session.explanation.concepts = concept_maps(k=10)
    # The first eight are not ticked.
    session.explanation.masks = ExplanationMasks({"concept 9": masks, UNION: masks})
    dock.figures.draw.click()
    qtbot.waitUntil(lambda: dock.figures.figure.drawn)
    (patch,) = dock.figures.figure._figure.legends[0].get_patches()
    color = np.array(patch.get_facecolor()[:3]) * 255
    np.testing.assert_allclose(color, session.explanation.concepts.colors[8])
    session.comparison = ComparisonTable("expert", (MaskRow("own", scores(masks, masks)),))
    dock.figures.kind.setCurrentText("Table of scores")
    dock.figures.draw.click()
    qtbot.waitUntil(lambda: not dock.figures.figure.message.text())
    dock.figures.figure.save_to(tmp_path / "table.svg")
    qtbot.waitUntil(lambda: "Saved" in dock.figures.figure.message.text())
    assert ">1.000</text>" in (tmp_path / "table.svg").read_text()


def test_the_dock_fits_a_small_laptop_and_explains_itself(dock):
    hint = dock.minimumSizeHint()
    assert hint.height() <= 300
    assert hint.width() <= 420
    controls = [*dock.findChildren(QPushButton), *dock.findChildren(QComboBox)]
    ours = [control for control in controls if not control.objectName().startswith("qt_")]
    assert [control for control in ours if not control.toolTip()] == []


@pytest.mark.parametrize("kind", RUNS)
def test_every_run_is_a_command_that_exists(kind, tmp_path):
    name, *rest = RUNS[kind]
    if rest[-1:] == [EXPLANATIONS]:
        rest.append(str(tmp_path))
    session = Session()
    session.generate = GenerateSettings(points_per_side=5)
    session.filters = FilterSettings(0.5, 0.6, box_nms_thresh=0.9)
    session.algorithm = AlgorithmSettings(2.0, 0.3, 4, 7, "robust")
    command = [name, str(tmp_path), *rest, "-o", str(tmp_path), "--jobs", "2"]
    options = make_parser().parse_args([*command, *settings_of(session, RUNS[kind])])
    assert options.jobs == 2
    if name == "explain":
        assert options.classifier == "bundled"
        return
    if name == "evaluate" and "craft" not in rest:
        assert options.method == ["robust"]
    settings = settings_from(options, "robust" if name == "evaluate" else None)
    assert (settings.model, settings.device) == ("bundled", "auto")
    assert (settings.generate.points_per_side, settings.filters) == (5, session.filters)
    plane = {"alpha": 0.0, "beta": 0.0} if name == "sweep" else {}
    assert replace(settings.algorithm, **plane) == replace(session.algorithm, **plane)
