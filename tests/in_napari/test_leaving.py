"""Nothing is lost on any way out of an image, in the real window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from napari.settings import get_settings
from PIL import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_semxai.store.disk.safety_net import list_recoveries, load_recovery
from napari_semxai.store.images.masks import read_mask
from napari_semxai.store.images.read import image_from_array
from napari_semxai.store.project.project import open_project
from napari_semxai.types import ReviewState
from tests.controllers.desk import generated
from tests.in_napari.gestures import SHAPE, number, open_queue, press

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from napari_semxai.workbench import Workbench


@pytest.mark.parametrize("way", ["image layer", "clear", "page"])
def test_strokes_are_saved(workbench: Workbench, tmp_path: Path, qtbot: QtBot, way: str) -> None:
    images = tmp_path / "images"
    images.mkdir()
    pages = np.random.default_rng(0).integers(0, 255, (2, *SHAPE)).astype(np.uint8)
    tifffile.imwrite(images / "stack.tif", pages, photometric="minisblack")
    open_queue(workbench, images, qtbot)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    workbench.layers.mask_layer.paint((20, 30), 1)
    painted = workbench.layers.mask_layer.data != 0
    if way == "page":
        workbench.images.turn_page(1)
    elif way == "clear":
        workbench.viewer.layers.clear()
    else:
        # The mask stays, so the image is not left before one goes on.
        layers = workbench.viewer.layers
        shown = next(one for one in layers if one.as_layer_data_tuple()[2] == "image")
        layers.remove(shown)
        workbench.layers.mask_layer.paint((40, 50), 1)
        painted = workbench.layers.mask_layer.data != 0
        press(workbench, Qt.Key.Key_Right)
        qtbot.waitUntil(lambda: number(workbench) == 2)
    project = open_project(workbench.folders.projects / "images")
    first = project.images[0].id

    def saved() -> bool:
        mask = project.mask(first, "Anna")
        return mask is not None and np.array_equal(mask, painted)

    qtbot.waitUntil(saved)
    assert painted.any()


def leave(workbench: Workbench, way: str, folder: Path) -> None:
    """Leave the image as a person does."""
    dock = workbench.dock("Edit & review")
    panel = dock.panels["Queue"]
    if way == "layer":
        workbench.viewer.layers.remove(workbench.layers.mask_layer)
    elif way == "key":
        press(workbench, Qt.Key.Key_U)
    elif way == "button":
        panel.following.click()
    elif way == "list":
        panel.browser.open()
        dock.parent().raise_()
        place = panel.list.visualRect(panel.model.index(1)).center()
        QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    elif way == "jump":
        panel.jump.setText("2")
        QTest.keyClick(panel.jump, Qt.Key.Key_Return)
    elif way == "file":
        workbench.images.open_file(folder / "image_001.png")
    elif way == "project":
        workbench.projects.open(folder, "Ben")
    else:
        workbench.viewer.close()


def test_every_way_of_leaving_saves_the_strokes_and_nothing_is_offered(
    workbench: Workbench, make_images: Callable[[int], Path], qtbot: QtBot, tmp_path: Path
) -> None:
    images = make_images(2)
    open_queue(workbench, images, qtbot)
    project = workbench.session.queue.folder

    def saved(kept: np.ndarray) -> bool:
        mask = open_project(project).mask("image_000", "Anna")
        return mask is not None and np.array_equal(mask, kept)

    ways = ("key", "button", "list", "jump", "file", "layer", "project", "window")
    for place, way in enumerate(ways):
        for wanted in (2, 1):
            workbench.queue.find(str(wanted))
            qtbot.waitUntil(lambda wanted=wanted: number(workbench) == wanted)
        workbench.layers.mask_layer.paint((20, 8 * place + 8), 1)
        kept = workbench.layers.mask_layer.data != 0
        leave(workbench, way, images)
        qtbot.waitUntil(lambda kept=kept: saved(kept))
        for name in ("Ben", "Anna") if way == "project" else ():
            workbench.projects.open(images, name)
            qtbot.waitUntil(lambda name=name: at_work(workbench, name))
    qtbot.waitUntil(lambda: not list_recoveries(tmp_path / "recovery"))


def at_work(workbench: Workbench, annotator: str) -> bool:
    """Return whether an image is open for an annotator."""
    queue = workbench.session.queue
    return queue is not None and queue.annotator == annotator and bool(queue.current)


def test_what_was_typed_is_kept(
    workbench: Workbench, make_images: Callable[..., Path], qtbot: QtBot
) -> None:
    for way, key, state in (
        ("next", Qt.Key.Key_Right, ReviewState.CANDIDATE),
        ("reject", Qt.Key.Key_R, ReviewState.REJECTED),
        ("window", None, ReviewState.CANDIDATE),
    ):
        open_queue(workbench, make_images(2, way), qtbot)
        typed_is_kept(workbench, qtbot, key, state)


def typed_is_kept(
    workbench: Workbench, qtbot: QtBot, key: Qt.Key | None, state: ReviewState
) -> None:
    project = open_project(workbench.session.queue.folder)
    panel = workbench.dock("Edit & review").panels["Review"]
    qtbot.waitUntil(panel.isEnabled)
    QTest.keyClicks(panel.comment, "at the edge")
    QTest.keyClicks(panel.label.lineEdit(), "pit")
    # A stroke changes the record, but not what is being typed.
    workbench.layers.mask_layer.paint((20, 30), 1)
    assert panel.comment.text() == "at the edge"
    if key is None:
        workbench.viewer.close()
    else:
        press(workbench, key)
        qtbot.waitUntil(lambda: number(workbench) == 2)
        assert (panel.comment.text(), panel.label.currentText()) == ("", "")

    def record() -> tuple[object, ...]:
        found = project.record("image_000", "Anna")
        return () if found is None else (found.state, found.comment, found.label, found.area > 0)

    qtbot.waitUntil(lambda: record() == (state, "at the edge", "pit", True))


@pytest.mark.parametrize("when", ["at once", "once copied", "on another image"])
def test_after_closing_with_fresh_strokes_nothing_is_offered(
    workbench: Workbench,
    make_images: Callable[[int], Path],
    qtbot: QtBot,
    tmp_path: Path,
    when: str,
) -> None:
    open_queue(workbench, make_images(2), qtbot)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    workbench.layers.mask_layer.paint((20, 30), 1)
    painted = workbench.layers.mask_layer.data != 0
    if when == "once copied":
        qtbot.waitUntil(lambda: workbench.session.save.state == "recovery")
        assert list_recoveries(tmp_path / "recovery")
    elif when == "on another image":
        press(workbench, Qt.Key.Key_Right)
        qtbot.waitUntil(lambda: number(workbench) == 2)
        workbench.layers.mask_layer.paint((30, 40), 1)
    workbench.viewer.close()
    qtbot.waitUntil(lambda: not list_recoveries(tmp_path / "recovery"))
    project = open_project(workbench.folders.projects / "images")
    np.testing.assert_array_equal(project.mask("image_000", "Anna"), painted)


def test_strokes_that_could_not_be_written_are_offered_after_closing_and_in_the_log(
    workbench: Workbench,
    make_images: Callable[[int], Path],
    qtbot: QtBot,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    open_queue(workbench, make_images(1), qtbot)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    place = workbench.session.queue.folder
    place.rename(place.with_name("away"))
    workbench.layers.mask_layer.paint((20, 30), 1)
    painted = workbench.layers.mask_layer.data != 0
    workbench.viewer.close()
    kept = list_recoveries(tmp_path / "recovery")
    masks = [load_recovery(copy.path)[0] != 0 for copy in kept]
    assert any(np.array_equal(mask, painted) for mask in masks)
    assert "image_000: could not be saved in the project; the mask is kept in" in caplog.text


@pytest.fixture
def painted(workbench: Workbench, tmp_path: Path, qtbot: QtBot) -> np.ndarray:
    """Strokes on an image outside projects, and what they made."""
    path = tmp_path / "lot" / "die 3.png"
    path.parent.mkdir()
    open_and_paint(workbench, path, qtbot)
    return workbench.layers.mask_layer.data != 0


def open_and_paint(workbench: Workbench, path: Path, qtbot: QtBot) -> None:
    before = workbench.session.image
    # No two are the same: an image is known by its pixels.
    pixels = np.random.default_rng(list(path.name.encode())).integers(0, 255, SHAPE)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    workbench.images.open_file(path)
    qtbot.waitUntil(lambda: workbench.session.image not in (None, before))
    qtbot.waitExposed(workbench.viewer.window._qt_window)
    workbench.layers.mask_layer.paint((20, 30), 1)


def close_and_answer(
    workbench: Workbench,
    button: QMessageBox.StandardButton,
    monkeypatch: pytest.MonkeyPatch,
    save_as: str = "",
) -> list[str]:
    """Close the window as its menu does, click `button` in what is asked; return the texts."""
    proposed: list[str] = []

    def ask(parent: object, title: str, start: str, files: str) -> tuple[str, str]:
        proposed.append(start)
        return save_as, ""

    def answer() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            proposed.append(box.text())
            box.button(button).click()
        else:
            QTimer.singleShot(20, answer)

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    monkeypatch.setattr(get_settings().application, "confirm_close_window", False)
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(answer)
    timer.start(0)
    window = workbench.viewer.window._qt_window
    window.close(quit_app=False, confirm_need=True)
    timer.stop()
    if not window.isVisible():
        # What napari does once the event loop deletes the window, in an order that it can bear.
        workbench.viewer.close()
    return proposed


def test_closing_asks_and_saves(
    workbench: Workbench,
    painted: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    place = tmp_path / "lot" / "die 3_mask.png"
    asked = close_and_answer(workbench, QMessageBox.StandardButton.Save, monkeypatch, str(place))
    assert asked == ["The mask of die 3 is not saved.", str(place)]
    np.testing.assert_array_equal(read_mask(place, SHAPE), painted)
    qtbot.waitUntil(lambda: not list_recoveries(tmp_path / "recovery"))


def test_closing_asks_and_discards(
    workbench: Workbench,
    painted: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    # Another image left unsaved is asked about, too.
    other = np.random.default_rng(1).integers(0, 255, SHAPE).astype(np.uint8)
    workbench.images.show(image_from_array(other, "a layer"))
    workbench.layers.mask_layer.paint((30, 40), 1)
    asked = close_and_answer(workbench, QMessageBox.StandardButton.Discard, monkeypatch)
    assert asked == ["The masks of a layer, die 3 are not saved."]
    qtbot.waitUntil(lambda: not list_recoveries(tmp_path / "recovery"))


def test_closing_is_called_off(
    workbench: Workbench,
    painted: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Also where the dialog for the file is called off.
    for button in (QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Save):
        assert close_and_answer(workbench, button, monkeypatch)
        assert workbench.viewer.window._qt_window.isVisible()
        np.testing.assert_array_equal(workbench.layers.mask_layer.data != 0, painted)
    # Closed without a question, as a script does: the next session offers the strokes.
    workbench.viewer.close()
    (copy,) = list_recoveries(tmp_path / "recovery")
    np.testing.assert_array_equal(load_recovery(copy.path)[0] != 0, painted)


def nobody_is_asked_where_nothing_is_unsaved(
    workbench: Workbench, tmp_path: Path, qtbot: QtBot
) -> None:
    workbench.edit.save(tmp_path / "saved.png")
    qtbot.waitUntil(lambda: workbench.session.save.state == "saved")
    assert workbench.edit.unsaved_masks() == []
    workbench.layers.mask_layer.paint((40, 50), 1)
    assert len(workbench.edit.unsaved_masks()) == 1
    workbench.layers.mask_layer.data = np.zeros(SHAPE, np.uint8)
    assert workbench.edit.unsaved_masks() == []


def test_nobody_is_asked_where_nothing_is_unsaved_and_strokes_after_discard_are_kept(
    workbench: Workbench, painted: np.ndarray, tmp_path: Path, qtbot: QtBot
) -> None:
    nobody_is_asked_where_nothing_is_unsaved(workbench, tmp_path, qtbot)
    open_and_paint(workbench, tmp_path / "lot" / "die 4.png", qtbot)
    # napari asks after us, and a person may stay.
    workbench.edit.copies.discard_when_closed(workbench.edit.unsaved_masks())
    workbench.layers.mask_layer.paint((40, 50), 1)
    workbench.viewer.close()
    kept = [Path(copy.info["path"]).name for copy in list_recoveries(tmp_path / "recovery")]
    assert kept.count("die 4.png") == 1


def test_a_generated_mask_and_no_defect_stay(
    workbench: Workbench, make_images: Callable[..., Path], qtbot: QtBot
) -> None:
    a_generated_mask_is_there_again_and_follows_sliders_still(
        workbench, make_images(2, "generated"), qtbot
    )
    no_defect_on_the_last_image_is_what_is_shown_and_stays(workbench, make_images(1), qtbot)


def a_generated_mask_is_there_again_and_follows_sliders_still(
    workbench: Workbench, images: Path, qtbot: QtBot
) -> None:
    open_queue(workbench, images, qtbot)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    workbench.session.automatic = generated(SHAPE)
    mask = workbench.layers.mask_layer.data != 0
    assert mask.sum() == 48
    press(workbench, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: number(workbench) == 2)
    press(workbench, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    np.testing.assert_array_equal(workbench.layers.mask_layer.data != 0, mask)
    workbench.session.automatic = generated(SHAPE, column=30)
    assert workbench.layers.mask_layer.data[8, 30] == 1
    assert workbench.layers.mask_layer.data[8, 10] == 0


def no_defect_on_the_last_image_is_what_is_shown_and_stays(
    workbench: Workbench, images: Path, qtbot: QtBot
) -> None:
    open_queue(workbench, images, qtbot)
    qtbot.waitUntil(lambda: number(workbench) == 1)
    workbench.layers.mask_layer.paint((20, 30), 1)
    press(workbench, Qt.Key.Key_0)
    assert not workbench.layers.mask_layer.data.any()
    qtbot.waitUntil(lambda: workbench.session.save.state == "saved")
    workbench.save()
    workbench.viewer.close()
    record = open_project(workbench.folders.projects / "images").record("image_000", "Anna")
    assert record is not None
    assert (record.state, record.voided, record.area) == (ReviewState.NO_DEFECT, None, 0)
