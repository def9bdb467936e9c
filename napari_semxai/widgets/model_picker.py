"""Which network, where it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.state.session import ModelChoice
from napari_semxai.store.models import OFFICIAL_MODELS, installed_path
from napari_semxai.widgets.download_panel import DownloadPanel
from napari_semxai.widgets.file_dialogs import Dialog, ask_open
from napari_semxai.widgets.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.state.session import Download
    from napari_semxai.types import ModelInfo

_DEVICES = ("auto", "cpu", "cuda", "mps")
_FILE = "…file"


class ModelPicker(QWidget):
    """Choose a network and a device; says what is loaded."""

    picked = Signal(object)
    """Emitted with a `ModelChoice`."""

    def __init__(self) -> None:
        super().__init__()
        self.model = QComboBox()
        self.model.setToolTip(
            "bundled: small, trained on synthetic images, works at once; official SAM 2.1 "
            "checkpoints are better for final ground truth"
        )
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.device = QComboBox()
        self.device.addItems(_DEVICES)
        self.device.setToolTip("auto: CUDA where there is one, then MPS, then the CPU")
        self.loaded = StatusText(1, "The engine starts …")
        self.panel = DownloadPanel()
        self._choice = ModelChoice()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("model", self.model)
        row = QHBoxLayout()
        row.addWidget(self.device, stretch=1)
        for part in (self.panel.start, self.panel.cancel):
            row.addWidget(part)
        # What is loaded and what would be, or is, downloaded are read in one place.
        self.said = QStackedWidget()
        for page in (self.loaded, self.panel):
            self.said.addWidget(page)
        self.said.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout.addRow("device", row)
        layout.addRow(self.said)
        self.set_choice(self._choice)
        self.model.activated.connect(self._on_model_activated)
        self.device.activated.connect(self._on_device_activated)
        self.panel.opened.connect(self._on_panel_opened)

    def set_choice(self, choice: ModelChoice) -> None:
        """Show a choice, without telling."""
        self._choice = choice
        with signals_blocked(self.model), signals_blocked(self.device):
            self._fill_models(choice.model)
            self.device.setCurrentText(choice.device)

    def set_model(self, info: ModelInfo | None) -> None:
        """Show what the engine has loaded."""
        if info is None:
            self.loaded.setText("Loading …")
        else:
            self.loaded.setText(f"{info.name} on {info.device} (sha256 {info.sha256[:12]}…)")

    def set_download(self, download: Download) -> None:
        """Show a download, and its file among the models once it is there."""
        self.panel.set_download(download)
        if download.state == "done":
            self.set_choice(self._choice)

    def set_failed(self, message: str) -> None:
        """Show why nothing is loaded."""
        self.loaded.setText(message)

    def _fill_models(self, current: str) -> None:
        self.model.clear()
        self.model.addItem("bundled (small, synthetic images)", "bundled")
        for official in OFFICIAL_MODELS:
            here = installed_path(official) is not None
            text = official.name if here else f"{official.name}, download…"
            self.model.addItem(text, official.name)
        if self.model.findData(current) < 0:
            self.model.addItem(current, current)
        self.model.addItem("Local file…", _FILE)
        self.model.setCurrentIndex(self.model.findData(current))

    def _on_model_activated(self, index: int) -> None:
        model = self.model.itemData(index)
        if model == _FILE:
            files = "Checkpoints (*.pt *.safetensors)"
            picked = ask_open(self, Dialog.WEIGHTS, "Open a SAM 2 checkpoint", files)
            model = "" if picked is None else str(picked)
        missing = next((each for each in OFFICIAL_MODELS if each.name == model), None)
        if missing is not None and installed_path(missing) is None:
            self.panel.offer(missing)
            self.set_choice(self._choice)
        elif model:
            self._pick(ModelChoice(model, self._choice.device))
        else:
            self.set_choice(self._choice)

    def _on_panel_opened(self, opened: bool) -> None:
        self.said.setCurrentWidget(self.panel if opened else self.loaded)

    def _on_device_activated(self, index: int) -> None:
        self._pick(ModelChoice(self._choice.model, _DEVICES[index]))

    def _pick(self, choice: ModelChoice) -> None:
        self.set_choice(choice)
        self.picked.emit(choice)
