"""Every number field of the real window, found by looking, in a German and an English locale."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QLocale, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QLineEdit, QWidget

from napari_semxai.store.images.read import image_from_array
from napari_semxai.widgets.common.numbers import LengthField, NumberField, WholeField
from napari_semxai.workbench import DOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_semxai.workbench import Workbench


# What a number of ours is measured in, or counts: a tooltip has one of these words.
UNITS = re.compile(
    r"\b(nm|pixels?|colour values|logits|share|number of|IoU|points|seed|overlap|bias|depends)\b",
    re.IGNORECASE,
)


@pytest.fixture(params=["de_DE", "en_US"])
def locale(request: pytest.FixtureRequest, qapp: Any) -> Iterator[None]:
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield
    QLocale.setDefault(before)


@pytest.fixture
def fields(locale: None, workbench: Workbench) -> list[Any]:
    """All of them, with an image open and whatever else they wait for taken as done."""
    workbench.images.show(image_from_array(np.zeros((64, 80), np.uint8), "scene"))
    docks = [workbench.dock(title) for title in DOCKS]
    for widget in (one for dock in docks for one in dock.findChildren(QWidget)):
        widget.setEnabled(True)
    return [field for dock in docks for field in dock.findChildren(QAbstractSpinBox)]


def enter(field: Any, text: str) -> None:
    """Type over what is written, by keys, and press Enter."""
    line = field.findChild(QLineEdit)
    line.selectAll()
    for letter in text:
        # QTest has no keys beyond ASCII.
        QTest.keyClicks(line, letter) if letter.isascii() else line.insert(letter)
    assert line.text() == text, "a character was dropped"
    QTest.keyClick(line, Qt.Key.Key_Return)


def between(field: Any) -> str:
    """Return the text of a value inside the field's range, with decimals where it has some."""
    if isinstance(field, WholeField):
        return str((field.minimum() + field.maximum()) // 2)
    inside = field.minimum() + 0.375 * (min(field.maximum(), 10.0) - field.minimum())
    return f"{inside:.{min(field.decimals(), 3)}f}"


def place_of(field: QWidget) -> str:
    return f"{type(field.parent()).__name__}: {field.toolTip()}"


def test_every_number_field(fields: list[Any]) -> None:
    assert len(fields) >= 15
    for field in fields:
        where = place_of(field)
        # Any other spin box reads by the system's locale.
        assert isinstance(field, NumberField | WholeField), where
        assert UNITS.search(field.toolTip()) or "nm" in field.text(), where
        wanted = between(field)
        for text in (wanted, wanted.replace(".", ",")):
            field.setValue(field.minimum())
            enter(field, text)
            assert field.problem == "", where
            assert field.value() == pytest.approx(float(wanted), abs=1e-9), where
        before = field.value()
        for wrong in ("x", "1,5,5", "1.234,5", "nan", "1 000", "1e999"):
            enter(field, wrong)
            assert field.value() == before, where
            # Where the field is: it is marked, and tells why.
            assert wrong in field.problem, where
            assert field.problem in field.toolTip(), where
            assert field.styleSheet(), where
        enter(field, wanted)
        assert field.problem == "", where


def test_every_length_takes_its_units(fields: list[Any]) -> None:
    lengths = [field for field in fields if isinstance(field, LengthField)]
    assert lengths
    for field in lengths:
        for text, nanometres in (
            ("2,5", 2.5), ("2.5 nm", 2.5), ("0,05µm", 50), ("0.05 um", 50), ("800 pm", 0.8),
            ("0,0005 mm", 500), ("2,5\N{GREEK SMALL LETTER MU}m", 2500),
        ):  # fmt: skip
            enter(field, text)
            assert field.value() == pytest.approx(nanometres)
            assert field.text().endswith(" nm")
