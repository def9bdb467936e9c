"""What napari's manifest names: commands and docks, one workbench a viewer."""

from __future__ import annotations

import atexit
import gc
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import napari
from qtpy.QtWidgets import QApplication, QWidget

from napari_semxai.widgets.common.window import hush_pyqt5
from napari_semxai.workbench import (
    CANDIDATES,
    EDIT,
    EXPLAIN,
    RESEARCH,
    SCORES,
    SURVEY,
    Workbench,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_semxai.store.disk.folders import Folders

_workbenches: WeakKeyDictionary[napari.Viewer, Workbench] = WeakKeyDictionary()


def workbench_of(viewer: napari.Viewer | None = None, folders: Folders | None = None) -> Workbench:
    """Return the one workbench of a viewer, created on first use.

    Without a viewer it is the current one's: napari calls the docks' factories with nothing.
    `folders` are where a new one keeps its files.
    """
    viewer = viewer or napari.current_viewer() or napari.Viewer()
    # A command gets a proxy, through which plugins must not touch the window.
    viewer = getattr(viewer, "__wrapped__", viewer)
    if viewer not in _workbenches:
        hush_pyqt5()
        workbench = Workbench(viewer, folders)
        _workbenches[viewer] = workbench
        # The window itself is the only thing that tells reliably that a viewer is over.
        viewer.window._qt_window.destroyed.connect(partial(close_workbench, workbench))
        QApplication.instance().aboutToQuit.connect(partial(close_workbench, workbench))
    return _workbenches[viewer]


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Look for no garbage while thousands of parts are made that stay: 0.3 s at a time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def open_workbench(
    viewer: napari.Viewer | None = None, folders: Folders | None = None
) -> Workbench:
    """Open all docks in a viewer, by default the current one or a new one."""
    with _garbage_left():
        workbench = workbench_of(viewer, folders)
        workbench.show()
    return workbench


def _dock_maker(title: str) -> Callable[..., QWidget]:
    def make(viewer: napari.Viewer | None = None) -> QWidget:
        return workbench_of(viewer).dock_of_menu(title)

    make.__doc__ = f"Return the {title} dock of a viewer."
    return make


# The names that the manifest gives to the docks.
make_candidates_dock = _dock_maker(CANDIDATES)
make_edit_dock = _dock_maker(EDIT)
make_explain_dock = _dock_maker(EXPLAIN)
make_scores_dock = _dock_maker(SCORES)
make_survey_dock = _dock_maker(SURVEY)
make_research_dock = _dock_maker(RESEARCH)


def close_workbench(workbench: Workbench) -> None:
    """Close a viewer's workbench, unless that is done already."""
    if _workbenches.get(workbench.viewer) is workbench:
        del _workbenches[workbench.viewer]
        workbench.close()


@atexit.register
def _close_all() -> None:
    """Close what a script left open when the interpreter ends without Qt's event loop."""
    for workbench in list(_workbenches.values()):
        close_workbench(workbench)
