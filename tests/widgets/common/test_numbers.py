"""Fields for numbers, with real keys, in a locale where a point separates thousands and in C."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QLocale, Qt
from qtpy.QtGui import QFocusEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QCheckBox, QLineEdit, QWidget

from napari_semxai.state.explanation import CraftSettings
from napari_semxai.state.session import Session
from napari_semxai.types import AlgorithmSettings
from napari_semxai.widgets.candidates.dock import AdvancedForms
from napari_semxai.widgets.common.numbers import (
    LengthField,
    NumberField,
    NumberSlider,
    SettingsForm,
    WholeField,
    whole_field,
)
from napari_semxai.widgets.edit.panels import SizePanel
from napari_semxai.widgets.explain.concepts_panel import ConceptsPanel
from napari_semxai.widgets.explain.masks_panel import MasksPanel, PicturePanel
from tests.doubles import Controller, FakeRuler


@pytest.fixture(params=["de_DE", "C", "en_US", "fr_FR"], autouse=True)
def locale(request: pytest.FixtureRequest, qapp: Any) -> Iterator[str]:
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def enter(field: QWidget, text: str) -> None:
    """Type over what is written, and press Enter."""
    field.setFocus()
    line = field.findChild(QLineEdit)
    line.selectAll()
    QTest.keyClicks(line, text)
    assert line.text() == text
    QTest.keyClick(field, Qt.Key.Key_Return)


@pytest.fixture
def length(qtbot: QtBot) -> LengthField:
    field = LengthField()
    field.setToolTip("Edge of one pixel")
    qtbot.addWidget(field)
    field.show()
    return field


@pytest.mark.parametrize(
    ("text", "shown", "nanometres"),
    [
        ("2.5", "2.5 nm", 2.5),
        ("2,5", "2.5 nm", 2.5),
        ("0.8", "0.8 nm", 0.8),
        ("1234,5", "1234.5 nm", 1234.5),
        ("0.05um", "50 nm", 50),
        ("0,05 µm", "50 nm", 50),
        ("800 pm", "0.8 nm", 0.8),
        ("0.0005mm", "500 nm", 500),
    ],
)
def test_a_length_is_what_was_typed(
    length: LengthField, text: str, shown: str, nanometres: float
) -> None:
    heard: list[float] = []
    length.valueChanged.connect(heard.append)
    enter(length, text)
    assert length.text() == shown
    assert heard == [pytest.approx(nanometres, rel=1e-12)]
    assert length.problem == ""
    assert length.toolTip() == "Edge of one pixel"


@pytest.mark.parametrize("text", ["2.5 furlong", "2x5", "1.234,5", "2,5,5", "2000000", "-3"])
def test_what_is_no_length_is_marked_and_the_value_stays(length: LengthField, text: str) -> None:
    length.setValue(4)
    plain = length.styleSheet()
    enter(length, text)
    assert length.value() == 4
    assert length.text() == "4 nm"
    assert text in length.problem
    assert "keeping 4 nm" in length.problem
    assert length.problem in length.toolTip()
    assert length.styleSheet() != plain
    enter(length, "3,5")
    assert length.value() == 3.5
    assert length.problem == ""
    assert length.styleSheet() == plain


def test_a_wrong_letter_is_seen_as_it_is_typed(length: LengthField) -> None:
    length.setValue(4)
    length.setFocus()
    line = length.findChild(QLineEdit)
    line.selectAll()
    QTest.keyClicks(line, "2x")
    assert line.text() == "2x"
    assert "“2x”" in length.problem
    assert length.value() == 4


def test_an_empty_length_is_unknown(length: LengthField) -> None:
    length.setValue(4)
    line = length.findChild(QLineEdit)
    line.selectAll()
    QTest.keyClick(line, Qt.Key.Key_Delete)
    QTest.keyClick(length, Qt.Key.Key_Return)
    assert length.value() == 0
    assert length.text() == "unknown"


def test_leaving_a_field_takes_or_refuses_too(length: LengthField) -> None:
    length.setValue(4)
    length.setFocus()
    line = length.findChild(QLineEdit)
    line.selectAll()
    QTest.keyClicks(line, "5 cm")
    QApplication.sendEvent(length, QFocusEvent(QEvent.Type.FocusOut))
    assert "keeping" in length.problem
    assert length.value() == 4
    line.selectAll()
    QTest.keyClicks(line, "5 pm")
    QApplication.sendEvent(length, QFocusEvent(QEvent.Type.FocusOut))
    assert length.value() == 0.005


@pytest.mark.parametrize("text", ["3,5", "51", "0", "x", "1,000"])
def test_a_whole_number_out_of_place_is_refused(qtbot: QtBot, text: str) -> None:
    field = whole_field(1, 50, "Radius")
    qtbot.addWidget(field)
    field.setValue(2)
    field.show()
    enter(field, text)
    assert field.value() == 2
    assert text in field.problem
    enter(field, "12")
    assert field.value() == 12


def test_the_arrows_step(qtbot: QtBot, length: LengthField) -> None:
    length.setValue(2.5)
    QTest.keyClick(length, Qt.Key.Key_Up)
    assert length.value() == 3.5
    assert length.text() == "3.5 nm"


def test_a_slider_has_its_number_beside_it(qtbot: QtBot) -> None:
    slider = NumberSlider(0, 10, default=2, decimals=2, tip="α")
    qtbot.addWidget(slider)
    slider.show()
    heard: list[float] = []
    slider.valueChanged.connect(heard.append)
    enter(slider.field, "2,75")
    assert (slider.value(), heard) == (2.75, [2.75])
    slider.setValue(3.5)
    assert slider.field.text() == "3.50"
    assert heard == [2.75, 3.5]
    enter(slider.field, "11")
    assert slider.value() == 3.5
    assert "0.00 to 10.00" in slider.field.problem


def test_keys_move_a_slider(qtbot: QtBot) -> None:
    slider = NumberSlider(0, 10, default=2, decimals=2, tip="α")
    qtbot.addWidget(slider)
    key = Qt.Key
    for pressed, wanted in (
        (key.Key_Right, 2.01),
        (key.Key_Up, 2.02),
        (key.Key_Left, 2.01),
        (key.Key_Down, 2.0),
        (key.Key_PageUp, 2.1),
        (key.Key_PageDown, 2.0),
        (key.Key_End, 10.0),
        (key.Key_Right, 10.0),
        (key.Key_Home, 0.0),
    ):
        qtbot.keyClick(slider.slider, pressed)
        assert (slider.value(), slider.field.value()) == (wanted, wanted)


def test_magicgui_forms_take_numbers_like_all_others(qtbot: QtBot) -> None:
    forms = AdvancedForms(Session())
    qtbot.addWidget(forms)
    forms.open()
    forms.show()
    filters: list[Any] = []
    grids: list[Any] = []
    forms.filters.changed.connect(filters.append)
    forms.grid.changed.connect(grids.append)
    enter(forms.filters["pred_iou_thresh"].native, "0,85")
    assert [settings.pred_iou_thresh for settings in filters] == [0.85]
    enter(forms.grid["points_per_side"].native, "16")
    assert [settings.points_per_side for settings in grids] == [16]
    for wrong in ("1.6", "3", "65"):
        enter(forms.grid["points_per_side"].native, wrong)
        assert wrong in forms.grid["points_per_side"].native.problem
    assert len(grids) == 1
    enter(forms.filters["stability_score_offset"].native, "0.125")
    assert filters[-1].stability_score_offset == 0.125


def test_every_number_field_of_these_forms_is_one_of_ours(qtbot: QtBot) -> None:
    session = Session()
    size = SizePanel(session, Controller(), FakeRuler())
    panels = (size, AdvancedForms(session), ConceptsPanel(), MasksPanel(), PicturePanel())
    found = []
    for panel in panels:
        qtbot.addWidget(panel)
        found += panel.findChildren(QAbstractSpinBox)
    assert {type(field) for field in found} == {LengthField, NumberField, WholeField}
    size.release()


def test_what_is_true_or_false_is_a_box_to_tick(qtbot: QtBot) -> None:
    form = SettingsForm(CraftSettings(), {"as_drawn": {"label": "As drawn"}})
    qtbot.addWidget(form.native)
    changed: list[CraftSettings] = []
    form.changed.connect(changed.append)
    form["as_drawn"].value = True
    assert isinstance(form["as_drawn"].native, QCheckBox)
    assert changed == [replace(CraftSettings(), as_drawn=True)]


def test_each_choice_is_offered_once_also_the_one_that_is_none(qtbot: QtBot) -> None:
    choices = {"label": "Ignore border", "choices": [("Auto", None), ("1 px", 1)]}
    form = SettingsForm(AlgorithmSettings(), {"ignore_border": choices})
    qtbot.addWidget(form.native)
    box = form["ignore_border"].native
    assert [box.itemText(place) for place in range(box.count())] == ["Auto", "1 px"]
    for value, text in ((1, "1 px"), (None, "Auto")):
        form.set_settings(AlgorithmSettings(ignore_border=value))
        assert box.currentText() == text
