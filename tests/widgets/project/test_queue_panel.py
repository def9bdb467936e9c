"""The queue's parts of the dock as views."""

from dataclasses import replace
from math import inf
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox

from napari_semxai.state.review import OtherMasks, Tally
from napari_semxai.state.session import Session
from napari_semxai.store.disk.folders import StoredFiles
from napari_semxai.store.project.klarf_export import KlarfEdit, KlarfOffer
from napari_semxai.types import (
    IDLE,
    PairAgreement,
    Progress,
    QueueFilter,
    ReviewRecord,
    ReviewState,
    Scores,
)
from napari_semxai.widgets.project import project_panel
from napari_semxai.widgets.project.dialogs import KlarfQuestions
from napari_semxai.widgets.project.project_panel import ProjectPanel
from napari_semxai.widgets.project.queue_list import COLORS
from napari_semxai.widgets.project.queue_panel import QueuePanel
from napari_semxai.widgets.project.review_panel import AnnotatorsPanel, ReviewPanel
from tests.explanations import NowJobs
from tests.open_images import make_image, open_image
from tests.queues import queue_of, rows


class Controller:
    asked = Signal(object)
    copied = Signal(object)

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments, **keywords: self.calls.append((name, arguments, keywords))


class Thumbnails:
    ready = Signal(str)

    def get(self, row):
        return np.full((4, 5), 100, np.uint8) if row.image == "die_1" else None


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def panel(qtbot, session, controller):
    panel = QueuePanel(session, *[controller] * 4, Thumbnails())
    qtbot.addWidget(panel)
    yield panel
    panel.release()


def test_it_says_where_one_is(panel, session):
    assert "No project" in panel.where.text()
    session.queue = queue_of()
    assert "2 of 4,591" in panel.where.text()
    assert "2 of 3 listed" in panel.where.text()
    assert panel.summary.text() == "1 of 4,591 reviewed"
    assert panel.list.currentIndex().row() == 1
    assert panel.annotator.text() == "anna"


def test_another_annotator_goes_on_at_the_same_image(panel, session, controller, monkeypatch):
    assert not panel.opening.another.isEnabled()
    session.queue = queue_of()
    for answer in (("Ben ", True), ("Ben", False), ("anna", True), ("", True)):
        monkeypatch.setattr(QInputDialog, "getText", lambda *_, answer=answer, **__: answer)
        panel.opening.another.trigger()
    queue = session.queue
    opened = [call for call in controller.calls if call[0] == "open"]
    # A name that is none is refused where it is opened.
    assert opened == [
        ("open", (queue.folder, name), {"at": queue.current}) for name in ("Ben", "")
    ]
    session.queue = None
    assert not panel.opening.another.isEnabled()


def test_no_row_is_chosen_where_the_open_image_does_not_pass_the_filter(panel, session):
    session.queue = queue_of()
    assert panel.list.selectedIndexes() == [panel.model.index(1)]
    session.queue = queue_of(current="elsewhere")
    assert panel.list.selectedIndexes() == []
    assert not panel.list.currentIndex().isValid()


def test_it_says_how_fast_one_is(panel, session):
    session.queue = queue_of(unreadable={"die_3": "gone"})
    assert panel.summary.text() == "1 of 4,591 reviewed, 1 unreadable"
    session.tally = Tally({ReviewState.ACCEPTED: 4, ReviewState.UNSURE: 1}, 50.0)
    assert panel.summary.text() == "1 of 4,591 reviewed, 1 unreadable, 360 an hour"
    panel.summary.resize(600, 30)
    assert "4 accepted, 1 unsure; 10.0 s an image" in panel.summary.toolTip()


def test_rows_show_state_class_score_and_void_reviews(panel, session):
    session.queue = queue_of()
    texts = [panel.model.data(panel.model.index(place)) for place in range(3)]
    assert texts[0].startswith("✓ 1 die_1 · 3 · mask 0.50")
    assert "void" in texts[1]
    # Text in a state's colour cannot be read on every theme.
    assert panel.model.data(panel.model.index(0), Qt.ItemDataRole.ForegroundRole) is None
    icons = [
        panel.model.data(panel.model.index(place), Qt.ItemDataRole.DecorationRole)
        for place in (0, 1)
    ]
    picture = icons[0].pixmap(64, 64).toImage()
    assert picture.pixelColor(0, 0).name() == COLORS[ReviewState.ACCEPTED].lower()
    assert icons[1] is None


