"""What a person does in the window, and what is seen there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from napari_semxai.workbench import Workbench

SHAPE = (64, 80)
ALT = Qt.KeyboardModifier.AltModifier


def open_queue(workbench: Workbench, folder: Path, qtbot: QtBot) -> None:
    workbench.projects.open(folder, "Anna")
    qtbot.waitUntil(lambda: workbench.session.image is not None, timeout=20_000)
    qtbot.waitExposed(workbench.viewer.window._qt_window)
    workbench.viewer.window._qt_window.activateWindow()


def press(workbench: Workbench, key: Qt.Key, modifier: Any = ALT) -> None:
    QTest.keyClick(workbench.viewer.window._qt_viewer.canvas.native, key, modifier)


def number(workbench: Workbench) -> int:
    queue = workbench.session.queue
    return 0 if queue is None or not queue.current else queue.number
