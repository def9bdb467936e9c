"""A working day in short: a mixed project by keys and mouse alone, on screens of three sizes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_semxai.controllers.project.review import SEEN_AT_LEAST
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.disk.safety_net import list_recoveries
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.project import open_project
from napari_semxai.types import MaskRecipe, ReviewChange, ReviewState
from tests.in_napari.gestures import ALT, drag, held, number, open_queue, press

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from qtpy.QtCore import QPoint

    from napari_semxai.workbench import Workbench

COUNT = 103
UNREADABLE = {0: "missing", 40: "damaged", 71: "missing"}
PLACES = [place for place in range(COUNT) if place not in UNREADABLE]
SHAPES = ((96, 128), (128, 96), (160, 120), (64, 80))
REVIEWS = (
    (Qt.Key.Key_Y, "y", "accept", ReviewState.CORRECTED),
    (Qt.Key.Key_0, "0", "no_defect", ReviewState.NO_DEFECT),
    (Qt.Key.Key_R, "r", "reject", ReviewState.REJECTED),
    (Qt.Key.Key_Q, "q", "unsure", ReviewState.UNSURE),
    (Qt.Key.Key_Y, "y", "accept", ReviewState.ACCEPTED),
)
HELD_TURNS = range(10, 20)
"""Each review once with Alt and once without."""
HELD_SECONDS = 2.0
SCALE = float(os.environ.get("QT_SCALE_FACTOR", "1"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A KLARF file's images: four sizes, every second one's pixel size known, three unreadable."""
    spec = "DefectRecordSpec 5 DEFECTID CLASSNUMBER PixelSize IMAGECOUNT IMAGELIST ;\n"
    text = f'FileVersion 1 2;\nLotID "L1";\nWaferID "W7";\n{spec}'
    rng = np.random.default_rng(0)
    for place in range(COUNT):
        pixels = rng.integers(60, 180, SHAPES[place % 4]).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"D_{place}.png")
        size = 0.002 * (1 + place % 3) if place % 2 else 0
        text += f"TiffFileName D_{place}.png;\nDefectList\n {place + 1} 7 {size} 1 1 0;\n"
    (tmp_path / "lot.001").write_text(f"{text}EndOfFile;\n")
    made = create_project(tmp_path / "project", tmp_path / "lot.001")
    for place in PLACES[4::5]:
        image, mask = made.images[place], automatic(place)
        recipe = MaskRecipe("automatic", array_digest(mask), image.sha256)
        made.write_review(image.id, "Anna", ReviewChange(mask=mask, recipe=recipe))
    made.close()
    for place, how in UNREADABLE.items():
        file = tmp_path / f"D_{place}.png"
        file.unlink() if how == "missing" else file.write_bytes(b"no picture")
    return tmp_path / "project"


def automatic(place: int) -> np.ndarray:
    """Return the mask that the program made of an image."""
    mask = np.zeros(SHAPES[place % 4], bool)
    mask[10:20, 10:30] = True
    return mask


def is_fitted(workbench: Workbench) -> bool:
    """Return whether the whole image fills the canvas, with its mask on it in the same units."""
    viewer, layers = workbench.viewer, workbench.layers
    rows, columns = layers.mask_layer.data.shape
    place, camera = layers.layout.placement, viewer.scene.camera
    share = np.array([rows, columns]) * place.edge * camera.zoom / viewer.canvas.size
    centre = place.pixel(camera.center[-2:])
    middle = ((rows - 1) / 2, (columns - 1) / 2)
    units = {layer.units[-2:] for layer in viewer.layers}
    return 0.9 < share.max() <= 1 and np.allclose(centre, middle, atol=1) and len(units) == 1


def wait_seconds(qtbot: QtBot, begin: float, seconds: float) -> None:
    qtbot.waitUntil(lambda: time.monotonic() > begin + seconds)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("xdotool") is None, reason="needs xdotool")