def test_a_changed_row_is_drawn_again_without_a_reset(panel, session, qtbot):
    session.queue = queue_of()
    with qtbot.waitSignal(panel.model.dataChanged):
        session.queue = queue_of(shown=(*rows()[:2], replace(rows()[2], comment="again")))
    # What is chosen is known by its place: other images must not come to be chosen there.
    with qtbot.waitSignal(panel.model.modelReset):
        session.queue = queue_of(shown=rows()[::-1])
    with qtbot.waitSignal(panel.model.modelReset):
        session.queue = queue_of(shown=rows()[:1])


def test_buttons_call_the_controller(panel, session, controller):
    session.queue = queue_of()
    panel.following.click()
    panel.previous.click()
    panel.unreviewed.click()
    panel.jump.setText("12")
    panel.jump.returnPressed.emit()
    panel.list.activated.emit(panel.model.index(2))
    assert [call[:2] for call in controller.calls] == [
        ("step", (1,)),
        ("step", (-1,)),
        ("next_unreviewed", (False,)),
        ("find", ("12",)),
        ("go", ("die_3",)),
    ]


def test_others_progress_is_looked_for_until_the_panel_goes(panel, controller):
    assert panel._timer.isActive()
    panel._timer.timeout.emit()
    assert [call[0] for call in controller.calls] == ["watch"]


def test_filters_are_handed_on(panel, session, controller):
    session.queue = queue_of()
    panel.filters.state.setCurrentText("unsure")
    panel.filters.label.setCurrentIndex(1)
    panel.filters.below.setCurrentText("Mask confidence ≤ 0.8")
    panel.filters.order.setCurrentText("Unsure masks first")
    panel.filters.whose.setCurrentIndex(1)
    panel.filters.state.activated.emit(0)
    [(name, _, chosen)] = controller.calls
    assert name == "set_filter"
    assert chosen == {
        "states": frozenset({ReviewState.UNSURE}),
        "voided": None,
        "where": {"label": frozenset({"3"}), "score": (0.0, 0.8)},
        "text": "",
        "annotator": None,
        "order": "score",
        "descending": False,
    }


@pytest.mark.parametrize(
    ("typed", "limits"),
    [("100-5000", (100, 5000)), ("100 –", (100, inf)), ("-50", (0, 50)), ("many", None)],
)
def test_lot_wafer_area_and_words_filter(panel, session, controller, qtbot, typed, limits):
    shown = tuple(replace(row, lot=lot, wafer="7") for row, lot in zip(rows(), "BAA", strict=True))
    session.queue = queue_of(shown=shown)
    filters = panel.filters
    lots = filters.choices["lot"]
    assert [lots.itemText(i) for i in range(lots.count())] == ["Any lot", "A", "B"]
    lots.setCurrentIndex(2)
    filters.choices["wafer"].setCurrentIndex(1)
    filters.text.setText("near edge")
    filters.area.setText(typed)
    qtbot.keyClick(filters.area, Qt.Key.Key_Return)
    asked = {"lot": frozenset({"B"}), "wafer": frozenset({"7"})}
    [(name, _, chosen)] = controller.calls
    assert (name, chosen["text"]) == ("set_filter", "near edge")
    assert chosen["where"] == (asked if limits is None else {**asked, "area": limits})
    # What cannot be understood goes, and the field says again how to write it.
    assert bool(filters.area.text()) is (limits is not None)


def test_what_is_typed_stays_while_the_queue_changes(panel, session, controller, qtbot):
    session.queue = queue_of()
    panel.show()
    panel.activateWindow()
    qtbot.waitUntil(panel.isActiveWindow)
    panel.browser.open()
    panel.filters.text.setFocus()
    qtbot.waitUntil(panel.filters.text.hasFocus)
    qtbot.keyClicks(panel.filters.text, "near")
    session.queue = replace(session.queue, reviewed=2)
    assert panel.filters.text.text() == "near"
    qtbot.keyClick(panel.filters.text, Qt.Key.Key_Return)
    panel.filters.area.setFocus()
    assert [call[2]["text"] for call in controller.calls] == ["near"]
    # Another project has no filter.
    session.queue = queue_of(folder=Path("other"))
    assert panel.filters.text.text() == ""


