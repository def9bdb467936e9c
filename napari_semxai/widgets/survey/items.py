"""The items of the explanation-satisfaction scale, one at a time or all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_semxai.types.survey import ANSWERS, ITEMS
from napari_semxai.widgets.common.forms import button
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent

    from napari_semxai.types.survey import AnswerSet


class SurveyItem(QFrame):
    """One item: its text, five answers, a comment. Keys 1 to 5 answer, 0 takes back.

    Parameters
    ----------
    index : int
        Which of `ITEMS`.
    """

    answered = Signal(int, object)
    """Index of the item; 1 to 5, or None."""
    commented = Signal(int, str)

    def __init__(self, index: int) -> None:
        super().__init__()
        self._index = index
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = StatusText(3, f"<b>{index + 1}</b>&nbsp; {ITEMS[index]}")
        self.answers = {
            value: button(f"{value}  {label}", f"Key {value}", checkable=True)
            for value, label in reversed(ANSWERS.items())
        }
        self.comment = QLineEdit()
        self.comment.setPlaceholderText("Comment (optional)")
        self.comment.setToolTip(
            "Comment on this item; do not write anything that identifies a person"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.addWidget(self.text)
        for value, choice in self.answers.items():
            choice.setStyleSheet("text-align: left; padding-left: 8px;")
            # The item has the focus, so that the keys go on working after a click.
            choice.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            choice.setProperty("answer", value)
            choice.clicked.connect(self._on_choice_clicked)
            layout.addWidget(choice)
        layout.addWidget(self.comment)
        self.comment.editingFinished.connect(self.commit)
        self.comment.returnPressed.connect(self.setFocus)

    def set_answer(self, value: int | None, comment: str, *, same_set: bool) -> None:
        """Show an answer and a comment, but leave alone what is being typed for the same set."""
        for answer, choice in self.answers.items():
            choice.setChecked(answer == value)
        # The session tells of every answer, also while a comment is being typed.
        typed = same_set and self.comment.isModified()
        if self.comment.text() != comment and not typed:
            with signals_blocked(self.comment):
                self.comment.setText(comment)

    def commit(self) -> None:
        """Hand over a comment that was typed and not handed over yet."""
        if self.comment.isModified():
            self.comment.setModified(False)
            self.commented.emit(self._index, self.comment.text())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Answer by a digit."""
        text = event.text()
        if text == "0":
            self.answered.emit(self._index, None)
        elif text in map(str, ANSWERS):
            self.answered.emit(self._index, int(text))
        else:
            super().keyPressEvent(event)

    def _on_choice_clicked(self) -> None:
        self.setFocus()
        self.answered.emit(self._index, self.sender().property("answer"))


class SurveyItems(QWidget):
    """All items with progress and the way through them."""

    answered = Signal(int, object)
    commented = Signal(int, str)
    moved = Signal(int)
    """Index of the item a person wants in front."""

    def __init__(self) -> None:
        super().__init__()
        self._front = 0
        self._shown: tuple[str, ...] = ()
        self.items = [SurveyItem(index) for index in range(len(ITEMS))]
        self.progress = StatusText()
        self.all = QCheckBox("All items at once")
        self.all.setToolTip("Show the whole scale instead of one item at a time")
        self.back = button("◀ Back", "Previous item (Page Up)")
        self.next = button("Next ▶", "Next item (Page Down)")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        head, foot = QHBoxLayout(), QHBoxLayout()
        head.addWidget(self.progress, stretch=1)
        head.addWidget(self.all)
        foot.addWidget(self.back)
        foot.addWidget(self.next)
        layout.addLayout(head)
        for item in self.items:
            layout.addWidget(item)
            item.answered.connect(self._on_answered)
            item.commented.connect(self.commented)
        layout.addLayout(foot)
        self.all.toggled.connect(self._show_front)
        self.back.clicked.connect(self._on_back)
        self.next.clicked.connect(self._on_next)
        for part in (self.all, self.back, self.next):
            part.clicked.connect(self.take_keys)
        self._show_front()

    def set_answers(self, current: AnswerSet, front: int) -> None:
        """Show the answers given so far, with one item in front."""
        same_set, self._shown = self._shown == current.key, current.key
        for item, answer, text in zip(self.items, current.answers, current.comments, strict=True):
            item.set_answer(answer, text, same_set=same_set)
        done = current.n_answered
        self.progress.setText(
            f"Item {front + 1} of {len(ITEMS)}, {done} answered" + (" ✓" * (done == len(ITEMS)))
        )
        if front != self._front or self.items[front].isHidden():
            self._front = front
            self._show_front()

    def commit(self) -> None:
        """Hand over the comments that were typed and not handed over yet."""
        for item in self.items:
            item.commit()

    def take_keys(self) -> None:
        """Give the item in front the focus, so that the next digit answers it."""
        # Qt would give a hidden one the focus later, when it is shown.
        if self.isVisible():
            self.items[self._front].setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Turn pages."""
        if event.key() == Qt.Key.Key_PageUp:
            self._on_back()
        elif event.key() == Qt.Key.Key_PageDown:
            self._on_next()
        else:
            super().keyPressEvent(event)

    def _on_answered(self, index: int, value: int | None) -> None:
        self.commit()
        self.answered.emit(index, value)
        # Who takes an answer back wants to give another one.
        if value is not None:
            self.moved.emit(index + 1)

    def _on_back(self) -> None:
        self.commit()
        self.moved.emit(self._front - 1)

    def _on_next(self) -> None:
        self.commit()
        self.moved.emit(self._front + 1)

    def _show_front(self) -> None:
        # Hidden, an item would lose it, and the next digit would answer nothing.
        had_focus = self.isAncestorOf(self.focusWidget()) if self.focusWidget() else False
        for index, item in enumerate(self.items):
            item.setVisible(self.all.isChecked() or index == self._front)
        if had_focus:
            self.take_keys()
