"""What other annotators say of the current image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QGridLayout

from napari_semxai.types import colors
from napari_semxai.widgets.common.forms import Panel, button
from napari_semxai.widgets.common.status import Passage, StatusText, keep_room

if TYPE_CHECKING:
    from napari_semxai.controllers.project.annotators import AnnotatorsController
    from napari_semxai.controllers.project.tools import ProjectTools
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.review import OtherMasks
    from napari_semxai.state.session import Session
    from napari_semxai.types import PairAgreement
    from napari_semxai.widgets.common.forms import Connections

_LEGEND = (
    f"Beside the image, for each other annotator: <b style='color:{colors.BOTH}'>both</b>, "
    f"<b style='color:{colors.ONLY_OTHER}'>only theirs</b>, "
    f"<b style='color:{colors.ONLY_OWN}'>only yours</b>."
)


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
