"""What a newcomer sees instead of an empty form."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_semxai.widgets.parts import button, note

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

    def __init__(self) -> None:
        super().__init__()
        self.open = button("Open an image…", "TIFF, PNG, JPEG or BMP")
        self.sample = button("Try the sample image", "A synthetic defect with its exact mask")
        layout = QVBoxLayout(self)
        for part in (note(_TEXT), self.open, self.sample):
            layout.addWidget(part)
        self.open.clicked.connect(self.open_wanted)
        self.sample.clicked.connect(self.sample_wanted)
