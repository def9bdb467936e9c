"""The leak check itself finds what a test leaves behind, also after objects were set aside."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from tests import conftest

if TYPE_CHECKING:
    from collections.abc import Callable


def _timer(qapp: Any) -> tuple[str, Callable[[], None]]:
    timer = QTimer(qapp)
    timer.start(60_000)
    return "running timers", timer.stop


def _window(qapp: Any) -> tuple[str, Callable[[], None]]:
    widget = QWidget()
    return "top-level widgets", widget.deleteLater


def _thread(qapp: Any) -> tuple[str, Callable[[], None]]:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="left-behind")
    thread.start()
    return "threads", lambda: (end.set(), thread.join())


def _process(qapp: Any) -> tuple[str, Callable[[], None]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    return "child processes", lambda: process.communicate(b"\n")


@pytest.mark.parametrize("leave", [_timer, _window, _thread, _process])
def test_what_is_left_behind_is_found(
    qapp: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, leave: Callable[..., tuple[str, Any]]
) -> None:
    monkeypatch.setattr(conftest, "_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(conftest, "_FREEZE_AT", 0)
    conftest._set_aside_what_was_imported()
    before = {name: look() for name, look in conftest._LOOKS.items()}
    what, clear = leave(qapp)
    try:
        assert list(conftest._left_over(before, qtbot)) == [what]
    finally:
        clear()
    monkeypatch.setattr(conftest, "_PATIENCE_SECONDS", 15)
    assert conftest._left_over(before, qtbot) == {}


def test_a_timer_from_before_that_a_test_starts_is_found(
    qapp: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = QTimer()
    monkeypatch.setattr(conftest, "_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(conftest, "_FREEZE_AT", 0)
    conftest._set_aside_what_was_imported()
    before = {name: look() for name, look in conftest._LOOKS.items()}
    assert conftest._left_over(before, qtbot) == {}
    timer.start(60_000)
    assert conftest._left_over(before, qtbot) == {"running timers": [timer]}
    timer.stop()


def test_objects_are_set_aside_only_when_there_are_many() -> None:
    conftest._set_aside_what_was_imported()
    frozen = gc.get_freeze_count()
    conftest._set_aside_what_was_imported()
    assert gc.get_freeze_count() == frozen
    assert len(gc.get_objects(generation=2)) <= conftest._FREEZE_AT
