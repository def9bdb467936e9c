"""What a person without a mouse reaches in the real window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QCheckBox

from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import colors
from napari_semxai.widgets.common.forms import Section
from tests.in_napari.gestures import ALT, press

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from napari_semxai.workbench import Workbench

ALT_SHIFT = ALT | Qt.KeyboardModifier.ShiftModifier


def test_alpha_and_beta_by_keys_alone(workbench: Workbench, qtbot: QtBot) -> None:
    session = workbench.session
    workbench.images.show(image_from_array(np.zeros((64, 80), np.uint8), "scene"))
    candidates, edit = workbench.dock("Mask candidates"), workbench.dock("Edit & review")
    assert "alpha" not in workbench.keys.conflicts()
    for before in (None, edit.panels["Queue"].annotator):
        edit.parent().raise_()
        qtbot.waitUntil(lambda: not candidates.on_screen)
        alpha, beta = session.algorithm.alpha, session.algorithm.beta
        if before is None:
            press(workbench, Qt.Key.Key_A, ALT_SHIFT)
        else:
            before.setFocus()
            qtbot.waitUntil(before.hasFocus)
            QTest.keyClick(before, Qt.Key.Key_A, ALT_SHIFT)
        qtbot.waitUntil(candidates.alpha.slider.hasFocus)
        qtbot.waitUntil(lambda: candidates.on_screen)
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Right)
        assert session.algorithm.alpha > alpha
        # The number beside the slider lies between.
        for _ in range(2):
            QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        assert candidates.beta.slider.hasFocus()
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Right)
        assert session.algorithm.beta > beta


def test_f6_leaves_the_image_for_the_dock_in_front_and_comes_back(
    workbench: Workbench, qtbot: QtBot
) -> None:
    window = workbench.viewer.window._qt_window
    canvas, dock = window._qt_viewer.canvas.native, workbench.dock("Survey")
    window.activateWindow()
    dock.parent().raise_()
    qtbot.waitUntil(lambda: dock.on_screen)
    canvas.setFocus()
    qtbot.waitUntil(canvas.hasFocus)
    QTest.keyClick(canvas, Qt.Key.Key_F6)
    qtbot.waitUntil(dock.new_file.hasFocus)
    QTest.keyClick(dock.new_file, Qt.Key.Key_Tab)
    assert dock.open_file.hasFocus()
    QTest.keyClick(dock.open_file, Qt.Key.Key_F6)
    qtbot.waitUntil(canvas.hasFocus)


def test_what_takes_the_keys_has_a_frame_and_stays_where_it_is(
    workbench: Workbench, qtbot: QtBot
) -> None:
    window, dock = workbench.viewer.window._qt_window, workbench.dock("Mask candidates")
    workbench.images.show(image_from_array(np.zeros((64, 80), np.uint8), "scene"))
    window.activateWindow()
    dock.parent().raise_()
    qtbot.waitUntil(lambda: dock.on_screen)
    workbench.switch_side()
    boxes = dock.findChildren(QCheckBox)
    box = next(one for one in boxes if one.isVisible() and one.isEnabled())
    section = dock.findChild(Section)
    for part in (section.header, dock.algorithm, box):
        dock.ensureWidgetVisible(part)
        before, size = part.grab().toImage(), part.sizeHint()
        part.setFocus(Qt.FocusReason.TabFocusReason)
        qtbot.waitUntil(part.hasFocus)
        after = part.grab().toImage()
        assert after != before
        frame = {QColor(after.pixel(x, after.height() // 2)).name() for x in range(after.width())}
        assert colors.SKY.lower() in frame
        assert part.sizeHint() == size
