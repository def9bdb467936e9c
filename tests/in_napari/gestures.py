"""What a person does in the window, and what is seen there."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from napari_semxai.workbench import Workbench

SHAPE = (64, 80)
ALT = Qt.KeyboardModifier.AltModifier


def open_queue(workbench: Workbench, folder: Path, qtbot: QtBot) -> None:
    """Open a project, and wait for its first image; another one may be open."""
    before = workbench.session.image
    workbench.projects.open(folder, "Anna")
    qtbot.waitUntil(lambda: workbench.session.image not in (None, before), timeout=20_000)
    qtbot.waitExposed(workbench.viewer.window._qt_window)
    workbench.viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(workbench.viewer.window._qt_window.isActiveWindow)
    # Nobody clicks before the image is seen.
    workbench.viewer.window._qt_viewer.canvas.native.repaint()


def press(workbench: Workbench, key: Qt.Key, modifier: Any = ALT) -> None:
    canvas = workbench.viewer.window._qt_viewer.canvas.native
    # Keys are those of the active window.
    canvas.window().activateWindow()
    assert QTest.qWaitForWindowActive(canvas.window())
    QTest.keyClick(canvas, key, modifier)


def number(workbench: Workbench) -> int:
    queue = workbench.session.queue
    return 0 if queue is None or not queue.current else queue.number


def canvas_place(workbench: Workbench, row: float, column: float) -> QPoint:
    """Return where a pixel of the mask is on the canvas."""
    canvas = workbench.viewer.window._qt_viewer.canvas
    visual = canvas.layer_to_visual[workbench.layers.mask_layer]
    transform = visual.node.get_transform("visual", "canvas")
    x, y = transform.map([column + 0.5, row + 0.5])[:2]
    return QPoint(round(x), round(y))


def discs(shape: tuple[int, int], radius: float, *centers: tuple[int, int]) -> np.ndarray:
    """Return the pixels within a radius of any of the centres."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    near = [(rows - r) ** 2 + (columns - c) ** 2 <= radius**2 for r, c in centers]
    return np.any(near, axis=0)


def drag(
    workbench: Workbench,
    *pixels: tuple[float, float],
    press: bool = True,
    release: Callable[[], None] | None = None,
) -> None:
    """Press the left button on the first pixel, go over the others, let go on the last.

    Without `press` it is down already, with `release` that is done instead of letting go.
    """
    canvas = workbench.viewer.window._qt_viewer.canvas.native
    places = [canvas_place(workbench, *pixel) for pixel in pixels]
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    if press:
        QTest.mousePress(canvas, left, none, places[0])
    for place in places[1:]:
        # Not QTest.mouseMove: it moves without a button. VisPy drops moves within 10 ms.
        canvas._last_time = 0
        around = QPointF(canvas.mapToGlobal(place))
        event = QMouseEvent(
            QEvent.Type.MouseMove, QPointF(place), around, Qt.MouseButton.NoButton, left, none
        )
        QApplication.sendEvent(canvas, event)
    if release is None:
        QTest.mouseRelease(canvas, left, none, places[-1])
    else:
        release()


@contextmanager
def held(*keys: str) -> Iterator[None]:
    """Hold keys of the display's own keyboard."""
    for key in keys:
        subprocess.run(["xdotool", "keydown", key], check=True)
    try:
        yield
    finally:
        for key in reversed(keys):
            subprocess.run(["xdotool", "keyup", key], check=True)
