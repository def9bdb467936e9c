"""What one sees of the mask and of its defects, and what one takes along, by keys."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_semxai.types import IGNORED
from tests.in_napari.gestures import ALT, SHAPE, canvas_place, discs, number, open_queue, press

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from napari_semxai.workbench import Workbench

SHIFT = Qt.KeyboardModifier.ShiftModifier
LARGE, SMALL = discs(SHAPE, 9, (20, 20)), discs(SHAPE, 4, (50, 65))


@pytest.fixture
def opened(workbench: Workbench, make_images: Callable[[int], Path], qtbot: QtBot) -> Workbench:
    open_queue(workbench, make_images(2), qtbot)
    workbench.edit.propose(LARGE | SMALL, "paint")
    return workbench


def seen(workbench: Workbench) -> tuple[tuple[float, float], float]:
    """Return the pixel in the middle of the view, and the zoom."""
    camera = workbench.viewer.scene.camera
    row, column = workbench.layers.layout.placement.pixel(camera.center[-2:])
    return (float(row), float(column)), float(camera.zoom)


def test_one_key_zooms_from_defect_to_defect(opened: Workbench, qtbot: QtBot) -> None:
    found = [seen(opened)]
    plain = Qt.KeyboardModifier.NoModifier
    # The plain letter does the same on the canvas.
    for modifier in (ALT, ALT, plain, plain):
        press(opened, Qt.Key.Key_O, modifier)
        # The defects are looked for in a thread.
        qtbot.waitUntil(lambda: seen(opened) != found[-1])
        found.append(seen(opened))
    places, zooms = zip(*found, strict=True)
    np.testing.assert_allclose(places[1], (20, 20), atol=1)
    np.testing.assert_allclose(places[2], (50, 65), atol=1)
    # The smaller defect is seen larger, and after the last the whole image.
    assert zooms[2] > zooms[1] > zooms[0]
    assert found[3] == found[0]
    assert found[4] == found[1]


def test_outline_and_opacity_by_keys_stay_over_images(opened: Workbench, qtbot: QtBot) -> None:
    layer = opened.layers.mask_layer
    filled, opacity = opened.viewer.screenshot(flash=False), layer.opacity
    press(opened, Qt.Key.Key_K)
    assert layer.contour > 0
    outlined = opened.viewer.screenshot(flash=False)
    # The middle of the defect is the image again.
    assert (filled != outlined).any()
    press(opened, Qt.Key.Key_K, ALT | SHIFT)
    assert layer.opacity > opacity
    looks = layer.contour, layer.opacity
    press(opened, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(opened) == 2)
    assert (opened.layers.mask_layer.contour, opened.layers.mask_layer.opacity) == looks
    press(opened, Qt.Key.Key_K)
    assert opened.layers.mask_layer.contour == 0


def test_what_is_ignored_and_the_mask_have_a_key_each(opened: Workbench) -> None:
    ignored = np.zeros(SHAPE, bool)
    ignored[:5] = True
    layers = opened.layers
    layers.watch.write_undoable(LARGE, ignored)
    press(opened, Qt.Key.Key_M)
    region = opened.viewer.layers["ignored region"]
    assert (layers.mask_layer.visible, region.visible) == (False, True)
    press(opened, Qt.Key.Key_N, ALT | SHIFT)
    assert not region.visible
    press(opened, Qt.Key.Key_M)
    assert layers.mask_layer.visible
    assert layers.mask_layer.get_color(IGNORED)[3] == 0
    press(opened, Qt.Key.Key_N, ALT | SHIFT)
    assert layers.mask_layer.get_color(IGNORED)[3] > 0


def test_masks_are_taken_along_by_keys(opened: Workbench, qtbot: QtBot) -> None:
    press(opened, Qt.Key.Key_D, ALT | SHIFT)
    press(opened, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(opened) == 2)
    layers = opened.layers
    for key in (Qt.Key.Key_P, Qt.Key.Key_V):
        assert not layers.watch.live.mask.any()
        press(opened, key, ALT | SHIFT)
        qtbot.waitUntil(lambda: bool(layers.watch.live.mask.any()))
        np.testing.assert_array_equal(layers.watch.live.mask, LARGE | SMALL)
        press(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


def test_a_click_on_the_ground_of_a_dock_takes_no_keys(opened: Workbench, qtbot: QtBot) -> None:
    canvas, dock = opened.viewer.window._qt_viewer.canvas.native, opened.dock("Edit & review")
    dock.parentWidget().raise_()
    # What Qt does where a person presses beside all controls.
    dock.setFocus(Qt.FocusReason.MouseFocusReason)
    QTest.mouseClick(dock.widget(), Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    qtbot.waitUntil(canvas.hasFocus)
    # A list keeps them: the arrows go through it.
    rows = dock.panels["Queue"].list
    rows.setFocus(Qt.FocusReason.MouseFocusReason)
    QTest.mouseClick(dock.widget(), Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    assert not canvas.hasFocus()


def move(canvas: QWidget, place: QPoint, down: Qt.MouseButton) -> None:
    around, none = QPointF(canvas.mapToGlobal(place)), Qt.KeyboardModifier.NoModifier
    still = Qt.MouseButton.NoButton
    motion = QMouseEvent(QEvent.Type.MouseMove, QPointF(place), around, still, down, none)
    QApplication.sendEvent(canvas, motion)


@pytest.mark.parametrize("held_back", ["VisPy", "napari"])
def test_a_stroke_on_a_busy_machine_ends_where_the_button_is_let_go(
    opened: Workbench, held_back: str
) -> None:
    canvas, layers = opened.viewer.window._qt_viewer.canvas.native, opened.layers
    press(opened, Qt.Key.Key_B)
    layers.mask_layer.brush_size = 1
    first, last = (canvas_place(opened, *place) for place in ((40, 10), (40, 30)))
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    if held_back == "napari":
        # It holds back what comes after this until the window gets to its timer.
        canvas._last_time = 0
        move(canvas, first, Qt.MouseButton.NoButton)
    QTest.mousePress(canvas, left, none, first)
    # VisPy leaves out what comes right after another motion.
    canvas._last_time = time.perf_counter() + 60 if held_back == "VisPy" else 0
    move(canvas, last, left)
    assert layers.mask_layer.data[40, 10:31].sum() == 1
    QTest.mouseRelease(canvas, left, none, last)
    assert layers.mask_layer.data[40, 10:31].all()
    # One edit, and a click without motion is a dot.
    layers.undo()
    np.testing.assert_array_equal(layers.watch.live.mask, LARGE | SMALL)
    QTest.mouseClick(canvas, left, none, last)
    assert layers.mask_layer.mode == "paint"
    assert layers.watch.live.mask.sum() == (LARGE | SMALL).sum() + 1
