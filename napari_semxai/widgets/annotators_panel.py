"""What other annotators say of the current image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QGridLayout

from napari_semxai.widgets.parts import Panel, button, note

if TYPE_CHECKING:
    from napari_semxai.controllers.annotators import AnnotatorsController
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.review import OtherMasks
    from napari_semxai.state.session import Session
    from napari_semxai.widgets.parts import Connections


class AnnotatorsPanel(Panel):
    """Agreement on this image, the others' masks as layers, and their majority.

    Parameters
    ----------
    session : Session
        What is shown.
    annotators : AnnotatorsController
        What is called.
    """

    def __init__(self, session: Session, annotators: AnnotatorsController) -> None:
        super().__init__()
        self.blind = QCheckBox("blind until I have reviewed")
        self.blind.setToolTip("Hide what others say of an image until you have reviewed it")
        self.blind.setChecked(annotators.blind)
        self.compare = button("Compare", "Dice and IoU of every two annotators, masks as outlines")
        self.majority = button(
            "Take the majority", "Bring in what most annotators hold, as one undoable edit"
        )
        self.text = note()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.blind, 0, 0, 1, 2)
        layout.addWidget(self.compare, 1, 0)
        layout.addWidget(self.majority, 1, 1)
        layout.addWidget(self.text, 2, 0, 1, 2)
        self._outside: Connections = (
            (session.events.others, self._on_others_changed),
            (session.events.queue, self._on_queue_changed),
        )
        inside: Connections = (
            (self.blind.toggled, annotators.set_blind),
            (self.compare.clicked, annotators.compare),
            (self.majority.clicked, annotators.take_consensus),
        )
        for signal, slot in (*self._outside, *inside):
            signal.connect(slot)
        self._on_queue_changed(session.queue)
        self._on_others_changed(session.others)

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
