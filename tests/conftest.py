"""What every test gets: a virtual X display, and a leak check after tests that use Qt."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from contextlib import suppress
from functools import partial
from itertools import count
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pytestqt.qtbot import QtBot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_semxai.store.disk.folders import Folders

if sys.platform == "linux":
    # pytest-xvfb starts the display. Offscreen has no OpenGL, so canvas pictures are black.
    os.environ["QT_QPA_PLATFORM"] = "xcb"

# Before torch is loaded: threads of several processes that spin while they wait take each other's
# cores, and triple the time of tests of networks.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    # Each takes its share of the cores: more threads than those take a third longer for the same.
    share = (os.cpu_count() or 1) // int(workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, share)))

_QT_FIXTURES = {"qtbot", "qapp", "make_napari_viewer", "make_napari_viewer_proxy"}
# Both are waited out only by a test that fails, so that a busy machine fails none.
_PATIENCE_SECONDS = 15.0
_WAIT_MILLISECONDS = 30_000


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Import all tests without looking for garbage, which takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        _set_aside_what_was_imported()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that open windows first, and tests with TensorFlow last.

    Windows take longest, and no process shall wait for the last of them. One that opened before
    TensorFlow goes on working.
    """
    windows = {
        item.path for item in items if "make_napari_viewer" in getattr(item, "fixturenames", ())
    }

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("tensorflow") is not None:
            return 2
        return int(item.path not in windows)

    items.sort(key=place)


def _top_level_widgets() -> dict[int, Any]:
    from qtpy.QtWidgets import QApplication

    return {id(widget): widget for widget in QApplication.topLevelWidgets()}


_FREEZE_AT = 50_000
"""Tracked objects from which they are set aside, which takes 10 ms and saves half a second."""


def _set_aside_what_was_imported() -> None:
    """Take all objects out of the collector's scans when libraries have added many.

    A Qt test scans every tracked object several times. What is here before it is no leak of its
    own, and what it makes itself is tracked as ever. Only a timer may be here before and be
    started by a test, so timers are remembered.
    """
    if len(gc.get_objects(generation=2)) > _FREEZE_AT:
        gc.collect()
        _set_aside_timers.update(_tracked_timers())
        gc.freeze()


_set_aside_timers: weakref.WeakSet[Any] = weakref.WeakSet()


def _tracked_timers() -> list[Any]:
    from qtpy.QtCore import QTimer

    # Not isinstance: some lazy objects warn when they are asked for their class.
    return [thing for thing in gc.get_objects() if issubclass(type(thing), QTimer)]


def _running_timers() -> dict[int, Any]:
    from qtpy.compat import isalive

    timers = [*_set_aside_timers, *_tracked_timers()]
    return {id(timer): timer for timer in timers if isalive(timer) and timer.isActive()}


def _threads() -> dict[int, Any]:
    # Dask and the decoder keep one pool each for the whole process.
    kept = ("Dask-Offload", "semxai-lane")
    return {id(own): own for own in threading.enumerate() if not own.name.startswith(kept)}


def _child_processes() -> dict[int, Any]:
    # Xvfb and a session-wide engine were there before the test and do not count.
    return {child.pid: child for child in psutil.Process().children(recursive=True)}


_LOOKS: dict[str, Callable[[], dict[int, Any]]] = {
    "top-level widgets": _top_level_widgets,
    "running timers": _running_timers,
    "threads": _threads,
    "child processes": _child_processes,
}


@pytest.fixture
def qtbot(qtbot: Any) -> Any:
    """Return pytest-qt's bot, more patient where a test does not say how long to wait."""
    qtbot.waitUntil = partial(qtbot.waitUntil, timeout=_WAIT_MILLISECONDS)
    return qtbot


@pytest.fixture
def engine_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a window start its engine when something is asked of it, and not before.

    Loading the networks beforehand takes seconds of the processor, which most tests of a window
    do not need. Those of the main job in `test_plugin.py` start windows as a person does.
    """
    controller = "napari_semxai.controllers.segment.segment.SegmentController"
    monkeypatch.setattr(f"{controller}.warm", lambda self: None)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Where a window of a test keeps what outlives it."""
    from napari_semxai.store.disk.folders import Folders

    return Folders(
        tmp_path / "recovery",
        tmp_path / "projects",
        tmp_path / "choices.json",
        tmp_path / "keys.json",
    )


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """Leave it to the system when files reach the disk: to wait takes half of the time of tests.

    Only a power cut would show the difference. `test_atomic.py` looks when it is waited for.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(scope="session")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return ever other folders of one; each of pytest's own costs a look at all of them."""
    return map(tmp_path_factory.mktemp("config").joinpath, map(str, count()))


@pytest.fixture(autouse=True)
def _own_last_folders(monkeypatch: pytest.MonkeyPatch, _config: Iterator[Path]) -> None:
    """Keep file dialogs of tests from the folders and files that a person used."""
    config = next(_config)
    for name in ("last_folders", "recent"):
        file = config / f"{name}.json"
        monkeypatch.setattr(
            f"napari_semxai.store.disk.folders.{name}_file", lambda file=file: file
        )


@pytest.fixture(autouse=True)
def _no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a Qt test that leaves windows, timers, threads or processes behind."""
    if not _QT_FIXTURES & set(request.fixturenames):
        yield
        return
    request.getfixturevalue("qapp")
    _set_aside_what_was_imported()
    before = {name: look() for name, look in _LOOKS.items()}
    yield
    left = _left_over(before, QtBot(request))
    assert not left, f"left behind: {left}"


def _left_over(before: dict[str, dict[int, Any]], qtbot: QtBot) -> dict[str, list[Any]]:
    """Wait for everything new to go away and return what does not."""
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    left: dict[str, list[Any]] = {}

    def nothing_is_left() -> bool:
        left.clear()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
        for name, look in _LOOKS.items():
            if things := [thing for key, thing in look().items() if key not in before[name]]:
                left[name] = things
        return not left

    with suppress(qtbot.TimeoutError):
        qtbot.waitUntil(nothing_is_left, timeout=round(1000 * _PATIENCE_SECONDS))
    return left


@pytest.fixture(scope="session", autouse=True)
def _application(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make the application first: tests of networks import cv2, which points Qt at its plugins.

    Keys and choices of whoever runs the tests are neither used nor changed.
    """
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    os.environ.pop("QT_QPA_PLATFORM_PLUGIN_PATH", None)
    if os.name == "posix":
        # Pools of processes start it, and it stays until this process ends: no test's leak.
        resource_tracker.ensure_running()
    request.getfixturevalue("qapp")
    if "torch" in sys.modules:
        from napari_semxai.backends.runtime.libraries import load_triton

        # Networks that were imported while no window could come have not loaded it, and after
        # one has opened the process would die.
        load_triton()