def test_reviews_of_one_annotator_can_be_chosen(panel, session, controller):
    session.queue = queue_of(annotators=("anna", "ben"))
    assert [panel.filters.whose.itemText(i) for i in range(panel.filters.whose.count())] == [
        "My reviews",
        "All reviews",
        "Reviews of ben",
    ]
    panel.filters.whose.setCurrentIndex(2)
    panel.filters.whose.activated.emit(2)
    assert controller.calls[-1][2]["annotator"] == "ben"
    # Somebody else has begun meanwhile: what is chosen stays.
    session.queue = queue_of(annotators=("al", "anna", "ben"), filter=QueueFilter("ben"))
    assert panel.filters.whose.currentText() == "Reviews of ben"


def test_progress_is_shown_and_cancelled(panel, session, controller):
    session.batch = Progress("Masks", 12, 4591, 600.0)
    assert not panel.progress.isHidden()
    assert "about 10 min left" in panel.progress.format()
    session.batch = Progress("Features", 21, 32, 19.0)
    assert panel.progress.format() == "Features %v of %m, about 19 s left"
    panel.cancel.click()
    assert [call[0] for call in controller.calls] == ["cancel"] * 3
    session.batch = IDLE
    assert panel.progress.isHidden()


def test_the_review_is_shown_and_set(qtbot, session, controller):
    panel = ReviewPanel(session, controller)
    qtbot.addWidget(panel)
    assert not panel.isEnabled()
    session.queue = queue_of()
    open_image(session, make_image())
    session.update_image(
        record=ReviewRecord("die_2", "anna", voided=ReviewState.ACCEPTED, comment="edge")
    )
    assert "void" in panel.state.text()
    assert panel.comment.text() == "edge"
    for part in (panel.accept, panel.no_defect, panel.reject, panel.unsure):
        part.click()
    panel.comment.setText("rim")
    panel.comment.editingFinished.emit()
    panel.label.setCurrentText("3")
    panel.label.activated.emit(0)
    calls = [call for call in controller.calls if call[0] != "type"]
    assert [call[0] for call in calls] == ["accept", *["review"] * 3, *["annotate"] * 2]
    states = [call[1][0] for call in calls[1:4]]
    assert states == [ReviewState.NO_DEFECT, ReviewState.REJECTED, ReviewState.UNSURE]
    assert calls[4][2] == {"comment": "rim"}
    panel.release()


def test_what_is_typed_stays_and_is_told(qtbot, session, controller):
    panel = ReviewPanel(session, controller)
    qtbot.addWidget(panel)
    session.queue = queue_of()
    record = ReviewRecord("die_2", "anna", comment="edge")
    open_image(session, make_image())
    session.update_image(record=record)
    panel.comment.setText("edge of the wafer")
    record = replace(record, voided=ReviewState.ACCEPTED, label="6")
    session.update_image(record=record)
    assert (panel.comment.text(), panel.label.currentText()) == ("edge of the wafer", "6 none")
    assert controller.calls == [("type", ("comment", "edge of the wafer"), {})]
    session.update_image(record=replace(record, comment="edge of the wafer"))
    panel.label.setEditText("crack")
    assert controller.calls[-1] == ("type", ("label", "crack"), {})
    panel.label.setEditText("6 none")
    assert controller.calls[-1] == ("type", ("label", None), {})
    panel.label.setEditText("crack")
    panel.release()
    assert controller.calls[-1] == ("annotate", (), {"label": "crack"})
    session.update_image(record=ReviewRecord("die_3", "anna"))
    assert panel.comment.text() == "edge of the wafer"


def test_agreement_is_shown(qtbot, session, controller):
    panel = AnnotatorsPanel(session, controller, controller)
    qtbot.addWidget(panel)
    session.queue = queue_of()
    session.others = OtherMasks({}, {("anna", "bert"): Scores(1, 1, 1, 7)})
    assert "anna – bert: Dice 0.500, IoU 0.333" in panel.text.text()
    panel.compare.click()
    panel.majority.click()
    panel.over_all.click()
    assert [call[0] for call in controller.calls] == ["compare", "take_consensus", "agree"]
    pair = PairAgreement("anna", "bert", 12, 3, 0.5, 0.1, 0.25, 0.05, 10, 0.75, 4, float("nan"))
    session.agreement = (pair,)
    assert "Dice 0.500 ± 0.100" in panel.all_text.text()
    assert "states 0.75 (10), classes – (4)" in panel.all_text.text()
    panel.release()


