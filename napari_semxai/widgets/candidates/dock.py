"""The Mask candidates dock: SAM 2 candidates and Algorithm 1, live."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QSizePolicy,
    QWidget,
)
from superqt.utils import qthrottled, signals_blocked

from napari_semxai.layers.mask.step_layers import STEPS
from napari_semxai.types.settings import LEARNED, PAPER, ROBUST, AlgorithmSettings
from napari_semxai.widgets.candidates.panels import LearnPanel, ReferencePanel
from napari_semxai.widgets.candidates.pickers import ImagePicker, ModelPicker, Welcome
from napari_semxai.widgets.candidates.ranking import (
    CandidateTable,
    WinnerMap,
    reach_text,
    verdict_text,
)
from napari_semxai.widgets.common.forms import ScrolledDock, Section, button
from napari_semxai.widgets.common.numbers import NumberSlider, SettingsForm
from napari_semxai.widgets.common.progress_bar import JobBar
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.controllers.project.learning import LearningController
    from napari_semxai.controllers.segment.download import DownloadController
    from napari_semxai.controllers.segment.segment import SegmentController
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.session import Automatic, Session
    from napari_semxai.store.disk.safety_net import Recovery
    from napari_semxai.widgets.common.forms import Connections

ALGORITHM_TITLES = {
    ROBUST: "All defects, or none (robust)",
    PAPER: "Largest component (paper)",
    LEARNED: "Learned from this project",
}
TABLE_MILLISECONDS = 100
"""The table follows sliders at this pace; the mask follows every motion."""
_BORDERS = [("Auto: dark or constant strips", None), ("None", 0), *((f"{n} px", n) for n in
            (1, 2, 3, 4, 5, 8, 12, 16, 24, 32))]  # fmt: skip
_THRESHOLDS: dict[str, dict[str, Any]] = {
    "pred_iou_thresh": {
        "label": "Predicted IoU ≥",
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "decimals": 3,
        "tooltip": "Leave out candidates with a lower predicted IoU",
    },
    "stability_score_thresh": {
        "label": "Stability score ≥",
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "decimals": 3,
        "tooltip": "Leave out candidates whose area depends strongly on the logit threshold",
    },
    "stability_score_offset": {
        "label": "Stability offset",
        "min": 0.125,
        "max": 8,
        "step": 0.125,
        "decimals": 3,
        "tooltip": "Stability score: area above +offset divided by area above −offset, in logits",
    },
    "box_nms_thresh": {
        "label": "Box NMS IoU ≤",
        "min": 0.0,
        "max": 1.0,
        "step": 0.05,
        "decimals": 3,
        "tooltip": "Of candidates whose boxes overlap more, keep only the best predicted IoU",
    },
}
_GRID: dict[str, dict[str, Any]] = {
    "points_per_side": {
        "label": "Points per side",
        "min": 4,
        "max": 64,
        "tooltip": "SAM 2 is prompted on a square grid of points; used by the next generation",
    },
}
_COMPONENTS: dict[str, dict[str, Any]] = {
    "connectivity": {
        "label": "Connectivity",
        "choices": [4, 8],
        "tooltip": "Whether diagonal neighbours belong to the same component (8) or not (4)",
    },
    "ignore_border": {
        "label": "Ignore border",
        "choices": _BORDERS,
        "tooltip": "Pixels at the image border that cannot become part of the defect",
    },
}


class CandidatesDock(ScrolledDock):
    """Image, network, Generate, α and β, candidates and steps.

    Parameters
    ----------
    session : Session
        What is shown.
    images, segment, downloads
        The controllers that are called.
    layers : SessionLayers
        Knows the images on offer and shows the steps.
    learning : LearningController
        Learns the project's masks.
    """

    sample_wanted = Signal()
    welcomed = Signal()
    """The first page is shown."""

    def __init__(
        self,
        session: Session,
        images: ImageController,
        segment: SegmentController,
        downloads: DownloadController,
        layers: SessionLayers,
        learning: LearningController,
    ) -> None:
        super().__init__()
        self._learning = learning
        self._session, self._layers, self._segment = session, layers, segment
        self._images, self._downloads = images, downloads
        self.image = ImagePicker(session, images, layers)
        self.reference = ReferencePanel(session, segment, layers.references)
        self._create()
        self._lay_out()
        # α moves a hundred times a second: the mask follows each motion, these only every 100
        # ms.
        self._show_table = _trailing(self.table.set_automatic)
        self._show_map = _trailing(self.map.set_automatic)
        self._show_reach = _trailing(self._on_reach_due)
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._show_session()

    def release(self) -> None:
        """Disconnect from the viewer and the session."""
        # A throttled call that is still due would show into a dock that is gone.
        self._show_table.cancel()
        self._show_map.cancel()
        self._show_reach.cancel()
        self.learn.release()
        self.reference.release()
        self.image.layer.release()
        super().release()

    def _create(self) -> None:
        self.welcome = Welcome()
        self.model = ModelPicker()
        self.run = JobBar("Generate candidates", "Run SAM 2 on the image (Alt+G)", "points")
        self.algorithm = QComboBox()
        self.algorithm.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for name, title in ALGORITHM_TITLES.items():
            self.algorithm.addItem(title, name)
        self.algorithm.setToolTip(
            "What becomes the mask outside the winner: every component that looks like a defect "
            "(or none), with a confidence; or the largest component. Both use the winner that α "
            "and β select. Or what a network that learned this project's masks says."
        )
        self.learn = LearnPanel(self._session, self._learning, self.algorithm)
        defaults = AlgorithmSettings()
        self.alpha = NumberSlider(
            0,
            10,
            default=defaults.alpha,
            decimals=2,
            tip="α, centre bias: larger values prefer candidates near the centre",
        )
        self.beta = NumberSlider(
            0,
            1,
            default=defaults.beta,
            decimals=3,
            tip="β, minimum area: the winner covers more than this share of the image",
        )
        self.reach, self.warning = StatusText(2), StatusText(2)
        self.map = WinnerMap(self.alpha.maximum(), self.beta.maximum())
        self.table = CandidateTable()
        self.ranked = button("Use ranked winner", "Undo the choice of a winner by hand")
        self.steps = {name: QCheckBox(name.capitalize()) for name in STEPS}
        self.advanced = AdvancedForms(self._session)

    def _lay_out(self) -> None:
        steps = QHBoxLayout()
        for box in self.steps.values():
            steps.addWidget(box)
        self.form = QWidget()
        layout = QFormLayout(self.form)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Image", self.image)
        layout.addRow(self.model)
        layout.addRow(self.run)
        layout.addRow("Algorithm", self.algorithm)
        layout.addRow("α", self.alpha)
        layout.addRow("β", self.beta)
        layout.addRow(self.reach)
        layout.addRow(self.warning)
        layout.addRow(steps)
        # What is chosen once stands below what every image needs.
        parts = (self.map, self.table, self.ranked, self.reference, self.learn, self.advanced)
        for part in parts:
            layout.addRow(part)
        self.add((self.welcome, self.form))

    def _outside_table(self) -> Connections:
        events = self._session.events
        return (
            (events.image, self.welcome_if_empty),
            (events.choice, self.model.set_choice),
            (events.model, self.model.set_model),
            (events.download, self.model.set_download),
            (events.message, self._on_message_changed),
            (events.generation, self.run.set_progress),
            (events.generation, self._on_generation_changed),
            (events.algorithm, self._on_algorithm_changed),
            (events.filters, self.advanced.filters.set_settings),
            (events.generate, self.advanced.grid.set_settings),
            (events.automatic, self._on_automatic_changed),
            (events.recovery, self._on_recovery_changed),
            (events.leftovers, self.welcome.set_leftovers),
            *self.image.outside_table(),
        )

    def _inside_table(self) -> Connections:
        return (
            (self.welcome.open_wanted, self.image.open_file),
            (self.welcome.sample_wanted, self.sample_wanted),
            (self.welcome.leftover_wanted, self._images.open_file),
            (self.model.picked, self._segment.choose_model),
            (self.model.panel.wanted, self._downloads.download),
            (self.model.panel.cancelled, self._downloads.cancel),
            (self.run.start_wanted, self._segment.generate),
            (self.run.cancel_wanted, self._segment.cancel),
            (self.algorithm.currentIndexChanged, self._on_algorithm_picked),
            (self.alpha.valueChanged, self._on_alpha_moved),
            (self.beta.valueChanged, self._on_beta_moved),
            (self.map.picked, self._on_map_picked),
            (self.table.hovered, self._segment.show_preview),
            (self.table.chosen, self._segment.choose_winner),
            (self.ranked.clicked, self._on_ranking_wanted),
            (self.advanced.components.changed, self._on_components_changed),
            (self.advanced.filters.changed, self._segment.set_filters),
            (self.advanced.grid.changed, self._segment.set_generate),
            *((box.toggled, self._on_steps_toggled) for box in self.steps.values()),
            *self.image.inside_table(),
        )

    def _show_session(self) -> None:
        session = self._session
        self.welcome_if_empty()
        self._on_recovery_changed(session.recovery)
        self.welcome.set_leftovers(session.leftovers)
        self.model.set_choice(session.choice)
        self.model.set_download(session.download)
        if session.model is not None:
            self.model.set_model(session.model)
        self.run.set_progress(session.generation)
        self._on_algorithm_changed(session.algorithm)
        self._on_automatic_changed(session.automatic)
        self.image.refresh()

    def welcome_if_empty(self) -> None:
        """Show the first page where no image is open."""
        empty = self._session.image is None
        self.welcome.setVisible(empty)
        self.form.setVisible(not empty)
        # Earlier sessions' strokes are looked for only then: they are offered on this page.
        if empty:
            self.welcomed.emit()

    def _on_recovery_changed(self, recovery: Recovery | None) -> None:
        # Strokes of this process come back by themselves.
        offered = recovery is not None and not recovery.from_this_process
        text = "⚠ This image has unsaved strokes. Restore or discard them in Edit & review."
        self.run.set_idle(text if offered else "")

    def _on_message_changed(self, message: str) -> None:
        # Before a network has answered, a message is most likely why there is none.
        if self._session.model is None and message:
            self.model.set_failed(message)

    def _on_algorithm_changed(self, settings: AlgorithmSettings) -> None:
        self.advanced.components.set_settings(settings)
        with signals_blocked(self.algorithm):
            self.algorithm.setCurrentIndex(self.algorithm.findData(settings.algorithm))
        for slider, value in ((self.alpha, settings.alpha), (self.beta, settings.beta)):
            # The slider that moved is ahead of the session: set to its own value it would jump
            # back.
            if slider.value() != value:
                with signals_blocked(slider):
                    slider.setValue(value)
        self.map.set_point(settings.alpha, settings.beta)

    def _on_automatic_changed(self, automatic: Automatic | None) -> None:
        self._show_table(automatic)
        self._show_map(automatic)
        self._show_reach(automatic)
        self.ranked.setEnabled(automatic is not None and automatic.overridden)
        self.warning.setText("" if automatic is None else verdict_text(automatic))

    def _on_generation_changed(self) -> None:
        self._show_reach(self._session.automatic)

    def _on_reach_due(self, automatic: Automatic | None) -> None:
        # Of candidates that more will join nothing is said, and a learned network has none.
        learned = self._session.algorithm.algorithm == LEARNED
        if automatic is None or learned or self._session.generation.running:
            self.reach.setText("")
        else:
            self.reach.setText(reach_text(automatic, self.alpha.maximum()))

    def _on_algorithm_picked(self) -> None:
        self._segment.set_algorithm(
            algorithm=self.algorithm.currentData(), network=self.learn.network
        )

    def _on_alpha_moved(self, value: float) -> None:
        self._segment.set_algorithm(alpha=value)

    def _on_beta_moved(self, value: float) -> None:
        self._segment.set_algorithm(beta=value)

    def _on_map_picked(self, alpha: float, beta: float) -> None:
        self._segment.set_algorithm(alpha=alpha, beta=beta)

    def _on_components_changed(self, settings: AlgorithmSettings) -> None:
        self._segment.set_algorithm(**asdict(settings))

    def _on_ranking_wanted(self) -> None:
        self._segment.choose_winner(None)

    def _on_steps_toggled(self) -> None:
        names = (name for name, box in self.steps.items() if box.isChecked())
        self._layers.steps.show(frozenset(names))


def _trailing(show: Callable[[Automatic | None], None]) -> Any:
    """Return `show` at the table's pace, never within the motion itself."""
    return qthrottled(show, timeout=TABLE_MILLISECONDS, leading=False)


class AdvancedForms(Section):
    """Border and components, thresholds, and the grid of points.

    Parameters
    ----------
    session : Session
        Holds the values shown first.
    """

    def __init__(self, session: Session) -> None:
        components = SettingsForm(session.algorithm, _COMPONENTS)
        filters = SettingsForm(session.filters, _THRESHOLDS)
        grid = SettingsForm(session.generate, _GRID)
        tip = "Connectivity, border, thresholds and point grid"
        super().__init__("Advanced", components.native, filters.native, grid.native, tip=tip)
        self.components, self.filters, self.grid = components, filters, grid
