"""What is done with a whole lot in the real window: the report, and images beside a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_semxai.store.images.companions import compared
from napari_semxai.store.images.read import auto_border
from napari_semxai.types import PROJECT_FILE
from napari_semxai.types.image import CompareRequest
from napari_semxai.widgets.edit.dock import QUEUE
from tests.in_napari.gestures import ALT, SHAPE, discs, open_queue, press

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from pytestqt.qtbot import QtBot

    from napari_semxai.workbench import Workbench


def test_the_report_button_writes_reports_progress_and_can_be_stopped(
    workbench: Workbench,
    make_images: Callable[[int], Path],
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_queue(workbench, make_images(3), qtbot)
    session = workbench.session
    session.blind = False
    panels = workbench.dock("Edit & review").panels
    button, cancel = panels["Project"].report, panels[QUEUE].cancel
    target, answers, seen = tmp_path / "lot.html", [""], list[tuple[str, int, int]]()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (answers[-1], ""))
    session.events.batch.connect(lambda batch: seen.append((batch.stage, batch.done, batch.total)))

    # Somebody thinks better of it.
    button.click()
    assert seen == []

    answers.append(str(target))
    button.click()
    assert cancel.isEnabled()
    qtbot.waitUntil(lambda: "Report of 3 images" in session.message, timeout=20_000)
    assert seen[0] == ("Report", 0, 3)
    assert ("Report", 3, 3) in seen
    assert seen[-1] == ("", 0, 0)
    assert not cancel.isEnabled()
    written = target.read_text("utf-8")
    assert written.count('src="data:image/jpeg;base64,') == 3

    target.write_text("earlier")
    button.click()
    cancel.click()
    qtbot.waitUntil(lambda: "Report: cancelled" in session.message, timeout=20_000)
    assert target.read_text() == "earlier"

    assert session.project is not None
    mine = session.project.project.folder / PROJECT_FILE
    before = mine.read_bytes()
    answers.append(str(mine))
    button.click()
    qtbot.waitUntil(lambda: PROJECT_FILE in session.message, timeout=20_000)
    assert mine.read_bytes() == before
    assert session.batch.stage == ""


def test_a_key_blinks_between_image_and_reference(
    workbench: Workbench, make_images: Callable[[int], Path], qtbot: QtBot, tmp_path: Path
) -> None:
    folder, session = make_images(1), workbench.session
    path = folder / "image_000.png"
    plain = np.asarray(Image.open(path)) // 4
    reference = tmp_path / "golden.png"
    Image.fromarray(plain).save(reference)
    Image.fromarray(np.where(discs(SHAPE, 9, (30, 40)), 255, plain).astype(np.uint8)).save(path)
    open_queue(workbench, folder, qtbot)
    blink = Qt.Key.Key_R, ALT | Qt.KeyboardModifier.ShiftModifier
    press(workbench, *blink)
    assert session.message.startswith("No reference to show: choose one")

    image = session.image
    assert image is not None
    request = CompareRequest(str(reference), auto_border(image), image.path)
    session.difference = compared(image.gray, request)
    picture = workbench.viewer.screenshot(canvas_only=True, flash=False)
    press(workbench, *blink)
    assert workbench.viewer.layers["reference"].visible
    blinked = workbench.viewer.screenshot(canvas_only=True, flash=False)
    # The bright defect, a quarter of the image's height wide, is not on the reference.
    assert (picture[..., 0] > 200).mean() > 2 * (blinked[..., 0] > 200).mean()
    press(workbench, *blink)
    assert not workbench.viewer.layers["reference"].visible
    again = workbench.viewer.screenshot(canvas_only=True, flash=False)
    np.testing.assert_array_equal(again, picture)
