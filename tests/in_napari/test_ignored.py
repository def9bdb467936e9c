"""What is ignored, marked in a shown window by keys and mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.project import open_project
from napari_semxai.types import IGNORED
from napari_semxai.workbench import EDIT
from tests.in_napari.gestures import ALT, SHAPE, drag, number, open_queue, press

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from napari_semxai.workbench import Workbench

SHIFT = Qt.KeyboardModifier.ShiftModifier


def ignored(workbench: Workbench) -> int:
    region = workbench.session.ignored
    return 0 if region is None else int(region.sum())


@pytest.fixture
def project(make_images: Callable[[int], Path], tmp_path: Path) -> Path:
    create_project(tmp_path / "project", make_images(2)).close()
    return tmp_path / "project"


def test_a_region_is_marked_undone_and_counted_nowhere(
    workbench: Workbench, project: Path, qtbot: QtBot
) -> None:
    open_queue(workbench, project, qtbot)
    session, layer = workbench.session, workbench.layers.mask_layer
    layer.brush_size = 8
    truth = np.zeros(SHAPE, np.uint8)
    truth[16:25, 16:30] = 1
    workbench.comparison.set_truth(workbench.viewer.add_labels(truth, name="truth"))
    defect = np.zeros(SHAPE, bool)
    defect[16:25, 20:50] = True
    workbench.edit.propose(defect, "paint")
    area = session.size.area
    press(workbench, Qt.Key.Key_B)
    before = session.readout.scores
    workbench.dock(EDIT).ignore.click()
    drag(workbench, (10, 40), (40, 40))
    assert ignored(workbench) > 200
    assert session.size.area < area
    assert not (workbench.edit.mask & session.ignored).any()
    counted = session.readout.scores
    assert counted.tp + counted.fp + counted.fn + counted.tn == truth.size - ignored(workbench)
    assert counted.fp < before.fp
    marked = layer.data.copy()
    press(workbench, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (ignored(workbench), session.size.area) == (0, area)
    assert session.readout.scores == before
    press(workbench, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | SHIFT)
    np.testing.assert_array_equal(layer.data, marked)


def test_the_brush_goes_around_what_is_ignored_which_stays_over_images(
    workbench: Workbench, project: Path, qtbot: QtBot
) -> None:
    open_queue(workbench, project, qtbot)
    session, layer = workbench.session, workbench.layers.mask_layer
    layer.brush_size = 8
    press(workbench, Qt.Key.Key_G, ALT | SHIFT)
    assert workbench.dock(EDIT).ignore.isChecked()
    press(workbench, Qt.Key.Key_B)
    drag(workbench, (10, 40), (40, 40))
    marked = layer.data.copy()
    assert ignored(workbench) > 200
    assert not session.edited
    press(workbench, Qt.Key.Key_G, ALT | SHIFT)
    drag(workbench, (20, 30), (20, 60))
    np.testing.assert_array_equal(layer.data == IGNORED, marked == IGNORED)
    press(workbench, Qt.Key.Key_N, ALT | SHIFT)
    assert layer.get_color(IGNORED)[3] == 0
    kept = layer.data.copy()
    press(workbench, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(workbench) == 2)
    assert ignored(workbench) == 0
    press(workbench, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    np.testing.assert_array_equal(workbench.layers.mask_layer.data, kept)
    image = session.queue.current

    def stored() -> np.ndarray | None:
        record = open_project(project).record(image, "Anna")
        return None if record is None else region_mask(record.ignored, SHAPE)

    qtbot.waitUntil(lambda: stored() is not None)
    np.testing.assert_array_equal(stored(), kept == IGNORED)


def test_polygon_and_whole_mask_edits_mark_what_is_ignored(
    workbench: Workbench, project: Path, qtbot: QtBot
) -> None:
    open_queue(workbench, project, qtbot)
    workbench.edit.propose(np.ones(SHAPE, bool), "all")
    workbench.dock(EDIT).ignore.click()
    assert workbench.session.ignoring
    workbench.lasso.activate("polygon")
    for corner in ((10, 10), (10, 40), (40, 40), (40, 10)):
        workbench.lasso.add(corner)
    workbench.lasso.apply()
    region = workbench.session.ignored.copy()
    assert region[25, 25]
    assert 800 < region.sum() < 1100
    np.testing.assert_array_equal(workbench.edit.mask, ~region)
    workbench.edit.edit("grow", radius=3)
    qtbot.waitUntil(lambda: ignored(workbench) > region.sum())
    assert not (workbench.edit.mask & workbench.session.ignored).any()
    workbench.layers.undo()
    np.testing.assert_array_equal(workbench.session.ignored, region)
    # What an automatic mask says of ignored pixels does not come in.
    workbench.edit.propose(np.ones(SHAPE, bool), "apply automatic mask")
    np.testing.assert_array_equal(workbench.edit.mask, ~region)