@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080)], ids=str)
def test_a_hundred_images_are_reviewed_as_pressed(
    workbench: Workbench, project: Path, qtbot: QtBot, size: tuple[int, int]
) -> None:
    workbench.review.seen_at_least = SEEN_AT_LEAST
    session, said = workbench.session, []
    session.events.message.connect(said.append)
    known = len(notification_manager.records)
    open_queue(workbench, project, qtbot)
    window = workbench.viewer.window._qt_window
    assert window.devicePixelRatioF() == SCALE
    window.resize(*(round(edge / SCALE) for edge in size))
    workbench.dock("Edit & review").parent().raise_()
    expected = review_all(workbench, qtbot)
    qtbot.waitUntil(lambda: session.queue is not None and session.queue.reviewed == len(PLACES))
    assert set(session.queue.unreadable) == {f"defect_{place + 1}" for place in UNREADABLE}
    assert sum(text.startswith("Skipped") for text in said) == len(UNREADABLE)
    notices = [record.message for record in notification_manager.records[known:]]
    assert not [text for text in notices if "nconsistent" in text]
    workbench.viewer.close()
    assert list_recoveries(workbench.folders.recovery) == []
    opened_again = open_project(project)
    for image, (state, mask) in expected.items():
        record = opened_again.record(image, "Anna")
        assert record is not None
        assert record.state is state
        np.testing.assert_array_equal(opened_again.mask(image, "Anna"), mask)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("xdotool") is None, reason="needs xdotool")
def test_the_same_at_125_percent() -> None:
    # Qt reads it when the process starts.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "slow"]
    found = subprocess.run(
        [*command, "-k", "1366", __file__],
        env=os.environ | {"QT_SCALE_FACTOR": "1.25"},
        capture_output=True,
        text=True,
    )
    assert "1 passed" in found.stdout, found.stdout[-3000:]


def review_all(workbench: Workbench, qtbot: QtBot) -> dict[str, tuple[ReviewState, np.ndarray]]:
    """Review the images in turn, by key and mouse; return what must be kept of each."""
    session, expected = workbench.session, {}
    buttons: dict[str, QPoint] = {}
    for turn, place in enumerate(PLACES):
        qtbot.waitUntil(lambda place=place: number(workbench) == place + 1)
        opened = time.monotonic()
        qtbot.waitUntil(lambda: is_fitted(workbench))
        assert session.queue is not None
        current = session.queue.current
        key, name, button, state = REVIEWS[turn % 5]
        mask = automatic(place) if state is ReviewState.ACCEPTED else np.zeros(SHAPES[place % 4])
        if state is ReviewState.CORRECTED:
            press(workbench, Qt.Key.Key_B)
            drag(workbench, (30, 30), (30, 40))
            mask = workbench.layers.mask_layer.data.copy()
            assert mask[30, 30:41].all()
        np.testing.assert_array_equal(workbench.layers.mask_layer.data != 0, mask != 0)
        expected[current] = state, mask != 0
        wait_seconds(qtbot, opened, SEEN_AT_LEAST)
        if turn in HELD_TURNS:
            begin = time.monotonic()
            with held(*(("alt", name) if turn < HELD_TURNS[5] else (name,))):
                wait_seconds(qtbot, begin, HELD_SECONDS)
            assert number(workbench) == PLACES[turn + 1] + 1
        elif turn % 3 == 0:
            click_where_it_was(workbench, button, buttons)
        else:
            press(workbench, key, ALT if turn % 3 == 1 else Qt.KeyboardModifier.NoModifier)
    return expected


def click_where_it_was(workbench: Workbench, name: str, seen: dict[str, QPoint]) -> None:
    """Click the place in the window where a button of the review was seen first."""
    window = workbench.viewer.window._qt_window
    button = getattr(workbench.dock("Edit & review").panels["Review"], name)
    place = seen.setdefault(name, button.mapTo(window, button.rect().center()))
    under = window.childAt(place)
    assert under is button
    QTest.mouseClick(under, Qt.MouseButton.LeftButton, pos=under.mapFrom(window, place))
