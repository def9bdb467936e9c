"""What a person without a mouse reaches in the real window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_semxai.store.images.read import image_from_array
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
