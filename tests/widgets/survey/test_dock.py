from dataclasses import replace
from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QMessageBox, QPushButton

from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.survey import SurveyController
from napari_semxai.state.open_image import OpenImage
from napari_semxai.state.session import Session
from napari_semxai.store.datasets.survey import read_survey
from napari_semxai.types.survey import SCALE_VERSION
from napari_semxai.widgets.common.progress_bar import MainThread
from napari_semxai.widgets.survey.dock import SurveyDock
from tests.open_images import make_image, open_image


@pytest.fixture
def session():
    return Session(current=OpenImage(make_image()))


@pytest.fixture
def jobs(qapp, session):
    main_thread = MainThread()
    jobs = Jobs(main_thread.deliver, say=session.say)
    yield jobs
    jobs.close()
    main_thread.close()


@pytest.fixture
def dock(qtbot, session, jobs, tmp_path):
    survey = SurveyController(session, jobs)
    dock = SurveyDock(session, survey, jobs)
    qtbot.addWidget(dock)
    dock.show()
    survey.open(tmp_path / "survey.csv")
    qtbot.waitUntil(lambda: session.survey is not None)
    yield dock
    dock.release()


@pytest.fixture
def answering(dock):
    dock.participant.setCurrentText("P-1")
    dock.method.setCurrentText("CRAFT")
    dock.start.click()
    dock.agreed.click()
    return dock


def shown(dock):
    return [index for index, item in enumerate(dock.items.items) if item.isVisible()]


def test_nothing_is_answered_beforehand_and_nothing_before_consent(dock, session):
    dock.start.click()
    assert session.survey.current.explanation == "a"
    assert not dock.items.isEnabled()
    choices = [choice for item in dock.items.items for choice in item.answers.values()]
    assert not any(choice.isChecked() for choice in choices)
    dock.agreed.click()
    assert dock.items.isEnabled()
    dock.consent.setPlainText("other words")
    dock.keep_consent.click()
    assert session.survey.consent_text == "other words"
    assert "earlier wording" in dock.agreed_text.text()


def test_eight_items_by_keyboard(qtbot, answering, session, tmp_path):
    for index, value in enumerate((5, 4, 3, 2, 1, 5, 4, 3)):
        assert shown(answering) == [index]
        assert answering.items.progress.text().startswith(f"Item {index + 1} of 8")
        qtbot.keyClick(answering.items.items[index], Qt.Key.Key_0 + value)
    assert session.survey.current.answers == (5, 4, 3, 2, 1, 5, 4, 3)
    assert "8 answered ✓" in answering.items.progress.text()
    items = answering.items
    qtbot.keyClick(items.items[7], Qt.Key.Key_PageUp)
    assert shown(answering) == [6]
    qtbot.keyClick(items.items[6], Qt.Key.Key_0)
    assert session.survey.current.answers[6] is None
    assert not items.items[6].answers[4].isChecked()
    qtbot.keyClicks(items.items[6].comment, "see 2")
    qtbot.keyClick(items.items[6].comment, Qt.Key.Key_Return)
    assert session.survey.current.comments[6] == "see 2"
    assert session.survey.current.answers == (5, 4, 3, 2, 1, 5, None, 3)
    answering._survey._jobs._threads.shutdown(wait=True)
    (stored,) = read_survey(tmp_path / "survey.csv")
    assert stored.answers == session.survey.current.answers
    assert stored.scale == SCALE_VERSION


@pytest.mark.parametrize("key", [Qt.Key.Key_PageDown, Qt.Key.Key_PageUp])
def test_turning_pages_keeps_the_comment_that_is_typed(qtbot, answering, session, key):
    session.survey = replace(session.survey, item=3)
    qtbot.keyClicks(answering.items.items[3].comment, "too coarse, 2 of 5")
    qtbot.keyClick(answering.items.items[3].comment, key)
    assert session.survey.item in (2, 4)
    assert session.survey.current.comments[3] == "too coarse, 2 of 5"
    assert answering.items.items[3].comment.text() == "too coarse, 2 of 5"


def test_a_comment_that_is_typed_is_never_overwritten(qtbot, answering, session):
    comment = answering.items.items[0].comment
    qtbot.keyClicks(comment, "half a sen")
    session.survey = replace(session.survey, consent_text="other words")
    qtbot.keyClicks(comment, "tence")
    answering.items.items[0].answers[4].click()
    assert session.survey.current.comments[0] == "half a sentence"
    assert session.survey.current.answers[0] == 4


