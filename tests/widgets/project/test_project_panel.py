"""The dialog about what an import left out."""

from pathlib import Path

import pytest
from qtpy.QtWidgets import QWidget

from napari_semxai.algorithms.masks.foreground import parse_rule
from napari_semxai.controllers.project.tools import Imported
from napari_semxai.store.images.masks import MaskReader, UnclearMaskError
from napari_semxai.store.project.imports import ImportChoices, ReviewedError
from napari_semxai.widgets.project.dialogs import ImportQuestions


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
