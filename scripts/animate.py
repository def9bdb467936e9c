"""Make the animated picture of README.md from the real window: the main job in ten seconds.

Run from the project's root, on Linux: ``xvfb-run -a -s "-screen 0 1366x768x24" python
scripts/animate.py``. Writes ``docs/images/main-job.gif``; look at it before committing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from matplotlib import get_data_path
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image, ImageDraw, ImageFont
from qtpy.QtTest import QTest
from screenshots import wait

from napari_semxai.plugin import open_workbench

if TYPE_CHECKING:
    from napari_semxai.workbench import Workbench

WIDTH, BAND = 960, 34
COLORS = 128
LIMIT_BYTES = 3 * 10**6
_STROKES = 6


class Film:
    """Frames of the window with a line of text below, and how long each one stays.

    Parameters
    ----------
    workbench : Workbench
        Whose window is taken.
    """

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._font = ImageFont.truetype(
            Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 17
        )
        self.frames: list[Image.Image] = []
        self.milliseconds: list[int] = []

    def take(self, text: str, milliseconds: int, settle: int = 150) -> None:
        """Add the window as it is after `settle` milliseconds."""
        QTest.qWait(settle)
        window = self._workbench.viewer.window
        # napari's word on PyQt5 would cover the canvas.
        for popup in window._qt_window.findChildren(NapariQtNotification):
            popup.close()
        pixels = self._workbench.viewer.screenshot(canvas_only=False, flash=False)
        picture = Image.fromarray(pixels).convert("RGB")
        size = WIDTH, round(picture.height * WIDTH / picture.width)
        frame = Image.new("RGB", (WIDTH, size[1] + BAND), "#1b1e23")
        frame.paste(picture.resize(size, Image.Resampling.LANCZOS))
        ImageDraw.Draw(frame).text((14, size[1] + 5), text, fill="white", font=self._font)
        self.frames.append(frame)
        self.milliseconds.append(milliseconds)

    def save(self, path: Path) -> None:
        """Write all frames with one palette, so that what stays the same costs nothing."""
        sheet = Image.new("RGB", (WIDTH, self.frames[0].height * len(self.frames)))
        for number, frame in enumerate(self.frames):
            sheet.paste(frame, (0, number * frame.height))
        palette = sheet.quantize(COLORS, Image.Quantize.MEDIANCUT)
        flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        path.parent.mkdir(parents=True, exist_ok=True)
        flat[0].save(
            path, save_all=True, append_images=flat[1:], duration=self.milliseconds, loop=0,
            optimize=True,
        )  # fmt: skip


def main() -> None:
    """Go through the main job, and write its film."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/images/main-job.gif"))
    output = parser.parse_args().output
    # Recovery copies and choices of this film are not a person's work.
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()
    os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1366, 768)
    workbench = open_workbench(viewer)
    film = Film(workbench)
    front(workbench, "Mask candidates")
    film.take("SAM 2 masks for SEM defects, in napari", 1000, settle=800)
    generate(workbench, film)
    steps(workbench, film)
    correct(workbench, film)
    film.save(output)
    viewer.close()
    size = output.stat().st_size
    print(
        f"{output}: {len(film.frames)} frames, {sum(film.milliseconds) / 1000} s, {size:,} bytes"
    )
    if size > LIMIT_BYTES:
        raise SystemExit("too large for a README")


def generate(workbench: Workbench, film: Film) -> None:
    """Open the sample image, and let SAM 2 find its candidates."""
    session = workbench.session
    workbench.open_sample()
    wait(lambda: session.image is not None)
    workbench.viewer.reset_view()
    film.take("1  Open an SEM image", 1200, settle=600)
    workbench.segment.generate()
    wait(lambda: session.generation.done > 0 and session.automatic is not None)
    while session.generation.state == "running":
        film.take("2  Generate candidates: SAM 2 proposes, Algorithm 1 chooses", 140, settle=250)
    # However fast the machine: some eight frames tell it.
    keep = np.unique(np.linspace(2, len(film.frames) - 1, 8).astype(int)).tolist()
    film.frames = [*film.frames[:2], *(film.frames[number] for number in keep)]
    film.milliseconds = [*film.milliseconds[:2], *(film.milliseconds[number] for number in keep)]
    film.take("2  Generate candidates: SAM 2 proposes, Algorithm 1 chooses", 900)


def steps(workbench: Workbench, film: Film) -> None:
    """Show one step of Algorithm 1 after the other."""
    mask, boxes = workbench.layers.mask_layer, workbench.dock("Mask candidates").steps.values()
    mask.visible = False
    for box in boxes:
        box.setChecked(True)
        film.take("3  See every step: candidates, winner, complement", 600, settle=300)
    for box in boxes:
        box.setChecked(False)
    mask.visible = True


def correct(workbench: Workbench, film: Film) -> None:
    """Paint what the mask misses of the exact one, beside the scores."""
    viewer, layer = workbench.viewer, workbench.layers.mask_layer
    truth = next(one for one in viewer.layers if one.name.endswith("mask") and one is not layer)
    exact = np.asarray(truth.data) > 0
    truth.contour, truth.visible = 1, True
    viewer.camera.center = tuple(np.argwhere(exact).mean(axis=0))
    viewer.camera.zoom = 5 * viewer.camera.zoom
    front(workbench, "Edit & review")
    workbench.layers.take_tool("paint")
    film.take("4  Correct it: brush, eraser, polygon, SAM clicks", 1000, settle=400)
    front(workbench, "Scores")
    text = "5  Dice and IoU follow every stroke"
    film.take(text, 700, settle=400)
    layer.brush_size = 1
    for value in (1, 0):
        painted = np.asarray(layer.data) > 0
        # From the top to the bottom, as a person goes along an edge.
        wrong = exact & ~painted if value else painted & ~exact
        for part in np.array_split(np.argwhere(wrong), _STROKES):
            for row, column in part:
                layer.paint((int(row), int(column)), value)
            film.take(text, 160)
    film.take(text, 1800)


def front(workbench: Workbench, dock: str) -> None:
    """Bring a dock to the front."""
    workbench.dock(dock).parent().raise_()


if __name__ == "__main__":
    main()
