"""Concepts of a class by CRAFT: what they are fitted on, what came of it, settings to try."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.algorithms.explanations.concepts import doubts
from napari_semxai.state.explanation import CraftSettings
from napari_semxai.types import PIECES
from napari_semxai.widgets.common.file_dialogs import (
    Dialog,
    ask_folder,
    ask_open,
    ask_open_many,
    ask_save,
)
from napari_semxai.widgets.common.forms import IMAGE_FILTER, button
from napari_semxai.widgets.common.numbers import SettingsForm
from napari_semxai.widgets.common.progress_bar import JobBar
from napari_semxai.widgets.common.status import Passage, StatusText
from napari_semxai.widgets.explain.concept_list import ConceptList

if TYPE_CHECKING:
    from napari_semxai.state.explanation import FitImage
    from napari_semxai.types import ConceptBank, ConceptMaps, NetworkLayers, SweepAdvice, SweepRow

BANK_FILTER = "Concepts (*.safetensors)"
_FIELDS: dict[str, dict[str, Any]] = {
    "pieces": {
        "label": "Found in",
        "choices": [(title, name) for name, title in PIECES.items()],
        "tooltip": "What concepts are found in by the next fit; crops need xplique and minutes",
    },
    "patch_size": {
        "label": "Patch size",
        "min": 16,
        "max": 256,
        "step": 8,
        "tooltip": "Side of the crops in pixels of the network's input; used by the next fit",
    },
    "seed": {"label": "Seed", "min": 0, "max": 9999, "tooltip": "Seed of the factorisation"},
    "refinement": {
        "label": "Refinement",
        "choices": [
            ("None", "none"),
            ("Guided by image edges", "guided"),
            ("Fine: earlier layer and image edges", "fine"),
        ],
        "tooltip": "How concept maps are upsampled to the image; takes effect at once",
    },
    "as_drawn": {
        "label": "As drawn",
        "tooltip": "As the library draws it; else maps are moved to where the layer looks",
    },
    "n_concepts": {
        "label": "Concepts (k)",
        "min": 2,
        "max": 25,
        "tooltip": "Number of concepts; concepts on show are fitted anew at once",
    },
}
COLUMNS = ("Layer", "k", "Patch", "R²", "Agreement", "Stability", "Important", "IoU", "s")


class ConceptsPanel(QWidget):
    """Fit concepts and show them."""

    files_picked = Signal(list)
    folder_picked = Signal(object)
    settings_picked = Signal(object)
    """Emitted with `CraftSettings`."""
    open_wanted = Signal(object)
    """Emitted with the file of concepts to show."""
    save_wanted = Signal(object)
    """Emitted with the file to write the concepts on show to."""

    def __init__(self) -> None:
        super().__init__()
        self._settings, self._missing = CraftSettings(), ""
        self.images = StatusText()
        self.files = button("Add files…", "Add images of the class to fit on")
        self.folder = button("Add folder…", "Add all images of a folder to fit on")
        self.current = button("Add current image", "Add the current image to fit on")
        self.clear = button("Clear images", "Remove all images to fit on")
        self.layer = QComboBox()
        self.layer.setToolTip(
            "Layer at which the network is split; earlier layers give finer maps"
        )
        self.form = SettingsForm(self._settings, _FIELDS)
        # The number beside it is the form's, which reads any locale.
        self.count = QSlider(Qt.Orientation.Horizontal)
        self.count.setRange(_FIELDS["n_concepts"]["min"], _FIELDS["n_concepts"]["max"])
        self.count.setToolTip(_FIELDS["n_concepts"]["tooltip"])
        self.bar = JobBar("Fit concepts", "Find the concepts of the class in these images")
        self.open = button("Open concepts…", "Open concepts from a file")
        self.save = button("Save concepts…", "Save these concepts to a file")
        self.quality = Passage(5)
        self.local = QCheckBox("Importances for this image")
        self.local.setToolTip("If off: importances for the class, over all images of the fit")
        self.concepts = ConceptList()
        self._lay_out()
        self.set_bank(None)
        self.set_images(())
        self.files.clicked.connect(self._on_files_wanted)
        self.folder.clicked.connect(self._on_folder_wanted)
        self.layer.activated.connect(self._on_layer_activated)
        self.form.changed.connect(self._on_form_changed)
        self.count.valueChanged.connect(self._on_count_moved)
        self.open.clicked.connect(self._on_open_wanted)
        self.save.clicked.connect(self._on_save_wanted)

    def set_network(self, network: NetworkLayers | None) -> None:
        """Offer the layers a network can be split at, or say what is missing."""
        self._missing = "" if network is None else network.craft_missing
        with signals_blocked(self.layer):
            self.layer.clear()
            self.layer.addItem("Default", "")
            for node in () if network is None else network.layers:
                if node.concepts:
                    shape = " × ".join(map(str, node.shape))
                    self.layer.addItem(f"{node.name} ({shape})", node.name)
            if network is not None:
                self.layer.setItemText(0, f"Default ({network.concepts_default})")
        # The list of layers is new, and stands at its first entry.
        self.set_settings(self._settings)

    def set_settings(self, settings: CraftSettings) -> None:
        """Show settings, without telling."""
        self._settings = settings
        self.form.set_settings(settings)
        # Crops are cut by an extra; without it the rest of the dock works.
        missing = self._missing if settings.pieces == "crops" else ""
        self.bar.set_idle(missing)
        self.bar.setEnabled(not missing)
        with signals_blocked(self.count):
            self.count.setValue(settings.n_concepts)
        with signals_blocked(self.layer):
            self.layer.setCurrentIndex(max(self.layer.findData(settings.layer), 0))

    def set_images(self, images: tuple[FitImage, ...]) -> None:
        """Say what concepts will be fitted on."""
        self.images.setText(
            f"Fit on {_counted(len(images))}" if images else "No images to fit on yet"
        )
        self.clear.setEnabled(bool(images))

    def set_bank(self, bank: ConceptBank | None) -> None:
        """Show the concepts of another bank."""
        self.concepts.set_bank(bank)
        for part in (self.local, self.save):
            part.setEnabled(bank is not None)
        self.quality.setText("" if bank is None else _quality(bank))

    def show_importances(
        self, bank: ConceptBank | None, maps: ConceptMaps | None, local: bool
    ) -> None:
        """Show the importances for the class, or for this image."""
        with signals_blocked(self.local):
            self.local.setChecked(local)
        values = None if bank is None else bank.importances
        if local:
            values = None if maps is None else maps.local_importances
        self.concepts.set_importances(values)

    def _on_form_changed(self, settings: CraftSettings) -> None:
        with signals_blocked(self.count):
            self.count.setValue(settings.n_concepts)
        self.settings_picked.emit(settings)

    def _on_count_moved(self, count: int) -> None:
        self.form["n_concepts"].value = count

    def _lay_out(self) -> None:
        layout, buttons, files = QFormLayout(self), QGridLayout(), QHBoxLayout()
        files.addWidget(self.open)
        files.addWidget(self.save)
        layout.setContentsMargins(0, 0, 0, 0)
        for place, part in enumerate((self.files, self.folder, self.current, self.clear)):
            buttons.addWidget(part, place // 2, place % 2)
        layout.addRow(self.images)
        layout.addRow(buttons)
        layout.addRow("Layer", self.layer)
        layout.addRow(self.form.native)
        layout.addRow("k", self.count)
        layout.addRow(self.bar)
        layout.addRow(files)
        layout.addRow(self.quality)
        layout.addRow(self.local)
        # The list itself is placed by the dock, at its end.

    def _on_files_wanted(self) -> None:
        paths = ask_open_many(
            self, Dialog.CLASS_IMAGES, "Choose images of the class", IMAGE_FILTER
        )
        if paths:
            self.files_picked.emit(paths)

    def _on_folder_wanted(self) -> None:
        path = ask_folder(self, Dialog.CLASS_IMAGES, "Choose a folder of images of the class")
        if path is not None:
            self.folder_picked.emit(path)

    def _on_open_wanted(self) -> None:
        path = ask_open(self, Dialog.CONCEPTS, "Open concepts", BANK_FILTER)
        if path is not None:
            self.open_wanted.emit(path)

    def _on_save_wanted(self) -> None:
        path = ask_save(
            self, Dialog.CONCEPTS, "Save concepts", "concepts.safetensors", BANK_FILTER
        )
        if path is not None:
            self.save_wanted.emit(path)

    def _on_layer_activated(self, index: int) -> None:
        self._settings = replace(self._settings, layer=self.layer.itemData(index))
        self.settings_picked.emit(self._settings)


def _counted(images: int) -> str:
    return f"{images} image{'' if images == 1 else 's'}"


def _quality(bank: ConceptBank) -> str:
    text = (
        f"{bank.class_name}, {_counted(bank.n_images)}, layer {bank.layer}: the concepts explain "
        f"{bank.r2:.0%} of the activations and keep the predicted class of "
        f"{bank.agreement:.0%} of the images"
    )
    if bank.clamp_agreement < 1:
        text += (
            f". Negative activations were set to 0, because concepts are non-negative; this "
            f"alone keeps the predicted class of {bank.clamp_agreement:.0%}"
        )
    return "\n".join([*(f"⚠ {doubt}" for doubt in doubts(bank)), text])


class TuningPanel(QWidget):
    """Try settings; a double click takes one."""

    picked = Signal(object)
    """Emitted with the `SweepRow` a person took."""

    def __init__(self) -> None:
        super().__init__()
        self.tune = button(
            "Try settings",
            "Fit with several layers, k and patch sizes; IoU where images have a validated mask",
        )
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setMinimumSize(120, 120)
        self.table.setToolTip("Double-click a row to use its settings for the next fit")
        self.advice = Passage(5)
        self._rows: tuple[SweepRow, ...] = ()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.tune, self.table, self.advice):
            layout.addWidget(part)
        self.table.cellDoubleClicked.connect(self._on_row_picked)

    def set_rows(self, rows: tuple[SweepRow, ...]) -> None:
        """Show what was tried."""
        self._rows = rows
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(_texts(row)):
                self.table.setItem(number, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()

    def set_advice(self, advice: SweepAdvice | None) -> None:
        """Show what is advised, and why."""
        if advice is None:
            self.advice.setText("")
            return
        self.table.selectRow(advice.suggested)
        row = advice.rows[advice.suggested]
        lines = [f"Suggested: {row.layer}, k = {row.n_concepts}, patch {row.patch_size}"]
        self.advice.setText("\n".join([*lines, *advice.reasons, *advice.skipped]))

    def _on_row_picked(self, number: int) -> None:
        self.picked.emit(self._rows[number])


def _texts(row: SweepRow) -> tuple[str, ...]:
    figures = (row.r2, row.agreement, row.stability)
    return (
        row.layer,
        str(row.n_concepts),
        str(row.patch_size),
        *(_figure(value) for value in figures),
        str(row.n_important),
        _figure(row.iou),
        f"{row.seconds:.0f}",
    )


def _figure(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"
