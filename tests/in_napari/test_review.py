"""A review in the real window, by real key and mouse events."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_semxai.algorithms.masks.edits import apply_patches
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.project import open_project
from napari_semxai.types import MaskRecipe, ReviewChange, ReviewState
from napari_semxai.widgets.settings.shortcuts import SHORTCUTS
from tests.in_napari.gestures import (
    ALT,
    SHAPE,
    canvas_place,
    discs,
    drag,
    held,
    number,
    open_queue,
    press,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from napari_semxai.workbench import Workbench

CONTROL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


BRUSH, RADIUS = 7, 3.5
AUTOMATIC = discs(SHAPE, 9, (30, 50))


def make_project(folder: Path, images: Path, automatic: range) -> None:
    """Make a project where some images have an automatic mask that nobody reviewed."""
    project = create_project(folder, images)
    for place in automatic:
        image = project.images[place]
        recipe = MaskRecipe("automatic", array_digest(AUTOMATIC), image.sha256)
        project.write_review(image.id, "Anna", ReviewChange(mask=AUTOMATIC, recipe=recipe))
    project.close()


def review_by_keys(workbench: Workbench, place: int) -> tuple[ReviewState, np.ndarray, str]:
    """Paint with the mouse, undo, choose a class, review; return what must be kept."""
    keys = (
        (Qt.Key.Key_Y, ReviewState.CORRECTED),
        (Qt.Key.Key_0, ReviewState.NO_DEFECT),
        (Qt.Key.Key_R, ReviewState.REJECTED),
        (Qt.Key.Key_Q, ReviewState.UNSURE),
        (Qt.Key.Key_Y, ReviewState.ACCEPTED),
    )
    key, state = keys[place % 5]
    layer = workbench.layers.mask_layer
    assert layer is not None
    if state is ReviewState.ACCEPTED:
        mask = AUTOMATIC
    else:
        assert not layer.data.any()
        press(workbench, Qt.Key.Key_B)
        assert str(layer.mode) == "paint"
        layer.brush_size = BRUSH
        row = 10 + place % 40
        path = [(row, 20 + 2 * step) for step in range(1 + place % 7)]
        for pixel in path:
            drag(workbench, pixel)
        mask = discs(SHAPE, RADIUS, *path)
        # Another stroke, and undo of it by napari's own key.
        drag(workbench, (40, 60), (41, 61))
        assert layer.data[40, 60] == 1
        press(workbench, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(layer.data != 0, mask)
    press(workbench, Qt.Key(Qt.Key.Key_1 + place % 9))
    press(workbench, key)
    kept = np.zeros(SHAPE, bool) if state is ReviewState.NO_DEFECT else mask
    return state, kept, str(1 + place % 9)


@pytest.mark.parametrize(
    "count", [6, pytest.param(50, marks=pytest.mark.slow)], ids=["6 images", "50 images"]
)
def test_a_review_by_keyboard_and_strokes_alone(
    workbench: Workbench, make_images: Callable[[int], Path], qtbot: QtBot, count: int
) -> None:
    folder = workbench.folders.projects / "images"
    make_project(folder, make_images(count), range(4, count, 5))
    open_queue(workbench, folder, qtbot)
    expected, session = {}, workbench.session
    # The second image is left out at first, and found again as the one without a review.
    for place in (0, *range(2, count), 1):
        if place == 2:
            qtbot.waitUntil(lambda: number(workbench) == 2)
            press(workbench, Qt.Key.Key_Right)
        elif place == 1:
            qtbot.waitUntil(lambda: session.queue is not None and session.queue.reviewed >= 1)
            press(workbench, Qt.Key.Key_U)
        qtbot.waitUntil(lambda place=place: number(workbench) == place + 1)
        assert session.queue is not None
        current = session.queue.current
        expected[current] = review_by_keys(workbench, place)
    qtbot.waitUntil(lambda: session.queue is not None and session.queue.reviewed == count)
    press(workbench, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: number(workbench) == 2)
    press(workbench, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(workbench) == 3)
    project = open_project(folder)
    assert len(expected) == count
    for image_id, (state, mask, label) in expected.items():
        record = project.record(image_id, "Anna")
        assert record is not None
        assert (record.state, record.label) == (state, label)
        np.testing.assert_array_equal(project.mask(image_id, "Anna"), mask)
        assert record.recipe is not None
        base = {"empty": np.zeros(SHAPE, bool), "automatic": AUTOMATIC}[record.recipe.base]
        np.testing.assert_array_equal(apply_patches(base, record.recipe.edits), mask)


def test_keys_work_whatever_has_the_focus(
    workbench: Workbench, make_images: Callable[..., Path], qtbot: QtBot
) -> None:
    keys_while_the_dock_has_the_focus(workbench, make_images(4, "dock"), qtbot)
    keys_whatever_was_clicked_last(workbench, make_images(12, "clicked"), qtbot)
    no_key_of_ours_repeats(workbench, make_images(3, "repeated"), qtbot)


def keys_while_the_dock_has_the_focus(workbench: Workbench, images: Path, qtbot: QtBot) -> None:
    open_queue(workbench, images, qtbot)
    panels = workbench.dock("Edit & review").panels
    panels["Queue"].browser.open()
    jump, rows, comment = panels["Queue"].jump, panels["Queue"].list, panels["Review"].comment
    press(workbench, Qt.Key.Key_J)
    qtbot.waitUntil(jump.hasFocus)
    QTest.keyClicks(jump, "2")
    QTest.keyClick(jump, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: number(workbench) == 2)
    rows.setFocus()
    qtbot.waitUntil(rows.hasFocus)
    QTest.keyClick(rows, Qt.Key.Key_Right, ALT)
    qtbot.waitUntil(lambda: number(workbench) == 3)
    QTest.keyClick(rows, Qt.Key.Key_D, ALT)
    qtbot.waitUntil(comment.hasFocus)
    QTest.keyClicks(comment, "edge")
    QTest.keyClick(comment, Qt.Key.Key_R, ALT)
    qtbot.waitUntil(lambda: number(workbench) == 4)
    # The canvas has the focus now: plain keys are napari's again.
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_2)
    assert str(workbench.layers.mask_layer.mode) == "paint"
    session = workbench.session
    qtbot.waitUntil(lambda: session.queue is not None and session.queue.reviewed == 1)
    record = open_project(session.queue.folder).record("image_002", "Anna")
    assert record is not None
    assert (record.state, record.comment) == (ReviewState.REJECTED, "edge")


def keys_whatever_was_clicked_last(workbench: Workbench, images: Path, qtbot: QtBot) -> None:
    open_queue(workbench, images, qtbot)
    window, dock = workbench.viewer.window._qt_window, workbench.dock("Edit & review")
    viewer = window._qt_viewer
    canvas, panels = viewer.canvas.native, dock.panels
    dock.parent().raise_()
    comment, plain = panels["Review"].comment, Qt.KeyboardModifier.NoModifier
    clicked = (
        viewer.viewerButtons.resetViewButton,
        viewer.layers.viewport(),
        panels["Queue"].filters.state,
        panels["Queue"].list.viewport(),
        dock.brush,
        comment,
    )
    for place, part in enumerate(clicked, start=1):
        qtbot.waitUntil(lambda place=place: number(workbench) == place)
        if part is panels["Queue"].filters.state:
            part.setFocus(Qt.FocusReason.MouseFocusReason)
        elif part is panels["Queue"].list.viewport():
            row = panels["Queue"].list.visualRect(panels["Queue"].model.index(place - 1))
            QTest.mouseClick(part, Qt.MouseButton.LeftButton, pos=row.center())
        else:
            QTest.mouseClick(part, Qt.MouseButton.LeftButton)
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Right, ALT)
    qtbot.waitUntil(lambda: number(workbench) == 7)
    # After a comment's Enter the letters are the canvas's, and so they are after a click on Home.
    comment.setFocus()
    qtbot.waitUntil(comment.hasFocus)
    QTest.keyClicks(comment, "at the edge")
    QTest.keyClick(comment, Qt.Key.Key_Return)
    qtbot.waitUntil(canvas.hasFocus)
    QTest.keyClick(canvas, Qt.Key.Key_R, plain)
    qtbot.waitUntil(lambda: number(workbench) == 8)
    QTest.mouseClick(viewer.viewerButtons.resetViewButton, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(canvas.hasFocus)
    QTest.keyClick(canvas, Qt.Key.Key_0, plain)
    qtbot.waitUntil(lambda: number(workbench) == 9)
    qtbot.waitUntil(lambda: workbench.session.queue.reviewed == 2)
    assert comment.text() == ""
    states = [row.state for row in workbench.session.queue.shown]
    assert states[6:8] == [ReviewState.REJECTED, ReviewState.NO_DEFECT]


def test_a_polygon_is_drawn_and_tools_stay_in_the_hand(
    workbench: Workbench, make_images: Callable[..., Path], qtbot: QtBot
) -> None:
    a_polygon_by_mouse_is_drawn_corrected_and_taken_up(workbench, make_images(1, "polygon"), qtbot)
    tools_stay_in_the_hand(workbench, make_images(4, "tools"), qtbot)


def tools_stay_in_the_hand(workbench: Workbench, images: Path, qtbot: QtBot) -> None:
    """Over images of both kinds, keys of napari, a held Space, and a button that is down."""
    color = np.random.default_rng(1).integers(0, 255, (*SHAPE, 3)).astype(np.uint8)
    Image.fromarray(color).save(images / "image_001.png")
    open_queue(workbench, images, qtbot)
    canvas = workbench.viewer.window._qt_viewer.canvas.native
    plain = Qt.KeyboardModifier.NoModifier
    assert canvas.hasFocus()
    press(workbench, Qt.Key.Key_B, plain)
    for _ in range(3):
        press(workbench, Qt.Key.Key_Period, plain)
    brush = workbench.layers.mask_layer.brush_size
    for place in (1, 2, 3):
        layer = workbench.layers.mask_layer
        for key in (Qt.Key.Key_Minus, Qt.Key.Key_Equal):
            press(workbench, key, plain)
        assert workbench.viewer.layers.selection.active is layer
        assert (str(layer.mode), layer.brush_size, layer.selected_label) == ("paint", brush, 1)
        drag(workbench, (20, 30))
        assert layer.data[20, 30] == 1
        QTest.keyPress(canvas, Qt.Key.Key_Space)
        assert str(layer.mode) == "pan_zoom"
        QTest.keyRelease(canvas, Qt.Key.Key_Space)
        assert str(layer.mode) == "paint"
        assert [one.name for one in workbench.viewer.layers if one.visible][1:] == ["defect mask"]
        press(workbench, Qt.Key.Key_Right)
        qtbot.waitUntil(lambda place=place: number(workbench) == place + 1)
    # The button is down while the image changes: what was drawn stays on the one before.
    drag(workbench, (10, 20), (10, 30), release=lambda: press(workbench, Qt.Key.Key_Left))
    qtbot.waitUntil(lambda: number(workbench) == 3)
    before = workbench.layers.mask_layer.data.copy()
    drag(workbench, (50, 70), (60, 75), press=False)
    np.testing.assert_array_equal(workbench.layers.mask_layer.data, before)
    press(workbench, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(workbench) == 4)
    assert workbench.layers.mask_layer.data[10, 20:31].all()


def a_polygon_by_mouse_is_drawn_corrected_and_taken_up(
    workbench: Workbench, images: Path, qtbot: QtBot
) -> None:
    open_queue(workbench, images, qtbot)
    workbench.dock("Edit & review").tools["polygon"].click()
    canvas = workbench.viewer.window._qt_viewer.canvas
    zoom, left = workbench.viewer.scene.camera.zoom, Qt.MouseButton.LeftButton

    def place(row: float, column: float) -> QPoint:
        return canvas_place(workbench, row, column)

    for corner in ((10, 20), (10, 60), (50, 60), (50, 20)):
        QTest.mouseClick(canvas.native, left, pos=place(*corner))
    drag(workbench, (50, 60), (70, 80))
    line, corners = workbench.lasso._marks._nodes
    # Both are drawn beside the mask, in its view.
    for node in (line, corners):
        assert node.visible
        assert node.parent is canvas.layer_to_visual[workbench.layers.mask_layer].node.parent
    assert workbench.lasso.outline.corners[2] == pytest.approx((70, 80), abs=1)
    # A double click closes it, and does not zoom.
    QTest.mouseDClick(canvas.native, left, pos=place(50, 20))
    mask = workbench.layers.mask_layer.data
    assert mask[30, 40] == mask[60, 65] == 1
    assert mask[62, 30] == 0
    assert workbench.viewer.scene.camera.zoom == zoom
    before = mask.copy()
    QTest.mouseClick(canvas.native, left, Qt.KeyboardModifier.ControlModifier, pos=place(30, 40))
    assert workbench.lasso.outline.closed
    QTest.keyClick(canvas.native, Qt.Key.Key_Return)
    np.testing.assert_array_equal(workbench.layers.mask_layer.data, before)
    press(workbench, Qt.Key.Key_B)
    assert not workbench.dock("Edit & review").tools["polygon"].isChecked()
    assert not line.visible


class Repeats(QObject):
    """Counts how often the application is told that a key is held."""

    count = 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        known = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress)
        if event.type() in known and event.isAutoRepeat() and watched.isWidgetType():
            self.count += 1
        return False


@pytest.mark.skipif(shutil.which("xdotool") is None, reason="needs xdotool")
def test_a_key_that_is_held_reviews_one_image(
    workbench: Workbench, make_images: Callable[..., Path], qtbot: QtBot
) -> None:
    for focus in ("canvas", "list", "comment"):
        open_queue(workbench, make_images(12, focus), qtbot)
        a_held_key_reviews_one_image(workbench, qtbot, focus)


def a_held_key_reviews_one_image(workbench: Workbench, qtbot: QtBot, focus: str) -> None:
    window, dock = workbench.viewer.window._qt_window, workbench.dock("Edit & review")
    qtbot.waitUntil(window.isActiveWindow)
    dock.parent().raise_()
    dock.panels["Queue"].browser.open()
    widgets = {
        "canvas": window._qt_viewer.canvas.native,
        "list": dock.panels["Queue"].list,
        "comment": dock.panels["Review"].comment,
    }
    qtbot.waitUntil(lambda: number(workbench) == 1)
    widgets[focus].setFocus()
    qtbot.waitUntil(widgets[focus].hasFocus)
    repeats = Repeats()
    QApplication.instance().installEventFilter(repeats)
    try:
        with held("alt", "0"):
            qtbot.waitUntil(lambda: repeats.count >= 20)
    finally:
        QApplication.instance().removeEventFilter(repeats)
    written: list[object] = []
    workbench.writes.run("turn", lambda: None, written.append, written.append)
    qtbot.waitUntil(lambda: bool(written))
    assert number(workbench) == 2
    assert workbench.session.queue.reviewed == 1
    # A second press is a second review.
    with held("alt", "0"):
        qtbot.waitUntil(lambda: number(workbench) == 3)
    qtbot.waitUntil(lambda: workbench.session.queue.reviewed == 2)


def no_key_of_ours_repeats(workbench: Workbench, images: Path, qtbot: QtBot) -> None:
    open_queue(workbench, images, qtbot)
    canvas = workbench.viewer.window._qt_viewer.canvas.native
    for _ in range(3):
        QApplication.sendEvent(
            canvas, QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_0, ALT, "", True)
        )
    assert number(workbench) == 1
    keys = workbench.keys
    shortcuts = [*keys._everywhere.values(), *keys._on_canvas.values()]
    assert len(shortcuts) == 2 * len(SHORTCUTS)
    assert not [shortcut.key().toString() for shortcut in shortcuts if shortcut.autoRepeat()]


def test_undo_in_the_window(
    workbench: Workbench, make_images: Callable[..., Path], qtbot: QtBot
) -> None:
    for way in ("key", "button"):
        open_queue(workbench, make_images(3, way), qtbot)
        a_review_is_undone(workbench, qtbot, way)
    open_queue(workbench, make_images(3, "pixels"), qtbot)
    undo_never_brings_pixels_of_another_image(workbench, qtbot)


def a_review_is_undone(workbench: Workbench, qtbot: QtBot, way: str) -> None:
    button = workbench.dock("Edit & review").panels["Review"].undo
    assert not button.isEnabled()
    workbench.layers.mask_layer.paint((20, 30), 1)
    painted = workbench.layers.mask_layer.data != 0
    press(workbench, Qt.Key.Key_0)
    qtbot.waitUntil(lambda: number(workbench) == 2)
    assert "“no defect” of image_000" in button.toolTip()
    press(workbench, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(workbench) == 3)
    if way == "key":
        press(workbench, Qt.Key.Key_Z)
    else:
        button.click()
    qtbot.waitUntil(lambda: number(workbench) == 1)
    np.testing.assert_array_equal(workbench.layers.mask_layer.data != 0, painted)
    assert workbench.session.message.startswith("Undone: “no defect” of image_000")
    assert not button.isEnabled()
    project = open_project(workbench.session.queue.folder)
    qtbot.waitUntil(lambda: workbench.session.queue.reviewed == 0)
    qtbot.waitUntil(lambda: project.record("image_000", "Anna").history[-1].kind == "undo")
    np.testing.assert_array_equal(project.mask("image_000", "Anna"), painted)


def undo_never_brings_pixels_of_another_image(workbench: Workbench, qtbot: QtBot) -> None:
    workbench.layers.mask_layer.paint((20, 20), 1)
    press(workbench, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(workbench) == 2)
    press(workbench, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not workbench.layers.mask_layer.data.any()
    names = [layer.name for layer in workbench.viewer.layers]
    assert len(names) == 2
    press(workbench, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    assert workbench.layers.mask_layer.data[20, 20] == 1


def test_two_annotators_see_differences_and_take_the_majority(
    workbench: Workbench, make_images: Callable[[int], Path], qtbot: QtBot, tmp_path: Path
) -> None:
    images, session = make_images(2), workbench.session
    for name, column in (("Anna", 20), ("Ben", 30), ("Carla", 31)):
        workbench.projects.open(images, name)
        qtbot.waitUntil(
            lambda name=name: (
                session.queue is not None
                and (session.queue.annotator, session.queue.number) == (name, 1)
            )
        )
        workbench.layers.mask_layer.paint((20, column), 1)
        press(workbench, Qt.Key.Key_Y)
        qtbot.waitUntil(lambda: session.queue.reviewed == 1 and number(workbench) == 2)
    panels = workbench.dock("Edit & review").panels
    panels["Annotators"].compare.click()
    assert "Review the image first" in session.message
    press(workbench, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    panels["Annotators"].compare.click()
    qtbot.waitUntil(lambda: session.others is not None)
    assert "anna – ben: Dice 0.000" in panels["Annotators"].text.text()
    picture = workbench.viewer.layers["differences"]
    assert picture.visible
    assert picture.data.shape == (SHAPE[0], 2 * SHAPE[1] + round(0.04 * SHAPE[1]), 3)
    assert {"annotator anna", "annotator ben"} <= {layer.name for layer in workbench.viewer.layers}
    panels["Annotators"].majority.click()
    qtbot.waitUntil(lambda: session.proposal is not None)
    project = open_project(workbench.folders.projects / "images")
    both = project.mask("image_000", "Ben") & project.mask("image_000", "Carla")
    np.testing.assert_array_equal(workbench.layers.mask_layer.data != 0, both)
    assert both.any()
    press(workbench, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    mine = project.mask("image_000", "Carla")
    np.testing.assert_array_equal(workbench.layers.mask_layer.data != 0, mine)
    panels["Annotators"].blind.setChecked(False)
    panels["Project"].whose.setCurrentText("consensus")
    panels["Project"].export_to(tmp_path / "masks")
    qtbot.waitUntil(lambda: (tmp_path / "masks" / "image_000.png").exists())
    exported = np.asarray(Image.open(tmp_path / "masks" / "image_000.png"))
    np.testing.assert_array_equal(exported == 255, both)


def take_click_tool(
    workbench: Workbench, qtbot: QtBot, seed: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Show a scene and take the tool; return the true defect and its middle."""
    from napari_semxai.algorithms.synthetic import SceneSpec, make_scene
    from napari_semxai.store.images.read import image_from_array

    scene = make_scene(SceneSpec(shape=(120, 120), radius=18), seed=seed)
    workbench.images.show(image_from_array(scene.image, "scene"))
    qtbot.waitExposed(workbench.viewer.window._qt_window)
    # In the active window a menu's key would go before the canvas's: napari's Alt+C is one.
    workbench.viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(workbench.viewer.window._qt_window.isActiveWindow)
    press(workbench, Qt.Key.Key_C)
    assert workbench.session.clicks.active
    wait_for_answer(workbench, qtbot)
    row, column = np.argwhere(scene.defect).mean(axis=0).round().astype(int)
    return scene.defect, (int(row), int(column))


