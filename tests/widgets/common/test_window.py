"""The canvas has its room on a small laptop, and what every image needs is seen beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari._qt import qt_main_window
from napari._qt.dialogs.qt_notification import NapariQtNotification
from qtpy.QtCore import QEvent, QPoint, QRect
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel

from napari_semxai import plugin
from napari_semxai.types import Failure, ReviewRecord
from napari_semxai.widgets.common import window as window_module
from napari_semxai.workbench import DOCKS
from tests.queues import queue_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    panel = dock.panels["Keys"]
    assert panel.fields["accept"].isVisible()
    # Keys and texts are read in full.
    assert panel.width() >= panel.minimumSizeHint().width()
    longest = max(panel.fields.values(), key=lambda part: len(part.keySequence().toString()))
    text = longest.keySequence().toString()
    assert longest.fontMetrics().horizontalAdvance(text) < longest.width() - 8
    # In a field it is a letter.
    dock.keys.close()
    dock.parentWidget().raise_()
    jump = dock.panels["Queue"].annotator
    jump.setFocus()
    QTest.keyClicks(jump, "?")
    assert jump.text().endswith("?")
    assert not dock.keys.isVisible()


def test_messages_lie_over_the_canvas_and_go_by_themselves(
    workbench: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_module, "NOTICE_MILLISECONDS", 1)
    canvas, notices = window_of(workbench)._qt_viewer.canvas.native, workbench.notices
    workbench.session.say("3 masks exported to " + "a long folder name/" * 8)
    (notice,) = notices.shown
    assert canvas.rect().contains(notice.geometry())
    # Wrapped: all of it is read.
    assert notice.text.height() >= notice.text.heightForWidth(notice.text.width())
    assert "Failure" not in notice.styleSheet()
    qtbot.waitUntil(lambda: not notices.shown)
    # What went wrong stays until it is closed.
    workbench.session.say(Failure("the disk is full"))
    workbench.session.say(Failure("the disk is full"))
    (notice,) = notices.shown
    assert not notice.timer.isActive()
    assert notice.text.text() == "⚠ the disk is full"
    notice.dismiss.click()
    assert notices.shown == []


def test_a_failure_goes_when_it_is_over(
    workbench: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    session, edit = workbench.session, workbench.edit
    folder = tmp_path / "gone"
    foot = workbench.dock("Scores").foot.text
    folder.touch()
    edit.save(folder / "mask.png")
    qtbot.waitUntil(lambda: bool(workbench.notices.shown))
    session.say(Failure("something else"))
    session.say(Failure(f"{session.save.message}. Batch generation stopped."))
    folder.unlink()
    folder.mkdir()
    edit.save(folder / "mask.png")
    qtbot.waitUntil(lambda: len(workbench.notices.shown) == 1)
    assert workbench.notices.shown[0].message == "something else"
    assert foot.text() == ""
    # What was said stays in the log.
    assert any("Batch" in line for line in workbench.monitor.log)


def test_the_log_can_be_opened_from_every_dock(workbench: Workbench, qtbot: QtBot) -> None:
    workbench.session.say("3 masks exported")
    # Docks that are made later, too, know what was said.
    for title in DOCKS:
        assert workbench.dock(title).foot.text.text() == "3 masks exported", title
    workbench.dock("Scores").foot.log.click()
    logs = window_of(workbench).findChildren(window_module.FloatingPanel)
    (log,) = [own for own in logs if own.windowTitle() == "Messages"]
    assert "3 masks exported" in log.findChild(QLabel).text()
    log.close()


def test_the_word_on_pyqt5_is_no_greeting(
    monkeypatch: pytest.MonkeyPatch, make_napari_viewer: Callable[..., napari.Viewer]
) -> None:
    monkeypatch.setattr(qt_main_window, "SHOW_QT_WARNING", True)
    said: list[str] = []
    monkeypatch.setattr(qt_main_window, "show_warning", said.append)
    window_module.hush_pyqt5()
    make_napari_viewer(show=True)
    assert said == []


def test_what_napari_has_said_on_pyqt5_goes_with_the_docks(qtbot: QtBot) -> None:
    words = "napari support for the PyQt5 backend is deprecated and will be removed", "other"
    shown = [NapariQtNotification(word, "warning") for word in words]
    for each in shown:
        qtbot.addWidget(each)
        each.show()
    window_module.hush_pyqt5()
    assert [each.isVisible() for each in shown] == [False, True]
    shown[1].close()
