"""The Mask candidates dock: SAM 2 candidates and Algorithm 1, live."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QWidget,
)
from superqt import QCollapsible
from superqt.utils import qthrottled

from napari_semxai.layers.session_layers import STEPS
from napari_semxai.widgets.candidate_table import CandidateTable
from napari_semxai.widgets.layer_combo import LayerCombo
from napari_semxai.widgets.model_picker import ModelPicker
from napari_semxai.widgets.parameters import SettingsForm
from napari_semxai.widgets.parts import ScrolledDock, button, double_slider, note
from napari_semxai.widgets.welcome import Welcome
from napari_semxai.widgets.winner_map import WinnerMap

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_semxai.controllers.images import ImageController
    from napari_semxai.controllers.segment import SegmentController
    from napari_semxai.layers.session_layers import SessionLayers
    from napari_semxai.state.session import AlgorithmSettings, Automatic, Generation, Session
    from napari_semxai.types import SemImage
    from napari_semxai.widgets.parts import Connections

TABLE_MILLISECONDS = 100
"""The table follows sliders at this pace; the mask follows every motion."""

_BORDERS = [("auto: dark or constant strips", None), ("none", 0), *((f"{n} px", n) for n in
            (1, 2, 3, 4, 5, 8, 12, 16, 24, 32))]  # fmt: skip
_THRESHOLDS: dict[str, dict[str, Any]] = {
    "pred_iou_thresh": {
        "label": "predicted IoU ≥",
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "tooltip": "Leave out masks that the network itself thinks worse of",
    },
    "stability_score_thresh": {
        "label": "stability ≥",
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "tooltip": "Leave out masks whose area depends much on the logit threshold",
    },
    "stability_score_offset": {
        "label": "stability offset",
        "min": 0.125,
        "max": 8,
        "step": 0.125,
        "tooltip": "Stability is the area above + this logit over the area above − this logit",
    },
    "box_nms_thresh": {
        "label": "NMS box IoU ≤",
        "min": 0.0,
        "max": 1.0,
        "step": 0.05,
        "tooltip": "Of candidates whose boxes overlap more, only the best predicted stays",
    },
}
_GRID: dict[str, dict[str, Any]] = {
    "points_per_side": {
        "label": "points per side",
        "min": 4,
        "max": 64,
        "tooltip": "The grid holds this number squared; used by the next Generate",
    },
}
_COMPONENTS: dict[str, dict[str, Any]] = {
    "connectivity": {
        "label": "connectivity",
        "choices": [4, 8],
        "tooltip": "Whether diagonal neighbours belong to one component (8) or not (4)",
    },
    "ignore_border": {
        "label": "ignore border",
        "choices": _BORDERS,
        "tooltip": "Edge pixels that cannot become part of the defect",
    },
}


class CandidatesDock(ScrolledDock):
    """Image, network, Generate, α and β, candidates and steps.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose Image layers are on offer.
    session : Session
        What is shown.
    images, segment
        The controllers that are called.
    layers : SessionLayers
        Shows the steps.
    """

    sample_wanted = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        images: ImageController,
        segment: SegmentController,
        layers: SessionLayers,
    ) -> None:
        super().__init__()
        self._viewer, self._session, self._layers = viewer, session, layers
        self._images, self._segment = images, segment
        self._create(viewer)
        self._lay_out()
        self._show_table = _trailing(self.table.set_automatic)
        self._show_map = _trailing(self.map.set_automatic)
        self.connect_all(outside=self._outside_table(), inside=self._inside_table())
        self._show_session()

    def release(self) -> None:
        """Disconnect from the viewer and the session."""
        self._show_table.cancel()
        self._show_map.cancel()
        self.image.release()
        super().release()

    def open_file(self) -> None:
        """Ask for an image file and open it."""
        name = QFileDialog.getOpenFileName(
            self, "Open an SEM image", "", "Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp)"
        )[0]
        if name:
            self._images.open_file(Path(name))

    def _create(self, viewer: ViewerModel) -> None:
        session = self._session
        self.welcome = Welcome()
        self.image = LayerCombo(viewer, Image, "The SEM image to work on")
        self.open = button("Open…", "Open an SEM image file (TIFF, PNG, JPEG, BMP)")
        self.model = ModelPicker()
        self.generate = button("Generate", "Run SAM 2 on the image (Alt+G)")
        self.cancel = button("Cancel", "Stop; the candidates so far stay")
        self.progress = QProgressBar()
        self.status = note()
        self.alpha = double_slider(
            0, 10, decimals=2, tip="α, centre bias: larger prefers candidates at the centre"
        )
        self.beta = double_slider(
            0, 1, decimals=3, tip="β: a candidate must cover more than this share of the image"
        )
        self.warning = note()
        self.map = WinnerMap(self.alpha.maximum(), self.beta.maximum())
        self.table = CandidateTable()
        self.ranked = button("Use the ranking", "Go back from a winner chosen by hand")
        self.steps = {name: QCheckBox(name) for name in STEPS}
        self.components = SettingsForm(session.algorithm, _COMPONENTS)
        self.filters = SettingsForm(session.filters, _THRESHOLDS)
        self.grid = SettingsForm(session.generate, _GRID)

    def _lay_out(self) -> None:
        picking, running, steps = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        picking.addWidget(self.image, stretch=1)
        picking.addWidget(self.open)
        running.addWidget(self.generate, stretch=1)
        running.addWidget(self.cancel)
        for box in self.steps.values():
            steps.addWidget(box)
        self.form = QWidget()
        layout = QFormLayout(self.form)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("image", picking)
        layout.addRow(self.model)
        layout.addRow(running)
        layout.addRow(self.progress)
        layout.addRow(self.status)
        layout.addRow("α", self.alpha)
        layout.addRow("β", self.beta)
        layout.addRow(self.warning)
        layout.addRow(steps)
        layout.addRow(self.map)
        layout.addRow(self.table)
        layout.addRow(self.ranked)
        self.advanced = QCollapsible("Advanced")
        self.advanced.toggleButton().setToolTip("Border, components, thresholds and grid")
        for form in (self.components, self.filters, self.grid):
            self.advanced.addWidget(form.native)
        layout.addRow(self.advanced)
        self.add((self.welcome, self.form))

    def _outside_table(self) -> Connections:
        events = self._session.events
        return (
            (events.image, self._on_image_changed),
            (events.choice, self.model.set_choice),
            (events.model, self.model.set_model),
            (events.message, self._on_message_changed),
            (events.generation, self._on_generation_changed),
            (events.algorithm, self._on_algorithm_changed),
            (events.filters, self.filters.set_settings),
            (events.generate, self.grid.set_settings),
            (events.automatic, self._on_automatic_changed),
            (self._viewer.dims.events.current_step, self._on_step_changed),
        )

    def _inside_table(self) -> Connections:
        return (
            (self.welcome.open_wanted, self.open_file),
            (self.welcome.sample_wanted, self.sample_wanted),
            (self.open.clicked, self.open_file),
            (self.image.picked, self.open_layer),
            (self.image.refreshed, self._on_layers_refreshed),
            (self.model.picked, self._segment.choose_model),
            (self.generate.clicked, self._segment.generate),
            (self.cancel.clicked, self._segment.cancel),
            (self.alpha.valueChanged, self._on_alpha_moved),
            (self.beta.valueChanged, self._on_beta_moved),
            (self.map.picked, self._on_map_picked),
            (self.table.hovered, self._segment.show_preview),
            (self.table.chosen, self._segment.choose_winner),
            (self.ranked.clicked, self._on_ranking_wanted),
            (self.components.changed, self._on_components_changed),
            (self.filters.changed, self._segment.set_filters),
            (self.grid.changed, self._segment.set_generate),
            *((box.toggled, self._on_steps_toggled) for box in self.steps.values()),
        )

    def _show_session(self) -> None:
        session = self._session
        self._on_image_changed(session.image)
        self.model.set_choice(session.choice)
        if session.model is not None:
            self.model.set_model(session.model)
        self._on_generation_changed(session.generation)
        self._on_algorithm_changed(session.algorithm)
        self._on_automatic_changed(session.automatic)
        self._on_layers_refreshed()

    def _on_image_changed(self, image: SemImage | None) -> None:
        self.welcome.setVisible(image is None)
        self.form.setVisible(image is not None)
        self.image.set_layer(self._layers.image_layer)

    def _on_layers_refreshed(self) -> None:
        self.image.set_layer(self._layers.image_layer)
        offered = self.image.layers
        if self._session.image is None and offered:
            self.open_layer(offered[-1])

    def open_layer(self, layer: Image | None) -> None:
        """Make the displayed plane of an Image layer the current image."""
        if layer is None:
            return
        plane = self._layers.plane_of(layer)
        known = self._layers.image_of(plane)
        if known is not None:
            self._images.show(known)
            return
        source = layer.source.path
        self._images.open_array(
            plane.pixels,
            layer.name,
            partial(self._layers.adopt, plane),
            path=None if source is None else Path(source),
            page=plane.page,
        )

    def _on_step_changed(self) -> None:
        layer = self._layers.image_layer
        if layer is not None and layer.ndim > 2:
            self.open_layer(layer)

    def _on_message_changed(self, message: str) -> None:
        if self._session.model is None and message:
            self.model.set_failed(message)

    def _on_generation_changed(self, generation: Generation) -> None:
        running = generation.state == "running"
        self.generate.setEnabled(not running)
        self.cancel.setEnabled(running)
        self.progress.setVisible(running)
        self.progress.setRange(0, generation.total)
        self.progress.setValue(generation.done)
        self.status.setText(_progress_text(generation))

    def _on_algorithm_changed(self, settings: AlgorithmSettings) -> None:
        self.components.set_settings(settings)
        for slider, value in ((self.alpha, settings.alpha), (self.beta, settings.beta)):
            if slider.value() != value:
                blocked = slider.blockSignals(True)
                slider.setValue(value)
                slider.blockSignals(blocked)
        self.map.set_point(settings.alpha, settings.beta)

    def _on_automatic_changed(self, automatic: Automatic | None) -> None:
        self._show_table(automatic)
        self._show_map(automatic)
        self.ranked.setVisible(automatic is not None and automatic.overridden)
        self.warning.setText("" if automatic is None else _verdict(automatic))

    def _on_alpha_moved(self, value: float) -> None:
        self._segment.set_algorithm(alpha=value)

    def _on_beta_moved(self, value: float) -> None:
        self._segment.set_algorithm(beta=value)

    def _on_map_picked(self, alpha: float, beta: float) -> None:
        self._segment.set_algorithm(alpha=alpha, beta=beta)

    def _on_components_changed(self, settings: AlgorithmSettings) -> None:
        self._segment.set_algorithm(
            connectivity=settings.connectivity, ignore_border=settings.ignore_border
        )

    def _on_ranking_wanted(self) -> None:
        self._segment.choose_winner(None)

    def _on_steps_toggled(self) -> None:
        names = (name for name, box in self.steps.items() if box.isChecked())
        self._layers.show_steps(frozenset(names))


def _trailing(show: Callable[[Automatic | None], None]) -> Any:
    """Return `show` at the table's pace, never within the motion itself."""
    return qthrottled(show, timeout=TABLE_MILLISECONDS, leading=False)


def _progress_text(generation: Generation) -> str:
    stages = {"load": "Loading the network …", "encode": "Encoding the image …"}
    if generation.state == "failed":
        return generation.message
    if generation.state == "cancelled":
        return f"Cancelled after {generation.done} of {generation.total} points"
    if generation.state != "running":
        return ""
    if generation.stage in stages:
        return stages[generation.stage]
    left = generation.seconds_left
    end = "" if left is None else f", about {left:.0f} s left"
    return f"{generation.done} of {generation.total} points{end}"


def _verdict(automatic: Automatic) -> str:
    truth = automatic.truth
    if truth.reason:
        return f"⚠ No defect mask: {truth.reason}"
    if truth.touches_edge:
        return "⚠ The component touches the image's edge or the ignored border"
    winner = "chosen by hand" if automatic.overridden else "winner"
    return (
        f"candidates: {len(automatic.pool)}, {winner} {truth.winner}; "
        f"defect {np.count_nonzero(truth.mask)} px"
    )
