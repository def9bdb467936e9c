"""Which image is worked on, by which network, where that runs; and a welcome before that."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.state.session import ModelChoice
from napari_semxai.store.disk.folders import models_folder
from napari_semxai.store.weights.models import OFFICIAL_MODELS, installed_path
from napari_semxai.types import JobState, Progress
from napari_semxai.widgets.common.file_dialogs import Dialog, RecentButton, ask_open
from napari_semxai.widgets.common.forms import button, note, set_note
from napari_semxai.widgets.common.layer_combo import LayerCombo
from napari_semxai.widgets.common.status import StatusLine, StatusText, keep_room

if TYPE_CHECKING:
    from qtpy.QtWidgets import QPushButton

    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.layers.mask.session_layers import SessionLayers
    from napari_semxai.state.session import Session
    from napari_semxai.store.disk.safety_net import Recovery
    from napari_semxai.store.weights.models import OfficialModel
    from napari_semxai.types import ModelInfo, SemImage
    from napari_semxai.widgets.common.forms import Connections

_MEGABYTE = 10**6
_MOST_LEFTOVERS = 5

_TEXT = """<h3>Defect masks from SEM images</h3>
<ol>
<li><b>Open an image</b>: here, or drop a file on the canvas and pick its layer.</li>
<li><b>Generate candidates</b> with SAM 2.</li>
<li>Move <b>α</b> and <b>β</b> until the defect is outlined.</li>
<li>Correct it by hand in <b>Edit &amp; review</b>.</li>
<li>See in <b>Explain</b> what the classifier predicts, and why.</li>
<li>Watch Dice and IoU in <b>Scores</b>, and save the mask.</li>
</ol>
<p>Nothing leaves this machine.</p>"""


class Welcome(QWidget):
    """The first-run page."""

    open_wanted = Signal()
    sample_wanted = Signal()
    leftover_wanted = Signal(object, int)

    def __init__(self) -> None:
        super().__init__()
        self.open = button("Open an image…", "TIFF, PNG, JPEG or BMP")
        self.sample = button("Try the sample image", "A synthetic defect with its exact mask")
        self.recent = RecentButton()
        self.leftovers: list[QPushButton] = []
        self.unsaved = note()
        self._layout = QVBoxLayout(self)
        for part in (note(_TEXT), self.open, self.recent, self.sample, self.unsaved):
            self._layout.addWidget(part)
        self.set_leftovers(())
        self.open.clicked.connect(self.open_wanted)
        self.sample.clicked.connect(self.sample_wanted)

    def set_leftovers(self, copies: tuple[Recovery, ...]) -> None:
        """Offer images with strokes that an earlier session did not save, newest first."""
        for old in self.leftovers:
            self._layout.removeWidget(old)
            old.deleteLater()
        text = f"⚠ Images with unsaved strokes: {len(copies)}" if copies else ""
        set_note(self.unsaved, text)
        self.leftovers = []
        for copy in copies[:_MOST_LEFTOVERS]:
            path, page = Path(copy.info["path"]), int(copy.info.get("page", 0))
            offer = button(
                f"Open {copy.info['name']}", f"Open {path}; its unsaved strokes can be restored"
            )
            offer.clicked.connect(partial(self._on_leftover_clicked, path, page))
            self._layout.addWidget(offer)
            self.leftovers.append(offer)

    def _on_leftover_clicked(self, path: Path, page: int, _checked: bool) -> None:
        self.leftover_wanted.emit(path, page)


class ImagePicker(QWidget):
    """Pick an Image layer or open a file.

    Parameters
    ----------
    session : Session
        What is shown.
    images : ImageController
        The controller that is called.
    layers : SessionLayers
        Knows the viewer, and which layer shows the current image.
    """

    def __init__(self, session: Session, images: ImageController, layers: SessionLayers) -> None:
        super().__init__()
        self._viewer, self._session = layers.viewer, session
        self._images, self._layers = images, layers
        self.layer = LayerCombo(self._viewer, Image, "The SEM image to work on")
        self._offered = self.layer.layers
        self.open = button("Open…", "Open an SEM image file (TIFF, PNG, JPEG, BMP)")
        self.previous = button("◀", "Previous page of the file")
        self.page, self.following = QLabel(), button("▶", "Next page of the file")
        self.page.setAlignment(Qt.AlignmentFlag.AlignCenter)
        metrics = self.page.fontMetrics()
        self.page.setMinimumWidth(metrics.horizontalAdvance("88 / 88"))
        for turn in (self.previous, self.following):
            turn.setFixedWidth(metrics.horizontalAdvance("◀◀◀"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.layer, stretch=1)
        for part in (self.previous, self.page, self.following, self.open):
            row.addWidget(part)
        self.set_image(session.image)

    def outside_table(self) -> Connections:
        """Return what to connect to things that outlive this widget."""
        return (
            (self._session.events.image, self.set_image),
            (self._viewer.dims.events.current_step, self._on_step_changed),
        )

    def inside_table(self) -> Connections:
        """Return what to connect of its own parts."""
        return (
            (self.open.clicked, self.open_file),
            (self.previous.clicked, self._on_previous_wanted),
            (self.following.clicked, self._on_next_wanted),
            (self.layer.picked, self.open_layer),
            (self.layer.refreshed, self.refresh),
        )

    def set_image(self, image: SemImage | None) -> None:
        """Show the layer of the current image, and which page of its file it is."""
        self.layer.set_layer(self._layers.image_layer)
        count = 1 if image is None else image.page_count
        page = 0 if image is None else image.page
        self.page.setText(f"{page + 1} / {count}")
        self.page.setToolTip(f"Page {page + 1} of {count}")
        self.previous.setEnabled(page > 0)
        self.following.setEnabled(page < count - 1)

    def refresh(self) -> None:
        """Follow the layers on offer: a new sample, or the newest without an image, is opened."""
        self.layer.set_layer(self._layers.image_layer)
        known, self._offered = self._offered, self.layer.layers
        # What napari's menu opens lies over everything: the docks must not speak of another.
        samples = [
            layer
            for layer in self._offered
            if layer not in known and layer.visible and "exact_mask" in layer.metadata
        ]
        if samples:
            self.open_layer(samples[-1])
        elif self._session.image is None and self._offered:
            self.open_layer(self._offered[-1])

    def open_file(self) -> None:
        """Ask for an image file and open it."""
        files = "Images (*.tif *.tiff *.png *.jpg *.jpeg *.bmp)"
        path = ask_open(self, Dialog.IMAGE, "Open an SEM image", files)
        if path is not None:
            self._images.open_file(path)

    def open_layer(self, layer: Image | None) -> None:
        """Make the displayed plane of an Image layer the current image."""
        if layer is None:
            return
        planes = self._layers.planes
        plane = planes.plane_of(layer)
        # Its own `SemImage`: the same one again keeps what was done to it in this session.
        known = planes.image_of(plane)
        if known is not None:
            self._images.show(known)
            return
        source = layer.source.path
        self._images.open_array(
            plane.pixels,
            layer.name,
            # The plane is told before the image opens, or the layers would add a second picture
            # of it.
            partial(planes.adopt, plane),
            path=None if source is None else Path(source),
            page=plane.page,
            pixel_size=self._layers.layout.placement_of(layer).pixel_size,
        )

    def _on_previous_wanted(self) -> None:
        self._turn_page(-1)

    def _on_next_wanted(self) -> None:
        self._turn_page(1)

    def _turn_page(self, step: int) -> None:
        layer = self._layers.image_layer
        if layer is not None and layer.ndim > 2:
            # napari opened the whole file as one layer: its slider stands for the pages.
            index = self._layers.planes.plane_of(layer).turned(step)
            first = self._viewer.dims.ndim - layer.ndim
            self._viewer.dims.set_current_step(range(first, first + len(index)), index)
        else:
            self._images.turn_page(step)

    def _on_step_changed(self) -> None:
        layer = self._layers.image_layer
        if layer is not None and layer.ndim > 2:
            self.open_layer(layer)


class DownloadPanel(StatusLine):
    """Size and address of what would be downloaded; nothing starts without the button.

    Whoever shows the panel places its two buttons.
    """

    opened = Signal(bool)
    """Whether there is something to say."""

    wanted = Signal(object)
    """Emitted with the `OfficialModel` that a person wants."""
    cancelled = Signal()
    """The running download is no longer wanted."""

    def __init__(self) -> None:
        super().__init__()
        self._model: OfficialModel | None = None
        self._running = False
        self.start = button("Download…", "Download the checkpoint now")
        self.cancel = button("Cancel", "Cancel the download (partial files are deleted)")
        keep_room(self.start, self.cancel)
        self.start.clicked.connect(self._on_start_clicked)
        self.cancel.clicked.connect(self._on_cancel_clicked)
        self._show_buttons(opened=False)

    def offer(self, model: OfficialModel) -> None:
        """Show what a download would be; a running one stays."""
        if self._running:
            return
        self._model = model
        self.text.setText(
            f"{model.name} is not on this machine. Download {model.size / _MEGABYTE:.0f} MB from "
            f"{model.address} to {models_folder()}?"
        )
        self._show_buttons(opened=True)

    def set_download(self, download: Progress) -> None:
        """Show how far it is, and how it ended."""
        self._running = download.running
        if download.state is JobState.DONE:
            self._model = None
        megabytes = f"{download.done / _MEGABYTE:.0f} of {download.total / _MEGABYTE:.0f} MB"
        self.text.setText(download.message or f"{download.stage}: {megabytes}")
        # A QProgressBar counts in 32 bits.
        self.show_progress(self._running, download.done // 1000, download.total // 1000)
        self._show_buttons(opened=download.state is not JobState.IDLE)

    def _show_buttons(self, *, opened: bool) -> None:
        self.start.setVisible(opened and self._model is not None and not self._running)
        self.cancel.setVisible(opened)
        self.opened.emit(opened)

    def _on_start_clicked(self) -> None:
        self.wanted.emit(self._model)

    def _on_cancel_clicked(self) -> None:
        if self._running:
            self.cancelled.emit()
        else:
            self._show_buttons(opened=False)


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
            "Bundled: small, trained on synthetic images, ready at once. Official SAM 2.1 "
            "checkpoints are better for final ground truth."
        )
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.device = QComboBox()
        self.device.addItems(_DEVICES)
        self.device.setToolTip("auto: CUDA if available, then MPS, then the CPU")
        self.loaded = StatusText(1, "Starting the engine …")
        self.panel = DownloadPanel()
        self._choice = ModelChoice()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Model", self.model)
        row = QHBoxLayout()
        row.addWidget(self.device, stretch=1)
        for part in (self.panel.start, self.panel.cancel):
            row.addWidget(part)
        # What is loaded and what would be, or is, downloaded are read in one place.
        self.said = QStackedWidget()
        for page in (self.loaded, self.panel):
            self.said.addWidget(page)
        self.said.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout.addRow("Device", row)
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
            self.loaded.setText("Loading the network …")
        else:
            self.loaded.setText(f"{info.name} on {info.device} (sha256 {info.sha256[:12]}…)")

    def set_download(self, download: Progress) -> None:
        """Show a download, and its file among the models once it is there."""
        self.panel.set_download(download)
        if download.state is JobState.DONE:
            self.set_choice(self._choice)

    def set_failed(self, message: str) -> None:
        """Show why nothing is loaded."""
        self.loaded.setText(message)

    def _fill_models(self, current: str) -> None:
        self.model.clear()
        self.model.addItem("Bundled (small, synthetic images)", "bundled")
        for official in OFFICIAL_MODELS:
            here = installed_path(official) is not None
            text = official.name if here else f"{official.name}, download…"
            self.model.addItem(text, official.name)
        # A file of the person's own, which no list knows.
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
            # Nothing is downloaded by a choice: the list goes back, and the button asks.
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