def test_the_class_is_shown_by_its_name_and_set_by_its_label(qtbot, session, controller):
    panel = ReviewPanel(session, controller)
    qtbot.addWidget(panel)
    session.queue = queue_of()
    open_image(session, make_image())
    session.update_image(record=ReviewRecord("die_2", "anna"))
    assert panel.label.currentText() == ""
    assert panel.label.lineEdit().placeholderText() == "3 scratch (as listed)"
    session.update_image(record=ReviewRecord("die_2", "anna", label="6"))
    assert panel.label.currentText() == "6 none"
    session.update_image(record=ReviewRecord("die_2", "anna", label="crack"))
    assert panel.label.currentText() == "crack"
    panel.label.setCurrentIndex(1)
    panel.label.activated.emit(1)
    assert controller.calls[-1] == ("annotate", (), {"label": "3"})
    panel.release()


def test_a_project_is_exported_extended_and_its_classes_named(
    qtbot, session, controller, monkeypatch, tmp_path
):
    panel = ProjectPanel(session, controller)
    qtbot.addWidget(panel)
    session.queue = queue_of(annotators=("anna", "bert"))
    assert [panel.whose.itemText(i) for i in range(3)] == ["anna", "bert", "consensus"]
    panel.form.setCurrentIndex(panel.form.findData("measurements"))
    panel.whose.setCurrentText("consensus")
    path = str(tmp_path / "sizes.csv")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (path, ""))
    panel.export.click()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    panel.folder.trigger()
    assert panel.names.rowCount() == 3
    panel.names.item(0, 1).setText("pit")
    session.queue = queue_of(class_names={"3": "pit", "6": "none"})
    panel.names.item(2, 0).setText("7")
    panel.names.item(2, 1).setText("particle")
    session.queue = queue_of(class_names={"3": "pit", "6": "none", "7": "particle"})
    assert panel.names.rowCount() == 4
    assert controller.calls == [
        (
            "export",
            ("measurements", "consensus", tmp_path / "sizes.csv"),
            {"every": False, "choices": None},
        ),
        ("add", (tmp_path,), {}),
        ("name_classes", ({"3": "pit"},), {}),
        ("name_classes", ({"7": "particle"},), {}),
    ]
    panel.release()


def test_a_copy_of_a_klarf_file_says_what_differs(qtbot, session, controller, tmp_path):
    panel = ProjectPanel(session, controller)
    qtbot.addWidget(panel)
    path = tmp_path / "copy.klarf"
    edit = KlarfEdit(9, "4", "CLASSNUMBER", "0", "7", 100)
    panel._on_klarf_copied((path, (edit,), {"defect_5": "defect_5: has no number"}))
    (box,) = panel.findChildren(QMessageBox)
    assert "copy.klarf: 1 value changed.\nNot all of 1 image was" in box.text()
    assert "line 9, defect 4: CLASSNUMBER 0 → 7\ndefect_5: has no" in box.detailedText()
    with qtbot.waitSignal(box.destroyed):
        box.close()
    panel.release()


OFFER = KlarfOffer(Path("lot.001"), ("CLASSNUMBER",), (), {}, ())


def test_a_klarf_copy_asks_first_and_for_the_file_where_there_is_none(
    qtbot, session, controller, monkeypatch, tmp_path
):
    panel = ProjectPanel(session, controller)
    qtbot.addWidget(panel)
    session.queue = queue_of(annotators=("anna",))
    panel.form.setCurrentIndex(panel.form.findData("klarf"))
    controller.hides = lambda whose: whose != "anna"
    panel.export.click()
    ((name, (title, work, on_offered), _),) = controller.calls
    assert (name, title) == ("begin", "Export")
    info = SimpleNamespace(source=str(tmp_path), exports={"klarf": {"unknown": True}})
    opened = SimpleNamespace(project=SimpleNamespace(info=info))
    assert work(opened, None) == (None, {"unknown": True})
    # No KLARF file, and then another that a person names.
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    on_offered((None, {}))
    assert len(controller.calls) == 1
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "x.001"), ""))
    on_offered((None, {}))
    assert controller.calls[1][1][1].args == ("klarf", "anna", tmp_path / "x.001")
    target = tmp_path / "copy.001"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    monkeypatch.setattr(KlarfQuestions, "exec", lambda _: False)
    on_offered((OFFER, {}))
    assert len(controller.calls) == 2
    monkeypatch.setattr(KlarfQuestions, "exec", lambda _: True)
    on_offered((OFFER, {"unknown": True}))
    name, arguments, keywords = controller.calls[2]
    assert (name, arguments) == ("export", ("klarf", "anna", target))
    assert keywords["choices"].unknown
    # Whose reviews are hidden, of those nothing is asked.
    session.queue = queue_of(annotators=("anna", "bert"))
    panel.whose.setCurrentText("bert")
    panel.export.click()
    assert len(controller.calls) == 3
    panel.release()


