"""What a newcomer sees instead of an empty form."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_semxai.widgets.parts import button, note, set_note

if TYPE_CHECKING:
    from qtpy.QtWidgets import QPushButton

    from napari_semxai.store.autosave import Recovery

_MOST_LEFTOVERS = 5

_TEXT = """<h3>Defect masks from SEM images</h3>
<ol>
<li><b>Open an image</b>: here, or drop a file on the canvas and pick its layer.</li>
<li><b>Generate</b> candidates with SAM 2.</li>
<li>Move <b>α</b> and <b>β</b> until the defect is outlined.</li>
<li>Correct it by hand in <b>Edit &amp; review</b>.</li>
<li>Ask <b>Explain</b> what the classifier sees, and why.</li>
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
        self.leftovers: list[QPushButton] = []
        self.unsaved = note()
        self._layout = QVBoxLayout(self)
        for part in (note(_TEXT), self.open, self.sample, self.unsaved):
            self._layout.addWidget(part)
        self.set_leftovers(())
        self.open.clicked.connect(self.open_wanted)
        self.sample.clicked.connect(self.sample_wanted)

    def set_leftovers(self, copies: tuple[Recovery, ...]) -> None:
        """Offer images with strokes that an earlier session did not save, newest first."""
        for old in self.leftovers:
            self._layout.removeWidget(old)
            old.deleteLater()
        text = f"⚠ Strokes that were not saved, of {len(copies)} images:" if copies else ""
        set_note(self.unsaved, text)
        self.leftovers = []
        for copy in copies[:_MOST_LEFTOVERS]:
            path, page = Path(copy.info["path"]), int(copy.info.get("page", 0))
            offer = button(f"Open {copy.info['name']}", f"{path}: restore the strokes, or not")
            offer.clicked.connect(partial(self._on_leftover_clicked, path, page))
            self._layout.addWidget(offer)
            self.leftovers.append(offer)

    def _on_leftover_clicked(self, path: Path, page: int, _checked: bool) -> None:
        self.leftover_wanted.emit(path, page)
