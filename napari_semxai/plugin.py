"""What napari's manifest names: commands and docks, one workbench a viewer."""

from __future__ import annotations

import atexit
from functools import partial
from weakref import WeakKeyDictionary

import napari
from qtpy.QtWidgets import QApplication, QWidget

from napari_semxai.workbench import DOCKS, Workbench

_workbenches: WeakKeyDictionary[napari.Viewer, Workbench] = WeakKeyDictionary()


def workbench_of(viewer: napari.Viewer | None = None) -> Workbench:
    """Return the one workbench of a viewer, created on first use.

    Without a viewer it is the current one's: napari calls the docks' factories with nothing.
    """
    viewer = viewer or napari.current_viewer() or napari.Viewer()
    # A command gets a proxy, through which plugins must not touch the window.
    viewer = getattr(viewer, "__wrapped__", viewer)
    if viewer not in _workbenches:
        workbench = Workbench(viewer)
        _workbenches[viewer] = workbench
        # The window itself is the only thing that tells reliably that a viewer is over.
        viewer.window._qt_window.destroyed.connect(partial(close_workbench, workbench))
        QApplication.instance().aboutToQuit.connect(partial(close_workbench, workbench))
    return _workbenches[viewer]


def open_workbench(viewer: napari.Viewer | None = None) -> Workbench:
    """Open all docks in a viewer, by default the current one or a new one."""
    workbench = workbench_of(viewer)
    workbench.show()
    return workbench


def make_candidates_dock(viewer: napari.Viewer | None = None) -> QWidget:
    """Return the Mask candidates dock of a viewer."""
    return workbench_of(viewer).dock(DOCKS[0])


def make_edit_dock(viewer: napari.Viewer | None = None) -> QWidget:
    """Return the Edit & review dock of a viewer."""
    return workbench_of(viewer).dock(DOCKS[1])


def make_explain_dock(viewer: napari.Viewer | None = None) -> QWidget:
    """Return the Explain dock of a viewer."""
    return workbench_of(viewer).dock("Explain")


def make_scores_dock(viewer: napari.Viewer | None = None) -> QWidget:
    """Return the Scores dock of a viewer."""
    return workbench_of(viewer).dock("Scores")


def make_survey_dock(viewer: napari.Viewer | None = None) -> QWidget:
    """Return the Survey dock of a viewer."""
    return workbench_of(viewer).dock("Survey")


def make_research_dock(viewer: napari.Viewer | None = None) -> QWidget:
    """Return the Research dock of a viewer."""
    return workbench_of(viewer).dock("Research")


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
