"""The panel with a row a defect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_semxai.algorithms.masks.components import find_defects
from napari_semxai.controllers.edit.defects import DEFECT_EDITS
from napari_semxai.state.session import Session
from napari_semxai.store.images.read import image_from_array
from napari_semxai.widgets.edit.panels import DefectsPanel
from tests.open_images import open_image


class Controller:
    """Stands in for the controller: the test is about the panel."""

    def __init__(self):
        self.watched, self.edits = [], []

    def watch(self, watched):
        self.watched.append(watched)

    def edit(self, edit, defects):
        self.edits.append((edit.title, [one.number for one in defects]))


@pytest.fixture
def shown():
    return []


@pytest.fixture
def session():
    session = Session()
    open_image(session, image_from_array(np.zeros((60, 80), np.uint8), "a"))
    mask = np.zeros((60, 80), bool)
    mask[5:15, 10:40] = mask[30:32, 50:52] = mask[50, 70] = True
    session.defects = find_defects(mask)
    return session


@pytest.fixture
def panel(qtbot, session, shown):
    panel = DefectsPanel(session, Controller(), shown.append)
    qtbot.addWidget(panel)
    yield panel
    panel.release()


def row(panel, number):
    return [panel.table.item(number, column).text() for column in (0, 2, 3, 4)]


def test_rows_say_number_area_size_and_place(panel, session):
    assert panel.said.text() == "3 defects"
    assert row(panel, 0) == ["1", "300 px", "30 × 10 px", "10, 24"]
    session.update_image(pixel_size=2e-9)
    assert row(panel, 0) == ["1", "1,200 nm²", "60 nm × 20 nm", "10, 24"]
    session.defects = ()
    assert panel.said.text() == "0 defects"
    assert panel.table.rowCount() == 0


def test_classes_have_a_column_where_any_is_known(panel, session):
    assert panel.table.isColumnHidden(1)
    first, *rest = session.defects
    session.defects = (replace(first, label="particle"), *rest)
    assert not panel.table.isColumnHidden(1)
    assert [panel.table.item(place, 1).text() for place in range(3)] == ["particle", "", ""]


def test_a_click_on_a_row_looks_at_the_defect(panel, shown):
    panel.table.selectRow(1)
    panel.table.cellClicked.emit(1, 0)
    panel.whole.click()
    assert shown == [(30, 50, 32, 52), None]


def test_buttons_need_as_many_rows_as_they_work_on(panel, session):
    assert not any(part.isEnabled() for part in panel.edits.values())
    panel.table.selectRow(0)
    assert [title for title, part in panel.edits.items() if part.isEnabled()] == [
        "Delete",
        "Keep only",
        "Split",
    ]
    panel.table.selectAll()
    assert all(part.isEnabled() for part in panel.edits.values())
    panel.edits["Join"].click()
    assert panel._controller.edits == [("Join", [1, 2, 3])]


def test_what_is_chosen_stays_chosen_while_the_mask_changes(panel, session):
    panel.table.selectRow(1)
    session.defects = session.defects[1:]
    assert [one.seed for one in panel.chosen] == [(30, 50)]
    session.defects = session.defects[1:]
    assert panel.chosen == []
    assert not panel.edits[DEFECT_EDITS[0].title].isEnabled()


def test_the_list_is_kept_only_while_it_is_seen(panel, qtbot):
    panel.show()
    panel.hide()
    assert panel._controller.watched == [True, False]


def test_a_noisy_mask_lists_the_first_rows(panel, session):
    noisy = np.zeros((60, 80), bool)
    noisy[::2, ::2] = True
    session.defects = find_defects(noisy)
    assert panel.said.text() == "1,200 defects, the first 500 listed"
    assert panel.table.rowCount() == 500
