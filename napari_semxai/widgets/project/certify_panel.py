"""Certified accept: an audit sample, where the audit stands, and what it lets one accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel

from napari_semxai.algorithms.statistics.acceptance import AUDITED, Promise
from napari_semxai.widgets.common.forms import Panel, button, note, set_note
from napari_semxai.widgets.common.numbers import NumberField, whole_field

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from napari_semxai.controllers.project.certify import CertifyController
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.certificates import Audit


_PROMISE = (
    "From a random sample that you audit it follows how many of the other automatic masks can be "
    "accepted unseen, so that with the given confidence at most the given share of them is wrong. "
    "Nothing is promised of any single image, of images added or masks made after the sample was "
    "drawn; what is accepted so is never used as truth."
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
        self._outside = (
            (session.events.project, self._look),
            (session.events.tally, self._look),
            (certify.changed, self._on_changed),
        )
        inside = (
            (self.draw.clicked, self._on_draw_wanted),
            (self.hand_out.clicked, certify.hand_out),
            (self.accept.clicked, certify.accept),
            (self.back.clicked, certify.take_back),
        )
        for signal, slot in (*self._outside, *inside):
            signal.connect(slot)
        self._on_changed(None)

    def showEvent(self, event: QShowEvent) -> None:
        """Look how far the audit is; nobody sees it before."""
        super().showEvent(event)
        self._look()

    def release(self) -> None:
        """Disconnect from the session."""
        for signal, slot in self._outside:
            signal.disconnect(slot)

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

    def _on_changed(self, audit: Audit | None) -> None:
        self.hand_out.setEnabled(audit is not None)
        self.accept.setEnabled(audit is not None and bool(audit.images))
        set_note(self.state, "No sample is drawn." if audit is None else f"{audit}.")

    def _on_draw_wanted(self) -> None:
        share = self.wrong.value() / 100
        promise = Promise(share, iou=self.iou.value(), defects=self.parts.isChecked())
        self._certify.draw(self.count.value(), promise)
