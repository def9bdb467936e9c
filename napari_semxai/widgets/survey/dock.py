"""The Survey dock: the explanation-satisfaction scale, and what its answers come to."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QMessageBox,
    QPlainTextEdit,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.reports.survey import likert_figure
from napari_semxai.store.datasets.survey import consent_digest
from napari_semxai.widgets.common.figure_view import FigureView
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_open, ask_save
from napari_semxai.widgets.common.forms import (
    ScrolledDock,
    Section,
    button,
    editable_box,
    note,
    offer,
    page,
)
from napari_semxai.widgets.common.status import StatusText, keep_room
from napari_semxai.widgets.survey.items import SurveyItems

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_semxai.algorithms.statistics.survey import SurveyReport
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.survey import SurveyController
    from napari_semxai.state.research import SurveyState
    from napari_semxai.state.session import Session
    from napari_semxai.types import SemImage
    from napari_semxai.types.survey import AnswerSet
    from napari_semxai.widgets.common.forms import Connections


def names_of(answers: AnswerSet) -> tuple[str, str, str]:
    """Participant, method and explanation of an answer set."""
    return answers.participant, answers.method, answers.explanation


def told(names: Iterable[str]) -> str:
    """`names_of` as a phrase."""
    kinds = ("participant", "method", "explanation")
    return ", ".join(f"{kind} {name or '(none)'}" for kind, name in zip(kinds, names, strict=True))


def front_text(current: AnswerSet | None, named: tuple[str, ...]) -> str:
    """Say which set takes answers, and whether it is the one that the boxes name."""
    if current is None:
        return "Press “Start or resume” to answer."
    front = names_of(current)
    if named == front:
        return f"Answering for: {told(front)}"
    return f"Still answering for: {told(front)}. Press “Start or resume” to switch."


def agreement(survey: SurveyState) -> str:
    """Say that the current participant agreed to another text; empty if not."""
    if survey.current is None or not survey.current.consent:
        return ""
    same = survey.current.consent == consent_digest(survey.consent_text)
    return "" if same else "Agreed to an earlier wording of the text"


def summary_text(report: SurveyReport) -> str:
    """Means, agreement and comparisons as rich text."""
    rows = []
    for entry in report.methods:
        rows.append(
            f"<b>{entry.method or 'explanations'}</b>, participants: {entry.n_participants}"
        )
        summary = entry.summary
        if math.isnan(summary.cronbach_alpha):
            rows.append("Cronbach’s alpha is undefined for these answers")
        else:
            alpha, sets = summary.cronbach_alpha, summary.n_complete
            rows.append(f"Cronbach’s alpha {alpha:.3f}, complete answer sets {sets}")
    for pair in report.comparisons:
        test = pair.test
        rows.append(
            f"{pair.first} – {pair.second}: participants who saw both {test.n}, median difference "
            f"{test.median_difference:+.2f}, Wilcoxon p = {test.p_value:.4f} (Holm "
            f"{pair.p_holm:.4f}), rank-biserial {test.rank_biserial:+.2f}"
        )
    return "<br>".join(rows) or "No answers yet."


_METHODS = ("Grad-CAM", "CRAFT")
_FILTER = "Survey answers (*.csv)"


class SurveyDock(ScrolledDock):
    """One page to answer, one with the summary.

    Parameters
    ----------
    session : Session
        What is shown.
    survey : SurveyController
        Takes the answers.
    jobs : Jobs
        Draws the summary.
    """

    def __init__(self, session: Session, survey: SurveyController, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._survey = session, survey
        self._front: tuple[str, ...] = ()
        self._create(jobs)
        self._lay_out()
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._on_survey_changed(session.survey)
        # After it: answers to an image before this one are not for this one.
        self._on_image_changed(session.image)
        self._on_report_changed(session.survey_report)

    def release(self) -> None:
        """Hand over a comment that was typed, and disconnect from the session."""
        # Qt may have destroyed it already; it lost the keyboard before, which hands over too.
        if isalive(self.items):
            self.items.commit()
        self.figure.release()
        super().release()

    def open(self) -> None:
        """Ask for the file of a survey that was begun."""
        self.items.commit()
        path = ask_open(self, Dialog.SURVEY, "Open a survey", _FILTER)
        if path is not None:
            self._survey.open(path)

    def begin_file(self) -> None:
        """Ask where the answers of a new survey go."""
        self.items.commit()
        path = ask_save(self, Dialog.SURVEY, "New survey", "survey.csv", _FILTER, replaces=False)
        if path is not None:
            self._survey.open(path.with_suffix(".csv"))

    def save_copy(self) -> None:
        """Ask where a copy of all answers goes."""
        self.items.commit()
        path = ask_save(self, Dialog.SURVEY, "Save a copy", "survey_copy.csv", _FILTER)
        if path is not None:
            self._survey.save_copy(path.with_suffix(".csv"))

    def _create(self, jobs: Jobs) -> None:
        self.file, self.agreed_text, self.table = StatusText(2), StatusText(2), note()
        self.new_file = button("New survey…", "Start a survey; every answer is saved at once")
        self.open_file = button("Open survey…", "Continue a survey, or read its answers from CSV")
        self.copy = button("Save copy…", "Save all answers to another CSV file")
        self.participant = editable_box("A pseudonym, never a name")
        self.new_id = button("New ID", "Create a random pseudonym")
        self.method = editable_box("Explanation method; methods are compared in the summary")
        self.explanation = editable_box("The explanation that is shown, such as the image's name")
        for box in self._boxes:
            # It would make "P-10" of the "P-1" that is typed, and answers would go there.
            box.setCompleter(None)
        self.start = button(
            "Start or resume",
            "Start or resume the answers of this participant to this explanation",
        )
        self.consent = QPlainTextEdit()
        self.consent.setToolTip("The text that participants agree to; it can be edited")
        self.consent.setMaximumHeight(110)
        self.keep_consent = button("Use consent text", "Ask participants to agree to this text")
        self.agreed = QCheckBox("The participant agrees")
        self.agreed.setToolTip("Required before answering; the wording is saved with the answers")
        self.front = StatusText(2)
        self.front.setTextFormat(Qt.TextFormat.PlainText)
        self.items = SurveyItems()
        self.delete = button("Delete answers…", "Delete the answers to this explanation")
        self.withdraw = button(
            "Withdraw consent…", "Delete all answers of a participant who withdraws consent"
        )
        keep_room(self.items, self.delete, self.withdraw)
        self.figure = FigureView(jobs, "survey")
        self.summarise = button("Update summary", "Compute means, agreement and comparisons")

    def _lay_out(self) -> None:
        files, who, answer, summary = QHBoxLayout(), QHBoxLayout(), QWidget(), QWidget()
        for part in (self.new_file, self.open_file, self.copy):
            files.addWidget(part)
        who.addWidget(self.participant, stretch=1)
        who.addWidget(self.new_id)
        form = QFormLayout(answer)
        tip = "The text participants agree to"
        self.text = Section("Consent", self.consent, self.keep_consent, tip=tip)
        form.addRow("Participant", who)
        form.addRow("Method", self.method)
        form.addRow("Explanation", self.explanation)
        rows = (self.start, self.text, self.agreed, self.agreed_text, self.front, page(self.items))
        for row in rows:
            form.addRow(row)
        leave = QHBoxLayout()
        for part in (self.delete, self.withdraw):
            leave.addWidget(part)
        form.addRow(leave)
        column = QVBoxLayout(summary)
        # The table is last: it has as many lines as there are methods.
        for part in (self.summarise, self.figure, self.table):
            column.addWidget(part)
        column.addStretch()
        self.pages = QTabWidget()
        self.pages.addTab(answer, "Answer")
        self.pages.addTab(summary, "Summary")
        self.column.addLayout(files)
        self.add((self.file, self.pages))

    def _outside_table(self) -> Connections:
        events = self._session.events
        return (
            (events.image, self._on_image_changed),
            (events.survey, self._on_survey_changed),
            (events.survey_report, self._on_report_changed),
        )

    def _inside_table(self) -> Connections:
        survey = self._survey
        return (
            (self.new_file.clicked, self.begin_file),
            (self.open_file.clicked, self.open),
            (self.copy.clicked, self.save_copy),
            (self.new_id.clicked, self._on_id_wanted),
            (self.start.clicked, self._on_started),
            (self.keep_consent.clicked, self._on_consent_edited),
            (self.agreed.clicked, self._on_agreed),
            (self.text.toggled, self._on_consent_folded),
            (self.items.answered, survey.answer),
            (self.items.commented, survey.comment),
            (self.items.moved, survey.go),
            (self.delete.clicked, self._on_delete_wanted),
            (self.withdraw.clicked, self._on_withdrawn),
            (self.summarise.clicked, survey.summarise),
            (self.pages.currentChanged, self._on_page_turned),
            *((box.editTextChanged, self._on_named) for box in self._boxes),
        )

    @property
    def _boxes(self) -> tuple[QComboBox, QComboBox, QComboBox]:
        return self.participant, self.method, self.explanation

    def _on_image_changed(self, image: SemImage | None) -> None:
        if image is not None:
            self.explanation.setCurrentText(image.name)

    def _on_survey_changed(self, survey: SurveyState | None) -> None:
        self.pages.setVisible(survey is not None)
        self.copy.setEnabled(survey is not None and bool(survey.sets))
        if survey is None:
            self.file.setText("Start a new survey, or open one. One CSV file holds all answers.")
            return
        current = survey.current
        sets = "answer set" if len(survey.sets) == 1 else "answer sets"
        self.file.setText(f"{survey.path.name}: {len(survey.sets)} {sets}")
        self.file.setToolTip(str(survey.path))
        offer(self.participant, [known.participant for known in survey.sets])
        offer(self.method, [*_METHODS, *(known.method for known in survey.sets)])
        offer(self.explanation, [known.explanation for known in survey.sets])
        # The session tells of every answer, also while the text is being edited.
        if not self.consent.document().isModified():
            self._show_consent(survey.consent_text)
        self.agreed.setChecked(current is not None and bool(current.consent))
        self.agreed_text.setText(agreement(survey))
        for part in (self.items, self.delete, self.withdraw):
            part.setVisible(current is not None)
        front = () if current is None else names_of(current)
        if current is not None:
            self.items.set_answers(current, survey.item)
        if front != self._front:
            self._front = front
            for box, text in zip(self._boxes, front, strict=False):
                with signals_blocked(box):
                    box.setCurrentText(text)
        self._show_front(current)

    def _show_front(self, current: AnswerSet | None) -> None:
        """Say which set is in front; while the boxes name another one it takes no answers."""
        named = tuple(box.currentText().strip() for box in self._boxes)
        is_named = current is not None and named == names_of(current)
        self.front.setText(front_text(current, named))
        if not is_named:
            self.items.commit()
            if self.items.isAncestorOf(QApplication.focusWidget()):
                # Or Qt would pass the keyboard on to a box, and the next digit would go there.
                self.start.setFocus()
        for part in (self.agreed, self.delete, self.withdraw):
            part.setEnabled(is_named)
        self.items.setEnabled(is_named and current is not None and bool(current.consent))

    def _on_named(self) -> None:
        survey = self._session.survey
        if survey is not None:
            self._show_front(survey.current)

    def _show_consent(self, text: str) -> None:
        if self.consent.toPlainText() != text:
            self.consent.setPlainText(text)
        self.consent.document().setModified(False)

    def _on_report_changed(self, report: SurveyReport | None) -> None:
        self.table.setText("" if report is None else summary_text(report))
        make = None if report is None else partial(likert_figure, report.methods)
        self.figure.set_figure(make, None if make is None else partial(make, compact=True))

    def _on_id_wanted(self) -> None:
        self.participant.setCurrentText(self._survey.new_participant())

    def _on_started(self) -> None:
        self.items.commit()
        # Read after `commit`: a comment that was being typed belongs to the set before.
        participant, method, explanation = (box.currentText() for box in self._boxes)
        self._survey.begin(participant, method, explanation)
        self.items.take_keys()
        # Now, or the first answer would scroll, and put another one below the pointer.
        _scroll_to(self, self.items)

    def _on_agreed(self, agreed: bool) -> None:
        self.items.commit()
        self._survey.agree(agreed)
        self.items.take_keys()

    def _on_consent_folded(self, opened: bool) -> None:
        if not opened:
            self.items.take_keys()

    def _on_delete_wanted(self) -> None:
        if _sure(self, f"Delete all answers of {told(self._front)}?"):
            self._survey.delete()

    def _on_withdrawn(self) -> None:
        who = f"participant {self._front[0]}"
        if _sure(self, f"Delete all answers of {who} to all explanations?"):
            self._survey.withdraw()

    def _on_consent_edited(self) -> None:
        self.consent.document().setModified(False)
        self._survey.set_consent_text(self.consent.toPlainText())

    def _on_page_turned(self, page: int) -> None:
        if page == 1:
            self._survey.summarise()


def _scroll_to(dock: ScrolledDock, part: QWidget) -> None:
    # What has just been shown has no place before it is laid out.
    QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    dock.ensureWidgetVisible(part)


def _sure(parent: QWidget, question: str) -> bool:
    answer = QMessageBox.question(parent, "Survey", f"{question} This cannot be undone.")
    return bool(answer == QMessageBox.StandardButton.Yes)