def wait_for_answer(workbench: Workbench, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: workbench.session.clicks.state == "idle", timeout=120_000)


def click(
    workbench: Workbench, qtbot: QtBot, pixel: tuple[int, int], button: Qt.MouseButton
) -> None:
    """Click on a pixel, and wait for the network."""
    canvas = workbench.viewer.window._qt_viewer.canvas.native
    QTest.mouseClick(canvas, button, pos=canvas_place(workbench, *pixel))
    wait_for_answer(workbench, qtbot)


def test_sam_answers_to_the_mouse_on_the_canvas(
    workbench: Workbench, make_images: Callable[..., Path], qtbot: QtBot
) -> None:
    the_click_tool_is_taken_by_its_key_on_every_image(workbench, make_images(2), qtbot)
    clicks_by_mouse(workbench, qtbot)
    a_box_and_a_click_beside_brush_strokes(workbench, qtbot)


def the_click_tool_is_taken_by_its_key_on_every_image(
    workbench: Workbench, images: Path, qtbot: QtBot
) -> None:
    open_queue(workbench, images, qtbot)
    press(workbench, Qt.Key.Key_C)
    press(workbench, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(workbench) == 2)
    for _ in range(2):
        press(workbench, Qt.Key.Key_C)
        assert workbench.session.clicks.active
    press(workbench, Qt.Key.Key_I)
    assert not workbench.session.clicks.active


