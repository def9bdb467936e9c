"""The dialogs about what an import left out, and what goes into a copy of a KLARF file."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from qtpy.QtWidgets import QWidget

from napari_semxai.algorithms.masks.foreground import parse_rule
from napari_semxai.controllers.project.tools import Imported
from napari_semxai.store.images.masks import MaskReader, UnclearMaskError
from napari_semxai.store.project.imports import ImportChoices, ReviewedError
from napari_semxai.store.project.klarf_export import KlarfChoices, KlarfOffer
from napari_semxai.widgets.project.dialogs import ImportQuestions, KlarfQuestions


@pytest.fixture
def parent(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def dialog(parent):
    masks = MaskReader()
    masks.refused[ReviewedError] += ["a", "b", "c", "d"]
    masks.refused[UnclearMaskError] += ["e"]
    masks.leave_out("f")
    imported = Imported(Path("masks"), ImportChoices(), masks, {"e": "e.png: may be dark"})
    return ImportQuestions(imported, parent)


def test_what_nobody_ticks_stays_as_it_is(dialog):
    assert dialog.choices is None
    assert "4 of your reviews (a, b, c, …)" in dialog.replace.text()


def test_only_what_was_decided_is_brought_in(dialog):
    dialog.replace.setChecked(True)
    dialog.rule.setCurrentText("zero")
    choices = dialog.choices
    assert choices.only == {"a", "b", "c", "d", "e"}
    assert choices.replace
    assert not choices.unannotated
    assert choices.unclear == parse_rule("zero")
    dialog.replace.setChecked(False)
    dialog.rule.setCurrentText("leave out")
    dialog.unannotated.setChecked(True)
    assert dialog.choices.only == {"f"}
    assert not dialog.choices.replace


def test_a_rule_that_is_none_is_told_and_the_dialog_stays(dialog):
    dialog.rule.setCurrentText("bright ones")
    dialog.accept()
    assert "bright ones" in dialog.problem.text()
    assert not dialog.result()


def test_questions_that_are_not_there_are_not_shown(parent):
    masks = MaskReader()
    masks.leave_out("f")
    dialog = ImportQuestions(Imported(Path("m"), ImportChoices(), masks, {}), parent)
    dialog.show()
    assert dialog.unannotated.isVisible()
    assert not dialog.replace.isVisible()
    assert not dialog.rule.isVisible()


OFFER = KlarfOffer(
    Path("lot.001"),
    ("MANSEMCLASS", "CLASSNUMBER"),
    ("XSIZE", "DEFECTAREA"),
    {"1": "particle", "2": "scratch"},
    (
        ("1", "dust", 4, "1"),
        ("7", "", 2, "7"),
        ("crack", "", 1, "crack"),
        ("no defect", "", 3, ""),
    ),
)


def test_classes_of_a_klarf_copy_are_chosen_one_by_one(parent):
    dialog = KlarfQuestions(OFFER, {}, parent)
    texts = [box.currentText() for box in dialog.numbers.values()]
    assert texts == ["1 particle", "7", "crack", "left as it is"]
    for box in dialog.numbers.values():
        # Room for the words, of which the first are seen where a name is longer.
        room = box.fontMetrics().horizontalAdvance("left as it is, and more")
        assert box.sizeHint().width() > room
        assert box.lineEdit().cursorPosition() == 0
    marks = {label: mark.text() for label, mark in dialog.marks.items()}
    assert marks["1"] == marks["no defect"] == ""
    assert marks["7"] == "⚠ not in the file; not written"
    assert marks["crack"] == "⚠ no number; not written"
    # What is left alone is what the command does by itself, and names what is not written.
    assert dialog.choices == KlarfChoices(
        Path("lot.001"), "MANSEMCLASS", {"1": "1", "7": "7"}, (), unknown=False
    )
    dialog.unknown.setChecked(True)
    assert dialog.marks["7"].text() == "⚠ not in the file; written"
    dialog.numbers["crack"].setCurrentText("2 scratch")
    dialog.numbers["1"].setCurrentText("left as it is")
    dialog.numbers["no defect"].setCurrentText("99")
    assert dialog.marks["no defect"].text() == "⚠ not in the file; written"
    assert dialog.marks["crack"].text() == dialog.marks["1"].text() == ""
    dialog.column.setCurrentText("CLASSNUMBER")
    dialog.sizes["DEFECTAREA"].setChecked(True)
    chosen = dialog.choices
    assert chosen == KlarfChoices(
        Path("lot.001"),
        "CLASSNUMBER",
        {"1": "", "7": "7", "crack": "2", "no defect": "99"},
        ("DEFECTAREA",),
        unknown=True,
    )
    # The next time begins with it; of what the file lacks nothing is left.
    again = KlarfQuestions(OFFER, asdict(chosen), parent)
    assert again.choices == chosen
    smaller = replace(OFFER, columns=("CLASSNUMBER",), sizes=(), classes=OFFER.classes[:1])
    found = KlarfQuestions(smaller, asdict(chosen), parent).choices
    assert (found.numbers, found.sizes) == ({"1": ""}, ())