def test_folders_and_sizes_are_shown_and_caches_cleared(qtbot, monkeypatch, tmp_path):
    stored = [StoredFiles("concepts", tmp_path, 2_500_000, cache=True)]
    monkeypatch.setattr(project_panel, "stored_files", lambda: tuple(stored))
    monkeypatch.setattr(project_panel, "clear_caches", stored.clear)
    panel = project_panel.StoragePanel(NowJobs())
    qtbot.addWidget(panel)
    panel.show()
    assert "<b>concepts</b> (cache): 2.5 MB" in panel.text.text()
    assert str(tmp_path) in panel.text.text()
    panel.clear.click()
    assert panel.text.text() == ""
    panel.release()


def test_classes_in_use_can_be_filtered_without_a_list(panel, session, controller):
    labelled = tuple(replace(row, label=label) for row, label in zip(rows(), "7b7", strict=True))
    session.queue = queue_of(shown=labelled, class_names={"3": "scratch"})
    texts = [panel.filters.label.itemText(i) for i in range(panel.filters.label.count())]
    assert texts == ["Any class", "3 scratch", "7", "b"]
    # A filter that hides a class does not take it from the list.
    panel.filters.label.setCurrentIndex(2)
    panel.filters.label.activated.emit(2)
    assert controller.calls[-1][2]["where"] == {"label": frozenset({"7"})}
    session.queue = replace(session.queue, shown=labelled[:1], filter=QueueFilter("ben"))
    assert panel.filters.label.currentText() == "7"
    session.queue = queue_of(shown=labelled[:1], class_names={}, folder=Path("other"))
    texts = [panel.filters.label.itemText(i) for i in range(panel.filters.label.count())]
    assert texts == ["Any class", "7"]


def test_the_tooltip_says_who_and_when(panel, session):
    who = replace(rows()[0], time="2026-11-25T12:00:00.000+00:00")
    session.queue = queue_of(shown=(who, replace(rows()[1], annotator="", time="")))
    tips = [
        panel.model.data(panel.model.index(place), Qt.ItemDataRole.ToolTipRole) for place in (0, 1)
    ]
    assert tips[0].startswith("die_1: accepted by anna, 2026-11-2")
    assert tips[1] == "die_2: candidate"


def test_a_new_project_goes_where_a_person_says(panel, controller, monkeypatch, tmp_path):
    answers = iter(
        [str(tmp_path / "images"), str(tmp_path / "shared"), str(tmp_path / "images"), ""]
    )
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: next(answers))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    panel.annotator.setText("anna")
    panel.opening.new_of_folder.trigger()
    assert controller.calls == [
        ("open", (tmp_path / "images", "anna", tmp_path / "shared"), {}),
    ]
    # Nothing is made in a place that nobody chose.
    panel.opening.new_of_folder.trigger()
    panel.opening.new_of_table.trigger()
    assert len(controller.calls) == 1


def test_images_that_cannot_be_read_are_marked_and_counted(panel, session, qtbot):
    session.queue = queue_of()
    changed = []
    panel.model.dataChanged.connect(lambda first, last: changed.append((first.row(), last.row())))
    session.queue = session.queue.with_unreadable({"die_3": "die_3.png: no such file"})
    assert changed == [(2, 2)]
    index = panel.model.index(2)
    assert panel.model.data(index).startswith("⚠ 3 die_3")
    assert panel.model.data(index).endswith("unreadable")
    assert "no such file" in panel.model.data(index, Qt.ItemDataRole.ToolTipRole)
    assert panel.summary.text() == "1 of 4,591 reviewed, 1 unreadable"
    session.queue = session.queue.at("die_3", 3, "die_3")
    assert panel.model.data(index).startswith("○ 3 die_3")
    assert panel.summary.text() == "1 of 4,591 reviewed"
