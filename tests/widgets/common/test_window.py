"""The canvas has its room on a small laptop, and what every image needs is seen beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QRect
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_semxai import plugin
from napari_semxai.types import ReviewRecord
from tests.queues import queue_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import napari
    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QMainWindow, QWidget

    from napari_semxai.store.disk.folders import Folders
    from napari_semxai.workbench import Workbench

# A laptop of 1366 x 768 without its task bar, and the same at a scale of 125 %.
LAPTOPS = [(1366, 740), (1093, 590)]


@pytest.fixture
def workbench(
    engine_on_demand: None,
    make_napari_viewer: Callable[..., napari.Viewer],
    folders: Folders,
    qtbot: QtBot,
) -> Iterator[Workbench]:
    workbench = plugin.open_workbench(make_napari_viewer(show=True), folders)
    workbench.viewer.add_image(np.zeros((48, 64), np.uint8))
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    yield workbench
    plugin.close_workbench(workbench)


def window_of(workbench: Workbench) -> QMainWindow:
    return workbench.viewer.window._qt_window


def seen(part: QWidget, area: QWidget) -> bool:
    place = QRect(part.mapTo(area, QPoint(0, 0)), part.size())
    return part.isVisible() and area.rect().contains(place)


@pytest.mark.parametrize("size", LAPTOPS)
def test_a_small_laptop_shows_what_every_image_needs(
    workbench: Workbench, qtbot: QtBot, size: tuple[int, int]
) -> None:
    window = window_of(workbench)
    window.resize(*size)
    workbench.session.queue = queue_of()
    workbench.session.update_image(record=ReviewRecord("die_2", "anna"))
    canvas = window._qt_viewer.canvas.native
    qtbot.waitUntil(lambda: canvas.width() >= 640)
    qtbot.waitUntil(lambda: (window.width(), window.height()) == size)
    assert seen(window.statusBar(), window)
    dock = workbench.dock("Edit & review")
    dock.parentWidget().raise_()
    queue, review, clicks = (dock.panels[name] for name in ("Queue", "Review", "SAM click"))
    wanted = [
        queue.where,
        queue.following,
        *(review.accept, review.no_defect, review.reject, review.unsure, review.label),
        *(dock.tools["paint"], dock.tools["erase"], dock.brush, dock.undo, dock.save_mask),
        *(clicks.tool, clicks.status, clicks.apply, clicks.discard),
    ]
    qtbot.waitUntil(lambda: all(seen(part, dock.viewport()) for part in wanted))


def test_docks_of_layers_come_back_in_a_wide_window(workbench: Workbench) -> None:
    window = window_of(workbench)
    viewer = window._qt_viewer
    docks = viewer.dockLayerControls, viewer.dockLayerList

    def shown(width: int) -> list[bool]:
        window.resize(width, 740)
        QApplication.sendPostedEvents(window, QEvent.Type.Resize)
        workbench.room.fit(width)
        return [not dock.isHidden() for dock in docks]

    assert shown(1600) == [True, True]
    assert shown(1366) == [False, True]
    assert shown(1093) == [False, False]
    # What a person opens stays, until there is less room again.
    viewer.dockLayerControls.show()
    assert shown(1100) == [True, False]
    assert shown(1366) == [True, True]
    assert shown(1600) == [True, True]
    assert shown(1366) == [False, True]


def test_sections_stay_as_they_were_left(workbench: Workbench, qtbot: QtBot) -> None:
    dock = workbench.dock("Edit & review")
    section = dock.sections["Defects"]
    assert section.body.isHidden()
    section.header.click()
    assert not section.body.isHidden()
    written: list[object] = []
    workbench.writes.run("turn", lambda: None, written.append, written.append)
    qtbot.waitUntil(lambda: bool(written))
    viewer, folders = workbench.viewer, workbench.folders
    plugin.close_workbench(workbench)
    again = plugin.workbench_of(viewer, folders)
    try:
        sections = again.dock("Edit & review").sections
        assert not sections["Defects"].body.isHidden()
        assert sections["Size"].body.isHidden()
    finally:
        again.docks["Edit & review"].deleteLater()
        plugin.close_workbench(again)


def test_a_question_mark_shows_all_keys(workbench: Workbench, qtbot: QtBot) -> None:
    window, dock = window_of(workbench), workbench.dock("Edit & review")
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    QTest.keyClicks(window._qt_viewer.canvas.native, "?")
    qtbot.waitUntil(dock.keys.isVisible)
    assert dock.panels["Keys"].fields["accept"].isVisible()
    # In a field it is a letter.
    dock.keys.close()
    dock.parentWidget().raise_()
    jump = dock.panels["Queue"].annotator
    jump.setFocus()
    QTest.keyClicks(jump, "?")
    assert jump.text().endswith("?")
    assert not dock.keys.isVisible()
