"""The wheel scrolls the docks; only what has the focus takes it, and Tab takes it on."""

from collections.abc import Callable, Iterator
from typing import Any

import napari
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QSpinBox,
    QTabBar,
    QTableWidget,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from napari_semxai import plugin
from napari_semxai.store.disk.folders import Folders
from napari_semxai.widgets.common.forms import ScrolledDock
from napari_semxai.workbench import CANDIDATES, DOCKS, Workbench
from tests.queues import queue_of

STEP = -120


@pytest.fixture
def workbench(
    engine_on_demand: None, make_napari_viewer: Callable[..., napari.Viewer], folders: Folders
) -> Iterator[Workbench]:
    viewer = make_napari_viewer(show=True)
    workbench = plugin.open_workbench(viewer, folders)
    yield workbench
    plugin.close_workbench(workbench)


def turn(widget: QWidget, delta: int = STEP) -> None:
    """Turn the wheel over the middle of a widget."""
    place = QPointF(widget.rect().center())
    event = QWheelEvent(
        place,
        QPointF(widget.mapToGlobal(place.toPoint())),
        QPoint(),
        QPoint(0, delta),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def value_of(control: Any) -> object:
    return control.currentIndex() if isinstance(control, QComboBox | QTabBar) else control.value()


def controls_of(dock: ScrolledDock) -> list[Any]:
    kinds = (QComboBox, QAbstractSpinBox, QAbstractSlider, QTabBar)
    found = [own for own in dock.widget().findChildren(QWidget) if isinstance(own, kinds)]
    return [own for own in found if own.isVisible() and not isinstance(own, QScrollBar)]


@pytest.mark.qt6
def test_the_wheel_over_any_control_scrolls(workbench: Workbench, qtbot: QtBot) -> None:
    session = workbench.session
    workbench.open_sample()
    qtbot.waitUntil(lambda: session.image is not None)
    session.queue = queue_of()
    kinds: set[str] = set()
    for title in DOCKS:
        dock = workbench.dock(title)
        dock.parentWidget().raise_()
        qtbot.waitUntil(dock.widget().isVisible)
        # So that there is something to scroll in each of them.
        dock.widget().setMinimumHeight(3000)
        bar = dock.verticalScrollBar()
        qtbot.waitUntil(lambda bar=bar: bar.maximum() > 500)
        for control in controls_of(dock):
            bar.setValue(300)
            dock.setFocus()
            kinds.add(type(control).__name__)
            for delta in (STEP, -STEP):
                before, place = value_of(control), bar.value()
                turn(control, delta)
                assert value_of(control) == before, f"{title}: {control.toolTip()}"
                assert (bar.value() - place) * delta < 0, f"{title}: {control.toolTip()}"
    assert {"QComboBox", "QDoubleSlider", "QSlider"} <= kinds


@pytest.mark.parametrize("make", [QComboBox, QSpinBox, QDoubleSpinBox])
def test_only_the_focus_lets_a_control_take_the_wheel(
    qtbot: QtBot, make: Callable[[], Any]
) -> None:
    dock = ScrolledDock()
    qtbot.addWidget(dock)
    dock.resize(200, 200)
    holder = QWidget()
    layout = QVBoxLayout(holder)
    dock.add((holder,))
    dock.widget().setMinimumHeight(2000)
    dock.show()
    qtbot.waitExposed(dock)
    # It comes later, and deeper than what the dock was made of.
    control = make()
    if isinstance(control, QComboBox):
        control.addItems(["a", "b", "c"])
        control.setCurrentIndex(1)
    else:
        control.setValue(5)
    layout.addWidget(control)
    qtbot.waitUntil(control.isVisible)
    qtbot.waitUntil(lambda: control.focusPolicy() == Qt.FocusPolicy.StrongFocus)
    before = value_of(control)
    turn(control)
    assert value_of(control) == before
    assert dock.verticalScrollBar().value() > 0
    dock.activateWindow()
    control.setFocus()
    qtbot.waitUntil(control.hasFocus)
    turn(control)
    assert value_of(control) != before


def test_a_focus_outside_the_docks_lets_no_control_take_the_wheel(
    workbench: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.open_sample()
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    dock = workbench.dock(CANDIDATES)
    controls = controls_of(dock)
    assert len(controls) > 5
    before = [value_of(control) for control in controls]
    with monkeypatch.context() as patch:
        # Where the focus goes when a dock's tab is clicked.
        patch.setattr(QApplication, "focusWidget", dock.window)
        for control in controls:
            turn(control)
    assert [value_of(control) for control in controls] == before


@pytest.mark.parametrize("make", [lambda: QTableWidget(1, 2), QPlainTextEdit, QTextEdit])
def test_tab_leaves_tables_and_texts(qtbot: QtBot, make: Callable[[], QWidget]) -> None:
    part, after = make(), QLineEdit()
    dock = ScrolledDock()
    qtbot.addWidget(dock)
    dock.add([part, after])
    dock.connect_all(outside=(), inside=())
    dock.show()
    qtbot.waitExposed(dock)
    part.setFocus()
    assert dock.focusWidget() is part
    QTest.keyClick(part, Qt.Key.Key_Tab)
    assert dock.focusWidget() is after
