"""What the annotator says of the current mask, what others say, and what an audit accepts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_semxai.algorithms.statistics.acceptance import AUDITED, Promise
from napari_semxai.types import ReviewState, colors
from napari_semxai.widgets.common.forms import Panel, button, editable_box, note, row, set_note
from napari_semxai.widgets.common.numbers import NumberField, whole_field
from napari_semxai.widgets.common.status import Passage, StatusText, keep_room
from napari_semxai.widgets.project.queue_list import COLORS, MARKS

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from napari_semxai.controllers.project.annotators import AnnotatorsController
    from napari_semxai.controllers.project.certify import CertifyController
    from napari_semxai.controllers.project.review import ReviewController
    from napari_semxai.controllers.project.tools import ProjectTools
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.review import OtherMasks, PastReview
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.certificates import Audit
    from napari_semxai.types import PairAgreement, ReviewRecord
    from napari_semxai.widgets.common.forms import Connections

_LEGEND = (
    f"Beside the image, for each other annotator: {colors.chip('both', colors.BOTH)} "
    f"{colors.chip('only theirs', colors.ONLY_OTHER)} "
    f"{colors.chip('only yours', colors.ONLY_THIS)}"
)


class ReviewPanel(Panel):
    """State, class and comment of the current image, and the buttons that set them.

    Parameters
    ----------
    session : Session
        What is shown.
    review : ReviewController
        What is called.
    """

    def __init__(self, session: Session, review: ReviewController) -> None:
        super().__init__()
        self._session, self._review = session, review
        self._shown: tuple[str, str, str] | None = None
        self.state = StatusText(2)
        self.accept = button(
            "Accept", "The mask is right (recorded as corrected if it was changed)"
        )
        self.no_defect = button(
            "No defect", "The image shows no defect: its truth is an empty mask"
        )
        self.reject = button("Reject", "The image or its mask is unusable")
        self.unsure = button("Unsure", "Another annotator should review this image")
        self.undo = button("Undo review", "")
        self.label = editable_box("Defect class; confirm with ⏎ (Alt+1 to Alt+9)")
        self.comment = QLineEdit()
        self.comment.setPlaceholderText("Comment ⏎")
        self.comment.setToolTip("Comment, saved with the review (Alt+D)")
        self._lay_out()
        outside: Connections = (
            (session.events.record, self._on_record_changed),
            (session.events.queue, self._on_queue_changed),
            (session.events.past_reviews, self._on_past_reviews_changed),
        )
        inside: Connections = (
            (self.accept.clicked, review.accept),
            (self.no_defect.clicked, self._on_no_defect_wanted),
            (self.reject.clicked, self._on_reject_wanted),
            (self.unsure.clicked, self._on_unsure_wanted),
            (self.undo.clicked, review.undo),
            (self.label.activated, self._on_label_entered),
            # At every key: the next image may come by a shortcut, without the field losing its
            # focus, and what was typed goes along with it.
            (self.label.editTextChanged, self._on_label_typed),
            (self.comment.textChanged, self._on_comment_typed),
            (self.comment.editingFinished, self._on_comment_entered),
        )
        self.connect_all(outside=outside, inside=inside)
        self._on_queue_changed(session.queue)
        self._on_record_changed(session.record)
        self._on_past_reviews_changed(session.past_reviews)

    def release(self) -> None:
        """Hand over what was typed, and disconnect from the session."""
        self._on_label_entered()
        self._on_comment_entered()
        super().release()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(row(QWidget(), self.state, self.undo))
        column.addWidget(row(QWidget(), self.accept, self.no_defect, self.reject, self.unsure))
        column.addWidget(row(QWidget(), QLabel("Class"), self.label, self.comment))

    def _on_queue_changed(self, queue: Queue | None) -> None:
        if queue is None:
            return
        names = {"": "", **queue.class_names}
        shown = {label: f"{label} {name}".strip() for label, name in names.items()}
        if [self.label.itemText(i) for i in range(self.label.count())] != list(shown.values()):
            with signals_blocked(self.label):
                self.label.clear()
                for label, text in shown.items():
                    self.label.addItem(text, label)
                self._shown = None
                self._on_record_changed(self._session.record)
        row = None if queue.position is None else queue.shown[queue.position]
        known = "" if row is None or not row.label else shown.get(row.label, row.label)
        self.label.lineEdit().setPlaceholderText(known and f"{known} (as listed)")

    def _on_record_changed(self, record: ReviewRecord | None) -> None:
        self.setEnabled(record is not None)
        if record is None:
            self.state.setText("")
            self._shown = None
            return
        if record.voided is not None:
            text = colors.chip("⚠ review void", COLORS[ReviewState.UNSURE])
            text += f" edited after it was “{record.voided}”: review it again"
        else:
            text = colors.chip(f"{MARKS[record.state]} {record.state}", COLORS[record.state])
            if record.state.is_reviewed:
                text += f" by {record.annotator}, {record.time[:16]}"
        self.state.setText(text)
        self._show(record)

    def _on_past_reviews_changed(self, past: tuple[PastReview, ...]) -> None:
        self.undo.setEnabled(bool(past))
        what, project = "the latest review", self._session.project
        if past and project is not None:
            what = f"“{past[-1].after.state}” of {project.name(past[-1].before.image)}"
        self.undo.setToolTip(f"Undo {what}, even when another image is open (Alt+Z)")

    def _show(self, record: ReviewRecord) -> None:
        """Show class and comment, but leave alone what somebody is typing for the same image."""
        image, label, comment = self._shown or ("", "", "")
        # Compared with what was shown, not with the field: a record that only changed its state
        # must not overwrite what is typed.
        other = self._shown is None or image != record.image
        with signals_blocked(self.label), signals_blocked(self.comment):
            if other or label != record.label:
                self.label.setCurrentIndex(self.label.findData(record.label))
                # A class that is not in the project's list.
                if self.label.currentIndex() < 0:
                    self.label.setEditText(record.label)
            if other or comment != record.comment:
                self.comment.setText(record.comment)
        self._shown = record.image, record.label, record.comment

    def _on_no_defect_wanted(self) -> None:
        self._review.review(ReviewState.NO_DEFECT)

    def _on_reject_wanted(self) -> None:
        self._review.review(ReviewState.REJECTED)

    def _on_unsure_wanted(self) -> None:
        self._review.review(ReviewState.UNSURE)

    def _on_label_typed(self) -> None:
        self._review.type("label", self._changed_label())

    def _on_comment_typed(self) -> None:
        self._review.type("comment", self._changed_comment())

    def _on_label_entered(self) -> None:
        label = self._changed_label()
        if label is not None:
            self._review.annotate(label=label)

    def _on_comment_entered(self) -> None:
        comment = self._changed_comment()
        if comment is not None:
            self._review.annotate(comment=comment)

    def _changed_label(self) -> str | None:
        """Return the class in the field, by its key where it is in the list; None as it was."""
        record, text = self._session.record, self.label.currentText()
        place = self.label.findText(text)
        known = self.label.itemData(place) if place >= 0 else None
        # The list shows "3 scratch", the record holds "3".
        label = text.strip() if known is None else known
        return None if record is None or label == record.label else label

    def _changed_comment(self) -> str | None:
        record, text = self._session.record, self.comment.text()
        return None if record is None or text == record.comment else text


class AnnotatorsPanel(Panel):
    """Agreement on this image, the others' masks as layers, and their majority.

    Parameters
    ----------
    session : Session
        What is shown.
    annotators, tools
        The controllers that are called.
    """

    def __init__(
        self, session: Session, annotators: AnnotatorsController, tools: ProjectTools
    ) -> None:
        super().__init__()
        self.blind = QCheckBox("Blind until I have reviewed")
        self.blind.setToolTip(
            "Hide other annotators' masks and reviews until you have reviewed the image"
        )
        self.blind.setChecked(session.blind)
        self.compare = button(
            "Compare masks", "Dice and IoU of each pair of annotators, and outlines of their masks"
        )
        self.majority = button(
            "Use majority mask",
            "Replace the mask by the pixels that most annotators marked (undoable)",
        )
        self.over_all = button(
            "Project agreement", "Compare each pair of annotators over the project"
        )
        self.text, self.legend, self.all_text = Passage(3), StatusText(2, _LEGEND), Passage(4)
        keep_room(self.legend)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.blind, 0, 0, 1, 2)
        layout.addWidget(self.compare, 1, 0)
        layout.addWidget(self.majority, 1, 1)
        layout.addWidget(self.text, 2, 0, 1, 2)
        layout.addWidget(self.legend, 3, 0, 1, 2)
        layout.addWidget(self.over_all, 4, 0, 1, 2)
        layout.addWidget(self.all_text, 5, 0, 1, 2)
        outside: Connections = (
            (session.events.others, self._on_others_changed),
            (session.events.agreement, self._on_agreement_changed),
            (session.events.queue, self._on_queue_changed),
        )
        inside: Connections = (
            (self.blind.toggled, annotators.set_blind),
            (self.compare.clicked, annotators.compare),
            (self.majority.clicked, annotators.take_consensus),
            (self.over_all.clicked, tools.agree),
        )
        self.connect_all(outside=outside, inside=inside)
        self._on_queue_changed(session.queue)
        self._on_others_changed(session.others)
        self._on_agreement_changed(session.agreement)

    def _on_queue_changed(self, queue: Queue | None) -> None:
        self.setEnabled(queue is not None)

    def _on_others_changed(self, others: OtherMasks | None) -> None:
        rows = () if others is None else others.agreement.items()
        lines = (
            f"{first} – {second}: Dice {scores.dice:.3f}, IoU {scores.iou:.3f}"
            for (first, second), scores in rows
        )
        self.text.setText("<br>".join(lines))
        self.legend.setVisible(others is not None and bool(others.masks))

    def _on_agreement_changed(self, pairs: tuple[PairAgreement, ...]) -> None:
        self.all_text.setText("<br>".join(map(_words, pairs)))


def _words(pair: PairAgreement) -> str:
    return (
        f"<b>{pair.first} – {pair.second}</b><br>"
        f"Dice {_mean(pair.dice_mean, pair.dice_std)}, IoU {_mean(pair.iou_mean, pair.iou_std)} "
        f"({pair.masks:,} with both masks, {pair.empty:,} of them empty)<br>"
        f"Cohen's κ: states {_kappa(pair.state_kappa, pair.states)}, "
        f"classes {_kappa(pair.label_kappa, pair.labels)}"
    )


def _mean(mean: float, deviation: float) -> str:
    if math.isnan(mean):
        return "–"
    return f"{mean:.3f}" + ("" if math.isnan(deviation) else f" ± {deviation:.3f}")


def _kappa(kappa: float, count: int) -> str:
    """Return kappa and how many images it is of; a dash where chance explains everything."""
    return f"{'–' if math.isnan(kappa) else f'{kappa:.2f}'} ({count:,})"


_PROMISE = (
    "From a random sample that you audit it follows how many of the other automatic masks can be "
    f"accepted unseen, so that with {Promise().confidence:.0%} confidence at most the given share "
    "of them is wrong. Nothing is promised of any single image, of images added or masks made "
    "after the sample was drawn; what is accepted this way is never used as truth."
)


class CertifyPanel(Panel):
    """Certified accept: what is promised, the sample, where the audit stands, and the way back.

    Parameters
    ----------
    session : Session
        Has the project.
    certify : CertifyController
        The controller that is called.
    """

    def __init__(self, session: Session, certify: CertifyController) -> None:
        super().__init__()
        self._session, self._certify = session, certify
        usual = Promise()
        self.count = whole_field(
            AUDITED, 9999, f"Number of images to audit; rounded up to a multiple of {AUDITED}"
        )
        self.count.setValue(120)
        self.wrong = whole_field(1, 50, "Share of the accepted masks that may be wrong")
        self.wrong.setValue(round(100 * usual.most_wrong))
        self.iou = NumberField()
        self.iou.setRange(0.0, 1.0)
        self.iou.setSingleStep(0.05)
        self.iou.setValue(usual.iou)
        self.iou.setToolTip("A mask is wrong whose IoU with yours is below this")
        self.parts = QCheckBox("Every part counts")
        self.parts.setChecked(usual.defects)
        self.parts.setToolTip("A part missed or invented beside others makes a mask wrong, too")
        self.draw = button("Draw audit sample", "Draw images at random, and show them in the list")
        self.hand_out = button("Show sample", "Show the sample in the image list")
        self.accept = button("Accept by rule", "Accept what the audit allows; one undo for all")
        self.back = button("Take back", "Make all masks candidates that were accepted by rule")
        self.state = note()
        self._lay_out()
        outside = (
            (session.events.project, self._look),
            (session.events.queue, self._on_queue_changed),
            (certify.changed, self._on_changed),
        )
        inside = (
            (self.draw.clicked, self._on_draw_wanted),
            (self.hand_out.clicked, certify.hand_out),
            (self.accept.clicked, certify.accept),
            (self.back.clicked, certify.take_back),
        )
        self.connect_all(outside=outside, inside=inside)
        self._on_changed(None)

    def showEvent(self, event: QShowEvent) -> None:
        """Look how far the audit is; nobody sees it before."""
        super().showEvent(event)
        self._look()

    def _lay_out(self) -> None:
        layout, promise = QGridLayout(self), note()
        layout.setContentsMargins(0, 0, 0, 0)
        set_note(promise, _PROMISE)
        layout.addWidget(promise, 0, 0, 1, 4)
        fields = (("Audit", self.count), ("Wrong, %", self.wrong), ("IoU below", self.iou))
        for place, (text, field) in enumerate(fields):
            row, column = 1 + place // 2, 2 * (place % 2)
            layout.addWidget(QLabel(text), row, column)
            layout.addWidget(field, row, column + 1)
        layout.addWidget(self.parts, 2, 2, 1, 2)
        for place, part in enumerate((self.draw, self.hand_out, self.accept, self.back)):
            layout.addWidget(part, 3 + place // 2, 2 * (place % 2), 1, 2)
        layout.addWidget(self.state, 5, 0, 1, 4)

    def _look(self) -> None:
        self.setEnabled(self._session.project is not None)
        if self._session.project is None:
            self._on_changed(None)
        elif self.isVisible():
            self._certify.look()

    def _on_queue_changed(self, queue: Queue | None, before: Queue | None) -> None:
        # Other rows: a review was written, also one that was undone, or many at once.
        if queue is not None and before is not None and queue.shown is not before.shown:
            self._look()

    def _on_changed(self, audit: Audit | None) -> None:
        self.hand_out.setEnabled(audit is not None)
        self.accept.setEnabled(audit is not None and bool(audit.images))
        set_note(self.state, "No sample is drawn." if audit is None else f"{audit}.")

    def _on_draw_wanted(self) -> None:
        share = self.wrong.value() / 100
        promise = Promise(share, iou=self.iou.value(), defects=self.parts.isChecked())
        self._certify.draw(self.count.value(), promise)
