"""The main job in a real viewer, with the real engine process and the bundled network."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import napari
import numpy as np
import psutil
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QTabBar

from benchmarks import startup
from napari_semxai import plugin, scores
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.store.images.masks import read_mask
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import GenerateSettings, WarmRequest
from napari_semxai.types.settings import PAPER, ROBUST
from napari_semxai.workbench import DOCKS
from tests.in_napari.gestures import press

GENERATE_MILLISECONDS = 120_000
REAL = Path(__file__).parents[2] / "shared" / "data" / "real" / "carinthia_a.png"


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def workbench(viewer, qtbot, folders):
    workbench = plugin.open_workbench(viewer, folders)
    workbench.segment.set_generate(GenerateSettings(points_per_side=8))
    yield workbench
    plugin.close_workbench(workbench)


@pytest.fixture
def sample(workbench, qtbot):
    workbench.open_sample()
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    return workbench


def generate(workbench, qtbot):
    session = workbench.session
    workbench.segment.generate()
    qtbot.waitUntil(
        lambda: session.generation.state in ("done", "failed"), timeout=GENERATE_MILLISECONDS
    )
    assert session.generation.state == "done", session.generation.message


def drag(workbench, start, end):
    """Paint with real mouse events from one (row, column) to another."""
    canvas = workbench.viewer.window._qt_viewer.canvas
    widget = canvas.native
    points = [QPoint(*_on_canvas(workbench.viewer, widget, place)) for place in (start, end)]
    QTest.mouseMove(widget, points[0])
    QTest.mousePress(widget, Qt.MouseButton.LeftButton, pos=points[0])
    for step in range(1, 11):
        QTest.mouseMove(widget, points[0] + (points[1] - points[0]) * step / 10)
        QApplication.processEvents()
    QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, pos=points[1])
    QApplication.processEvents()


def _on_canvas(viewer, widget, place):
    camera = viewer.scene.camera
    zoom, (centre_row, centre_column) = camera.zoom, camera.center[-2:]
    return (
        round(widget.width() / 2 + (place[1] - centre_column) * zoom),
        round(widget.height() / 2 + (place[0] - centre_row) * zoom),
    )


@pytest.mark.usefixtures("engine_on_demand")
def test_a_sample_over_an_open_image_is_what_the_docks_work_on(workbench, qtbot):
    workbench.viewer.add_image(np.full((64, 80), 90, np.uint8), name="mine")
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    for key, shown in (("defect", "SEM defect"), ("six_classes", "class 1")):
        assert workbench.session.image.name == "mine"
        _a_sample_is_what_the_docks_work_on(workbench, key, shown, qtbot)


def _a_sample_is_what_the_docks_work_on(workbench, key, shown, qtbot):
    first = next(
        layer
        for layer in reversed(workbench.viewer.open_sample("napari-semxai", key))
        if isinstance(layer, napari.layers.Image)
    )
    qtbot.waitUntil(lambda: shown in workbench.session.image.name)
    assert workbench.layers.image_layer is first
    assert first.visible
    np.testing.assert_array_equal(workbench.session.image.gray, first.data)
    assert workbench.dock("Mask candidates").image.layer.layer is first
    # Whoever picks another image is not called back to the sample by what happens to the layers.
    workbench.dock("Mask candidates").image.open_layer(workbench.viewer.layers["mine"])
    qtbot.waitUntil(lambda: workbench.session.image.name == "mine")
    workbench.viewer.add_image(np.zeros((8, 8), np.uint8), name="other")
    assert workbench.session.image.name == "mine"


def test_the_main_job_and_an_image_that_comes_back(sample, qtbot, tmp_path):
    workbench, session = sample, sample.session
    generate(workbench, qtbot)
    assert session.model.name == "bundled"
    assert len(session.pool) > 0
    _comes_back_with_its_automatic_mask(workbench)

    for alpha in (0.5, 2.0, 4.0):
        workbench.segment.set_algorithm(algorithm=PAPER, alpha=alpha)
        expected = ground_truth(
            session.automatic.pool,
            alpha=alpha,
            ignore_border=workbench.segment.ranking.left_out.border,
        )
        np.testing.assert_array_equal(workbench.layers.mask_layer.data != 0, expected.mask)
    workbench.segment.set_algorithm(algorithm=ROBUST)
    assert scores(workbench.layers.mask_layer.data, expected.mask).dice > 0.9

    assert workbench.segment.ranking.left_out.border == (0, 3, 0, 0)
    assert session.readout.truth == "SEM defect, exact mask"
    before = session.readout.scores
    layer = workbench.layers.mask_layer
    workbench.layers.take_tool("paint")
    drag(workbench, (100, 100), (130, 160))
    assert session.edited
    assert layer.data[115, 130] == 1
    truth = workbench.viewer.layers["SEM defect, exact mask"].data
    assert session.readout.scores == scores(layer.data, truth) != before

    painted = layer.data.copy()
    workbench.segment.set_algorithm(alpha=1.0)
    np.testing.assert_array_equal(layer.data, painted)

    layer.undo()
    assert session.readout.scores == scores(layer.data, truth)
    layer.redo()
    np.testing.assert_array_equal(layer.data, painted)

    workbench.edit.save(tmp_path / "mask.png")
    qtbot.waitUntil(lambda: session.save.state == "saved")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), painted != 0)
    _comes_back_with_its_strokes(workbench, tmp_path / "mask.png")


def _comes_back_with_its_automatic_mask(workbench):
    session, first = workbench.session, workbench.session.image
    automatic, candidates = workbench.layers.mask_layer.data.copy(), len(session.pool)
    assert automatic.any()
    workbench.images.show(image_from_array(np.zeros((60, 70), np.uint8), "other"))
    assert session.pool is None
    workbench.images.show(first)
    np.testing.assert_array_equal(workbench.layers.mask_layer.data, automatic)
    assert len(session.pool) == candidates


def _comes_back_with_its_strokes(workbench, saved):
    session, first = workbench.session, workbench.session.image
    painted = workbench.layers.mask_layer.data.copy()
    workbench.images.show(image_from_array(np.zeros((60, 70), np.uint8), "other"))
    workbench.images.show(first)
    np.testing.assert_array_equal(workbench.layers.mask_layer.data, painted)
    assert session.edited
    assert session.save.path == saved
    workbench.segment.set_algorithm(alpha=4.0)
    np.testing.assert_array_equal(workbench.layers.mask_layer.data, painted)


def _a_person_sees_mask_and_numbers(workbench, qtbot):
    layer = workbench.layers.mask_layer

    def warmth():
        """Red less blue of every pixel of the canvas."""
        picture = workbench.viewer.screenshot(canvas_only=True, flash=False).astype(int)
        return picture[..., 0] - picture[..., 2]

    layer.visible = False
    qtbot.waitUntil(lambda: (abs(warmth()) <= 40).all())
    layer.visible = True
    workbench.edit.start_mask(workbench.layers.watch.live)
    layer.fill((10, 10), 1)
    qtbot.waitUntil(lambda: (warmth() > 40).sum() > 1000)
    dock = workbench.dock("Scores")
    assert dock.values["dice"].text() == f"{workbench.session.readout.scores.dice:.4f}"


def test_the_mask_stays_when_a_job_is_cancelled_or_its_engine_dies_which_ends_with_the_window(
    make_napari_viewer, qtbot, folders
):
    viewer = make_napari_viewer(show=True)
    workbench = plugin.open_workbench(viewer, folders)
    session = workbench.session
    qtbot.waitUntil(lambda: workbench.engine.pid is not None)
    workbench.segment.set_generate(GenerateSettings(points_per_side=8))
    workbench.open_sample()
    qtbot.waitUntil(lambda: session.image is not None)
    generate(workbench, qtbot)
    _a_person_sees_mask_and_numbers(workbench, qtbot)
    _cancelled(workbench, qtbot)
    workbench.layers.mask_layer.paint((50, 50), 1)
    mask = workbench.layers.mask_layer.data.copy()
    workbench.segment.set_generate(GenerateSettings(points_per_side=64))
    workbench.segment.generate()
    qtbot.waitUntil(lambda: session.generation.done > 0, timeout=GENERATE_MILLISECONDS)
    os.kill(workbench.engine.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: session.generation.state == "failed")
    assert "engine" in session.generation.message
    np.testing.assert_array_equal(workbench.layers.mask_layer.data, mask)
    workbench.segment.set_generate(GenerateSettings(points_per_side=4))
    workbench.segment.generate()
    qtbot.waitUntil(lambda: session.generation.state == "done", timeout=GENERATE_MILLISECONDS)
    process = psutil.Process(workbench.engine.pid)
    viewer.close()
    qtbot.waitUntil(lambda: not process.is_running() or process.status() == "zombie")
    assert viewer not in plugin._workbenches


def _cancelled(workbench, qtbot):
    session = workbench.session
    workbench.segment.set_generate(GenerateSettings(points_per_side=64))
    workbench.segment.generate()
    qtbot.waitUntil(lambda: session.generation.done > 0, timeout=GENERATE_MILLISECONDS)
    workbench.segment.cancel()
    done = session.generation.done
    # The engine answers requests in turn: once it has answered another one, nothing late can come.
    ended = []
    workbench.engine.submit(
        WarmRequest("bundled", "cpu"),
        destination="another",
        on_update=lambda update: None,
        on_done=lambda: ended.append("done"),
        on_failed=ended.append,
    )
    qtbot.waitUntil(lambda: bool(ended), timeout=GENERATE_MILLISECONDS)
    assert ended == ["done"]
    assert (session.generation.state, session.generation.done) == ("cancelled", done)
    assert session.automatic is not None


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_file(), reason="needs the real SEM images in ../shared/data")
def test_the_particle_of_a_real_image_is_found(workbench, qtbot):
    workbench.segment.set_generate(GenerateSettings())
    workbench.images.open_file(REAL)
    qtbot.waitUntil(lambda: workbench.session.image is not None, timeout=60_000)
    workbench.segment.generate()
    qtbot.waitUntil(
        lambda: workbench.session.generation.state in ("done", "failed"), timeout=1_200_000
    )
    found = workbench.layers.mask_layer.data != 0
    outline = read_mask(REAL.with_name("carinthia_a_outline.png"))
    assert scores(found, outline).dice >= 0.80
    # The black strip.
    assert not found[:, 477:].any()


@pytest.mark.usefixtures("engine_on_demand")
def test_docks_open_once_fit_a_small_laptop_open_again_and_are_not_shared(
    workbench, viewer, qtbot, make_napari_viewer, folders
):
    docks = {title: workbench.dock(title) for title in DOCKS}
    assert plugin.open_workbench(viewer) is workbench
    assert napari.current_viewer() is viewer
    assert plugin.open_workbench() is workbench
    assert plugin.make_scores_dock(viewer) is docks["Scores"]
    assert workbench.docks == docks
    assert len(viewer.window.dock_widgets) == len(DOCKS)

    window = viewer.window._qt_window
    [tabs] = [bar for bar in window.findChildren(QTabBar) if bar.count() == len(DOCKS)]
    titles = [tabs.tabText(place) for place in range(tabs.count())]
    assert titles == ["Candidates", "Edit", "Explain", "Scores", "Survey", "Research"]
    assert window.minimumSizeHint().width() <= 1366
    assert window.minimumSizeHint().height() <= 768

    viewer.window.remove_dock_widget(docks["Scores"])
    docks.pop("Scores").deleteLater()
    qtbot.waitUntil(lambda: "Scores" not in workbench.docks)
    workbench.show()
    assert set(viewer.window.dock_widgets) == {f"{title} (SEMXAI)" for title in DOCKS}

    other = plugin.workbench_of(make_napari_viewer(), folders)
    assert other.session is not workbench.session
    assert other.engine is not workbench.engine
    plugin.close_workbench(other)


@pytest.mark.usefixtures("engine_on_demand")
def test_an_image_dropped_on_the_viewer_is_taken_and_keys_work(workbench, viewer, qtbot):
    viewer.add_image(np.random.default_rng(0).random((50, 60)), name="dropped")
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    assert workbench.session.image.name == "dropped"
    assert workbench.session.image.gray.dtype == np.uint8
    assert [layer.name for layer in viewer.layers] == ["dropped", "defect mask"]
    layer = workbench.layers.mask_layer
    press(workbench, Qt.Key.Key_M)
    QApplication.processEvents()
    assert not layer.visible
    press(workbench, Qt.Key.Key_B)
    QApplication.processEvents()
    assert layer.mode == "paint"


@pytest.mark.usefixtures("engine_on_demand")
def test_pages_of_a_stack_are_images_of_their_own(workbench, viewer, qtbot):
    stack = np.random.default_rng(0).integers(0, 255, (3, 40, 50), dtype=np.uint8)
    viewer.add_image(stack, name="stack")
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    page = viewer.dims.current_step[0]
    np.testing.assert_array_equal(workbench.session.image.gray, stack[page])
    workbench.layers.mask_layer.paint((10, 10), 1)
    viewer.dims.set_current_step(0, (page + 1) % 3)
    qtbot.waitUntil(lambda: (workbench.session.image.gray == stack[(page + 1) % 3]).all())
    assert not workbench.layers.mask_layer.data.any()
    viewer.dims.set_current_step(0, page)
    qtbot.waitUntil(lambda: workbench.layers.mask_layer.data.any())


def run_python(code, tmp_path, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


GUI_FLOW = """
    import os, signal, sys, napari
    from pathlib import Path
    from napari_semxai.algorithms.synthetic import scene_of_class
    from napari_semxai.plugin import open_workbench
    from napari_semxai.state.session import ModelChoice
    from napari_semxai.store.images.read import image_from_array
    from napari_semxai.types import GenerateSettings
    from tests.waiting import wait
    viewer = napari.Viewer(show=True)
    workbench = open_workbench(viewer)
    session = workbench.session
    workbench.segment.set_generate(GenerateSettings(points_per_side=4))
    def generate_and_paint():
        workbench.segment.generate()
        wait(lambda: session.generation.state in ("done", "failed"))
        workbench.layers.mask_layer.paint((100, 100), 1)
        workbench.edit.edit("grow", radius=2)
        wait(lambda: session.proposal is not None)
        wait(lambda: session.save.state == "recovery")
    workbench.images.show(image_from_array(scene_of_class(1, 0).image, "another"))
    generate_and_paint()
    folder = Path(os.environ["XDG_STATE_HOME"])
    workbench.segment.set_algorithm(alpha=3.0, beta=0.1)
    workbench.edit.save(folder / "mask.png")
    wait(lambda: session.save.state == "saved")
    workbench.edit.load(folder / "mask.png")
    workbench.evaluate.load_truth(folder / "mask.png")
    wait(lambda: session.loaded_truth is not None)
    workbench.dock("Scores").copy.click()
    workbench.table.save(folder / "scores.csv")
    wait((folder / "scores.csv").is_file)
    workbench.segment.choose_model(ModelChoice("bundled", "cpu"))
    wait(lambda: session.model is not None)
    workbench.clicks.activate(True)
    workbench.clicks.click(100.5, 100.5, foreground=True)
    wait(lambda: session.clicks.message)
    workbench.explaining.heatmaps.explain()
    wait(lambda: session.explanation.heatmaps.active is not None)
    workbench.research.sweep()
    workbench.survey.open(folder / "answers.csv")
    workbench.survey.summarise()
    workbench.open_sample()
    wait(lambda: session.image.name != "another")
    generate_and_paint()
    heavy = {"torch", "tensorflow", "cv2", "sam2", "pytorch_grad_cam", "xplique"}
    print("state", session.generation.state, "heavy", sorted(heavy & set(sys.modules)), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_strokes_survive_a_kill_of_a_process_without_network_libraries_and_are_offered(
    tmp_path, folders, make_napari_viewer, qtbot
):
    result = run_python(GUI_FLOW, tmp_path)
    assert "state done heavy []" in result.stdout, result.stderr
    assert result.returncode == -signal.SIGKILL, result.stderr
    folder = tmp_path / "napari-semxai" / "recovery"
    folders = replace(folders, recovery=folder)
    workbench = plugin.open_workbench(make_napari_viewer(show=True), folders)
    workbench.open_sample()
    qtbot.waitUntil(lambda: workbench.session.recovery is not None)
    dock = workbench.dock("Edit & review")
    assert not dock.recovery.isHidden()
    # The tab in front says so, too.
    assert "unsaved strokes" in workbench.dock("Mask candidates").run.status.text()
    dock.restore.click()
    qtbot.waitUntil(lambda: workbench.layers.mask_layer.data.any())
    assert workbench.layers.mask_layer.data[100, 100] == 1
    plugin.close_workbench(workbench)


def test_what_only_some_jobs_need_is_not_loaded_at_the_start():
    script = (
        "import sys, napari_semxai.plugin\n"
        "late = 'scipy.stats', 'scipy.ndimage', 'scipy.optimize', 'sklearn', 'torch'\n"
        "print([name for name in late if name in sys.modules])"
    )
    command = [sys.executable, "-W", "ignore", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_opening_the_workbench_is_quick(tmp_path):
    """A share of napari's own start, in processor time: machines differ, and are busy."""

    def measure():
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.startup", "--once"],
            env=os.environ
            | {"XDG_STATE_HOME": str(tmp_path), "NAPARI_CONFIG": str(tmp_path / "n.yaml")},
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
        return json.loads(result.stdout.splitlines()[-1])

    # The best of a few: others on the same cores cost processor time, too.
    for _ in range(4):
        seconds = measure()
        library, napari_itself = (seconds[name][1] for name in (startup.LIBRARY, startup.NAPARI))
        wall, busy = seconds[startup.WORKBENCH]
        if library < 0.1 * napari_itself and busy < 0.7 * napari_itself:
            break
    assert library < 0.1 * napari_itself
    assert busy < 0.7 * napari_itself
    # Nor does it wait, for example for the engine.
    assert wall < 15
