"""The classifier that is explained: which one, what it says, and the images it sees as alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QSizePolicy, QStackedWidget, QWidget
from superqt.utils import signals_blocked

from napari_semxai.state.explanation import ClassifierChoice
from napari_semxai.types import STRANGE
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_open
from napari_semxai.widgets.common.forms import Section, button
from napari_semxai.widgets.common.progress_bar import progress_text
from napari_semxai.widgets.common.status import StatusText
from napari_semxai.widgets.explain.concept_list import CropStrip

if TYPE_CHECKING:
    from napari_semxai.types import Classification, Nearest, Progress

SYNTHETIC = "⚠ Trained on synthetic images; real ones untested"
_FILE = "…file"
_OTHERS = 3


class ClassifierPanel(QWidget):
    """Choose a classifier and a class; says what it predicts."""

    picked = Signal(object)
    """Emitted with a `ClassifierChoice`."""
    target_picked = Signal(object)
    """Emitted with the index of a class, or None for the predicted one."""
    nearest_picked = Signal(int)
    """Emitted with the number of an image that is like the current one."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier, self.target = QComboBox(), QComboBox()
        self.classifier.setToolTip(
            "Bundled: small, trained on synthetic images. Local file: safetensors, weights-only "
            "or .pt2, with its JSON beside it."
        )
        self.target.setToolTip("The class that heat maps and concepts explain")
        for combo in (self.classifier, self.target):
            combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.predicted, self.training, self.status = StatusText(2), StatusText(), StatusText()
        self.line = QStackedWidget()
        for page in (self.status, self.training):
            self.line.addWidget(page)
        self.line.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._said, self._idle = "", ""
        self._choice = ClassifierChoice()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Classifier", self.classifier)
        layout.addRow(self.line)
        layout.addRow("Prediction", self.predicted)
        layout.addRow("Target class", self.target)
        self.find = button(
            "Find similar images",
            "Show the images of the project that the classifier sees as most like this one, "
            "with their class and review; click again to stop",
        )
        self.strip, self.names = CropStrip(), StatusText(2)
        self.strip.setToolTip("Click an image to open it")
        # Folded away, so that a small screen shows the masks' sliders beside the heat map's.
        layout.addRow(Section("Similar images", self.find, self.strip, self.names))
        self.set_choice(self._choice)
        self.set_classification(None, None)
        self.classifier.activated.connect(self._on_classifier_activated)
        self.target.activated.connect(self._on_target_activated)
        self.strip.picked.connect(self.nearest_picked)

    def set_choice(self, choice: ClassifierChoice) -> None:
        """Show a choice, without telling."""
        self._choice = choice
        with signals_blocked(self.classifier):
            self.classifier.clear()
            self.classifier.addItem("Bundled (small, synthetic images)", "bundled")
            # A file of the person's own, which no list knows.
            if choice.classifier != "bundled":
                self.classifier.addItem(choice.classifier, choice.classifier)
            self.classifier.addItem("Local file…", _FILE)
            self.classifier.setCurrentIndex(self.classifier.findData(choice.classifier))

    def set_progress(self, progress: Progress) -> None:
        """Show how far loading and classifying are."""
        self._said = progress_text(progress)
        self._show_line()

    def set_idle(self, text: str) -> None:
        """Say this while nothing is loaded or classified."""
        self._idle = text
        self._show_line()

    def set_classification(self, found: Classification | None, target: int | None) -> None:
        """Show what the classifier says, and the chosen class."""
        self.predicted.setText("–" if found is None else _prediction_text(found))
        synthetic = found is not None and found.info.synthetic
        self.training.setText(SYNTHETIC if synthetic else "")
        self._show_line()
        # The classes stay on offer while the next image is classified, so that the box does not
        # flicker.
        if found is None:
            return
        self.predicted.setToolTip(
            f"{found.info.name}, {found.info.architecture}, sha256 {found.info.sha256[:12]}…"
        )
        with signals_blocked(self.target):
            self.target.clear()
            self.target.addItem(f"Predicted ({found.class_names[found.predicted]})", None)
            for number, name in enumerate(found.class_names):
                share = "" if found.strange else f" ({found.probabilities[number]:.1%})"
                self.target.addItem(name + share, number)
            self.target.setCurrentIndex(0 if target is None else target + 1)

    def set_nearest(self, found: Nearest | None) -> None:
        """Show the images that are most like the current one, or none."""
        crops = np.zeros((0, 1, 1), np.uint8) if found is None else found.crops
        self.strip.set_crops(crops, self.palette().mid().color())
        self.names.setText("" if found is None else nearest_text(found))

    def _show_line(self) -> None:
        """Show what goes on; while nothing does, what the classifier was trained on."""
        text = self._said or self._idle
        self.status.setText(text)
        said = self.status if text or not self.training.text() else self.training
        self.line.setCurrentWidget(said)

    def _on_classifier_activated(self, index: int) -> None:
        classifier = self.classifier.itemData(index)
        if classifier == _FILE:
            files = "Classifiers (*.safetensors *.pt *.pth *.pt2)"
            picked = ask_open(self, Dialog.CLASSIFIER, "Open a classifier", files)
            classifier = "" if picked is None else str(picked)
        choice = ClassifierChoice(classifier, self._choice.device) if classifier else self._choice
        # A file that is picked again may have another description by now.
        changed = choice != self._choice or self.classifier.itemData(index) == _FILE
        self.set_choice(choice)
        if changed:
            self.picked.emit(choice)

    def _on_target_activated(self, index: int) -> None:
        self.target_picked.emit(self.target.itemData(index))


def nearest_text(found: Nearest) -> str:
    """Return class, review and likeness of each image, most like first."""
    return " · ".join(
        f"{file.label or 'no class'} ({file.state or 'not reviewed'}, {similarity:.2f})"
        for file, similarity in zip(found.files, found.similarities, strict=True)
    )


def _prediction_text(found: Classification) -> str:
    order = np.argsort(-found.probabilities, kind="stable")[:_OTHERS]
    names = [found.class_names[index] for index in order]
    if found.strange:
        return f"<b>{STRANGE.capitalize()}</b>:<br>no class can be told (nearest: {names[0]})"
    certain = found.answer == names[0]
    # Three shares have to fit into the line.
    each = [
        f"{name} {found.probabilities[index]:{'.1%' if certain else '.0%'}}"
        for index, name in zip(order, names, strict=True)
    ]
    if certain:
        return f"<b>{names[0]}</b>{each[0].removeprefix(names[0])}<br>then {', '.join(each[1:])}"
    return f"<b>{found.answer}</b><br>{', '.join(each)}"