@pytest.mark.parametrize("leave", ["start", "open", "image", "agreed", "release"])
def test_a_typed_comment_is_kept_however_the_set_is_left(
    qtbot, answering, session, tmp_path, monkeypatch, leave
):
    qtbot.keyClicks(answering.items.items[0].comment, "why")
    if leave == "start":
        answering.participant.setCurrentText("P-2")
        answering.start.click()
        assert answering.items.items[0].comment.text() == ""
    elif leave == "open":
        monkeypatch.setattr(
            "qtpy.QtWidgets.QFileDialog.getOpenFileName",
            lambda *_: (str(tmp_path / "other.csv"), ""),
        )
        answering.open_file.click()
    elif leave == "image":
        open_image(session, make_image("b"))
    elif leave == "agreed":
        answering.agreed.click()
    else:
        answering.release()
    answering._survey._jobs._threads.shutdown(wait=True)
    (stored,) = read_survey(tmp_path / "survey.csv")
    assert (stored.participant, stored.comments[0]) == ("P-1", "why")


def test_answers_never_go_to_a_set_that_the_boxes_do_not_name(qtbot, answering, session):
    assert "P-1" in answering.front.text()
    assert "CRAFT" in answering.front.text()
    open_image(session, make_image("b"))
    assert answering.explanation.currentText() == "b"
    assert "explanation a" in answering.front.text()
    assert "Start or resume" in answering.front.text()
    qtbot.keyClick(answering.items.items[0], Qt.Key.Key_5)
    answering.items.items[0].answers[5].click()
    assert session.survey.current.n_answered == 0
    for part in (answering.items, answering.agreed, answering.delete, answering.withdraw):
        assert not part.isEnabled()
    answering.start.click()
    assert "explanation b" in answering.front.text()
    assert "Start or resume" not in answering.front.text()
    answering.agreed.click()
    qtbot.keyClick(answering.items.items[0], Qt.Key.Key_5)
    assert session.survey.current.explanation == "b"
    assert session.survey.current.n_answered == 1


@pytest.mark.parametrize("box", ["participant", "method", "explanation"])
def test_every_box_that_differs_stops_the_answers(qtbot, answering, box):
    field = getattr(answering, box)
    written = field.currentText()
    qtbot.keyClicks(field, "x")
    assert not answering.items.isEnabled()
    field.setCurrentText(f" {written} ")
    assert answering.items.isEnabled()


@pytest.mark.parametrize("typed", ["P", "p-1"])
def test_what_is_typed_is_not_completed_to_another_participant(qtbot, answering, session, typed):
    answering.participant.setFocus()
    answering.participant.lineEdit().selectAll()
    qtbot.keyClicks(answering.participant.lineEdit(), typed)
    qtbot.keyClick(answering.participant.lineEdit(), Qt.Key.Key_Return)
    answering.start.click()
    assert session.survey.current.participant == typed


def test_a_new_id_is_not_the_set_in_front(answering, session):
    answering.new_id.click()
    assert not answering.items.isEnabled()
    assert "participant P-1" in answering.front.text()
    assert "Start or resume" in answering.front.text()


def test_the_keyboard_is_led_from_disabled_items_to_start(qtbot, answering, session):
    answering.activateWindow()
    answering.items.items[0].setFocus()
    qtbot.waitUntil(answering.items.items[0].hasFocus)
    open_image(session, make_image("b"))
    assert answering.start.hasFocus()


@pytest.mark.parametrize("name", ["agreed", "all", "back", "next", "consent", "comment"])
def test_the_next_digit_answers_whatever_was_clicked_last(qtbot, answering, session, name):
    answering.activateWindow()
    items = answering.items
    session.survey = replace(session.survey, item=3)
    answering.participant.setFocus()
    qtbot.waitUntil(lambda: answering.isAncestorOf(answering.focusWidget()))
    if name == "consent":
        answering.text.open()
        assert not items.items[3].hasFocus()
        answering.text.header.click()
    elif name == "comment":
        qtbot.keyClick(items.items[3].comment, Qt.Key.Key_Return)
    elif name == "agreed":
        answering.agreed.click()
        answering.agreed.click()
    else:
        getattr(items, name).click()
    qtbot.waitUntil(items.items[session.survey.item].hasFocus)