def clicks_by_mouse(workbench: Workbench, qtbot: QtBot) -> None:
    _, (row, column) = take_click_tool(workbench, qtbot, seed=3)
    session, layer = workbench.session, workbench.layers.mask_layer
    click(workbench, qtbot, (row, column), Qt.MouseButton.LeftButton)
    assert len(session.clicks.prompts.points) == 1
    assert session.clicks.prompts.points[0] == pytest.approx((row + 0.5, column + 0.5), abs=0.5)
    assert layer.data[row, column] == 1
    # Not the defect: the pixel of the object that is farthest to the right.
    places = np.argwhere(layer.data)
    edge = tuple(map(int, places[places[:, 1].argmax()]))
    click(workbench, qtbot, edge, Qt.MouseButton.RightButton)
    assert session.clicks.prompts.foreground == (True, False)
    assert session.clicks.prompts.points[1] == pytest.approx(np.add(edge, 0.5), abs=0.5)
    assert layer.data[row, column] == 1
    assert layer.data[edge] == 0
    for _ in range(2):
        press(workbench, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not layer.data.any()
    assert not session.clicks.prompts
    assert len(workbench.viewer.layers["SAM clicks"].data) == 0
    press(workbench, Qt.Key.Key_Z, CONTROL_SHIFT)
    assert layer.data[row, column] == 1
    assert len(workbench.viewer.layers["SAM clicks"].data) == 1


def a_box_and_a_click_beside_brush_strokes(workbench: Workbench, qtbot: QtBot) -> None:
    defect, (row, column) = take_click_tool(workbench, qtbot, seed=4)
    session, layer = workbench.session, workbench.layers.mask_layer
    top, left = np.argwhere(defect).min(axis=0) - 2
    bottom, right = np.argwhere(defect).max(axis=0) + 2
    drag(workbench, (top, left), (row, column), (bottom, right))
    wait_for_answer(workbench, qtbot)
    box = (top + 0.5, left + 0.5, bottom + 0.5, right + 0.5)
    assert session.clicks.prompts.box == pytest.approx(box, abs=0.5)
    found = layer.data != 0
    assert scores(found, defect).dice > 0.7
    corner = (8, 8) if not defect[:20, :20].any() else (110, 110)
    press(workbench, Qt.Key.Key_B)
    layer.brush_size = BRUSH
    drag(workbench, corner)
    stroke = discs(defect.shape, RADIUS, corner)
    np.testing.assert_array_equal(layer.data != 0, found | stroke)
    press(workbench, Qt.Key.Key_C)
    wait_for_answer(workbench, qtbot)
    click(workbench, qtbot, (row, column), Qt.MouseButton.LeftButton)
    assert layer.data[stroke].all()
    assert layer.data[row, column] == 1
    press(workbench, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert layer.data[stroke].all()


@pytest.mark.parametrize("what", ["picture", "mask", "all layers"])
def test_a_layer_that_was_removed_by_hand_comes_back_before_the_review(
    workbench: Workbench, make_images: Callable[[int], Path], qtbot: QtBot, what: str
) -> None:
    open_queue(workbench, make_images(2), qtbot)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    layers = workbench.layers
    layers.mask_layer.paint((20, 30), 1)
    painted = layers.mask_layer.data.copy()
    parts = {"picture": [layers.image_layer], "mask": [layers.mask_layer]}
    for layer in parts.get(what, list(workbench.viewer.layers)):
        workbench.viewer.layers.remove(layer)
    press(workbench, Qt.Key.Key_0)
    assert "is shown again" in workbench.session.message
    assert list(workbench.viewer.layers)[-2:] == [layers.image_layer, layers.mask_layer]
    np.testing.assert_array_equal(layers.mask_layer.data, painted)
    press(workbench, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: number(workbench) == 2)
    qtbot.waitUntil(lambda: workbench.session.queue.reviewed == 1)
    assert workbench.session.queue.shown[0].state is ReviewState.CORRECTED
