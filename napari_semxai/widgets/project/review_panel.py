"""What the annotator says of the current mask, and what the others say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.types import ReviewState, colors
from napari_semxai.widgets.common.forms import Panel, button, editable_box, row
from napari_semxai.widgets.common.status import Passage, StatusText, keep_room
from napari_semxai.widgets.project.queue_list import COLORS, MARKS

if TYPE_CHECKING:
    from napari_semxai.controllers.project.annotators import AnnotatorsController
    from napari_semxai.controllers.project.review import ReviewController
    from napari_semxai.controllers.project.tools import ProjectTools
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.review import OtherMasks, PastReview
    from napari_semxai.state.session import Session
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
        self._outside: Connections = (
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
        for signal, slot in (*self._outside, *inside):
            signal.connect(slot)
        self._on_queue_changed(session.queue)
        self._on_record_changed(session.record)
        self._on_past_reviews_changed(session.past_reviews)

    def release(self) -> None:
        """Hand over what was typed, and disconnect from the session."""
        self._on_label_entered()
        self._on_comment_entered()
        for signal, slot in self._outside:
            signal.disconnect(slot)

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
        self._outside: Connections = (
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
        for signal, slot in (*self._outside, *inside):
            signal.connect(slot)
        self._on_queue_changed(session.queue)
        self._on_others_changed(session.others)
        self._on_agreement_changed(session.agreement)

    def release(self) -> None:
        """Disconnect from the session."""
        for signal, slot in self._outside:
            signal.disconnect(slot)

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