def test_the_boxes_follow_the_set_in_front(answering, session):
    answering._survey.begin("P-9", "Grad-CAM", "other")
    boxes = (answering.participant, answering.method, answering.explanation)
    assert [box.currentText() for box in boxes] == ["P-9", "Grad-CAM", "other"]


def test_what_is_deleted_is_named(answering, monkeypatch):
    asked = []
    monkeypatch.setattr(QMessageBox, "question", lambda *words: asked.append(words[2]))
    answering.delete.click()
    answering.withdraw.click()
    assert "P-1" in asked[0]
    assert "explanation a" in asked[0]
    assert "P-1" in asked[1]


def test_all_items_at_once(answering, session):
    answering.items.all.click()
    assert shown(answering) == list(range(8))
    answering.items.items[6].answers[2].click()
    assert session.survey.current.answers[6] == 2
    assert len(shown(answering)) == 8


def test_resuming_shows_the_first_open_item(answering, session):
    answering.items.items[0].answers[5].click()
    answering.participant.setCurrentText("P-2")
    answering.start.click()
    assert not answering.items.items[0].answers[5].isChecked()
    answering.participant.setCurrentText("P-1")
    answering.start.click()
    assert shown(answering) == [1]
    assert answering.items.items[0].answers[5].isChecked()


def test_answers_are_deleted_when_a_person_is_sure(qtbot, answering, session, monkeypatch):
    buttons = QMessageBox.StandardButton
    said = [buttons.No, buttons.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: said.pop(0))
    answering.withdraw.click()
    assert len(session.survey.sets) == 1
    answering.delete.click()
    qtbot.waitUntil(lambda: not session.survey.sets)
    assert not answering.items.isVisible()
    assert not answering.withdraw.isVisible()
    said.append(buttons.Yes)
    answering.start.click()
    answering.agreed.click()
    answering.withdraw.click()
    qtbot.waitUntil(lambda: not session.survey.sets)


def test_the_summary_page_draws_and_saves(qtbot, answering, session, tmp_path):
    answering.items.items[0].answers[5].click()
    answering.pages.setCurrentIndex(1)
    qtbot.waitUntil(lambda: answering.figure.drawn)
    assert "CRAFT" in answering.table.text()
    assert "undefined" in answering.table.text()
    answering.figure.save_to(tmp_path / "survey.svg")
    qtbot.waitUntil(lambda: "Saved" in answering.figure.message.text())
    assert "1 of 1 agree" in (tmp_path / "survey.svg").read_text()


def test_files_are_asked_for(dock, monkeypatch, tmp_path):
    asked = []
    for name in ("getOpenFileName", "getSaveFileName"):
        monkeypatch.setattr(
            f"qtpy.QtWidgets.QFileDialog.{name}",
            lambda *_: (str(tmp_path / "other"), ""),
        )
    monkeypatch.setattr(dock._survey, "open", asked.append)
    monkeypatch.setattr(dock._survey, "save_copy", asked.append)
    dock.open()
    dock.begin_file()
    dock.save_copy()
    assert asked == [tmp_path / "other", *[Path(tmp_path / "other.csv")] * 2]


def test_the_dock_fits_a_small_laptop_and_explains_itself(answering):
    hint = answering.minimumSizeHint()
    assert hint.height() <= 300
    assert hint.width() <= 420
    controls = [*answering.findChildren(QPushButton), *answering.findChildren(QComboBox)]
    ours = [control for control in controls if not control.objectName().startswith("qt_")]
    assert [control for control in ours if not control.toolTip()] == []


def test_all_answers_are_in_sight_before_the_first_one(qtbot, dock):
    dock.resize(420, 560)
    dock.participant.setCurrentText("P-1")
    dock.start.click()
    seen = dock.items.items[0].visibleRegion().boundingRect()
    assert seen.height() == dock.items.items[0].height()
    place = dock.verticalScrollBar().value()
    assert place > 0
    assert not dock.agreed.visibleRegion().isEmpty()
    dock.agreed.click()
    dock.items.items[0].answers[2].click()
    assert dock.verticalScrollBar().value() == place
