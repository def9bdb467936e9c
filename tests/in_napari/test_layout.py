"""The picture fills the canvas, whatever pixel sizes the images of a window have."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_semxai import plugin
from napari_semxai.cli.commands.window import show
from napari_semxai.layers.explain.explanations import Look
from napari_semxai.state.explanation import Heatmaps
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.create import create_project
from tests import explanations as make
from tests.in_napari.gestures import press
from tests.store.images.microscopes import FEI_HELIOS, ZEISS_SEM, fei_header, write, zeiss_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import napari
    from pytestqt.qtbot import QtBot

    from napari_semxai.store.disk.folders import Folders
    from napari_semxai.workbench import Workbench

SHAPES = {"zeiss": (768, 1024), "plain": (96, 128), "fei": (300, 200), "other": (300, 200)}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Files of which two tell the size of a pixel."""
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = {
        name: np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
        for name, shape in SHAPES.items()
    }
    found = {name: folder / f"{name}.tif" for name in ("zeiss", "fei")}
    write(found["zeiss"], pixels["zeiss"], ZEISS_SEM, zeiss_header(5.825e-9))
    write(found["fei"], pixels["fei"], FEI_HELIOS, fei_header(2e-9, 2e-9, 300 * 2e-9))
    for name in ("plain", "other"):
        found[name] = folder / f"{name}.png"
        Image.fromarray(pixels[name]).save(found[name])
    return found


@pytest.fixture
def viewer(
    engine_on_demand: None,
    make_napari_viewer: Callable[..., napari.Viewer],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    folders: Folders,
) -> Iterator[napari.Viewer]:
    monkeypatch.setattr(
        "napari_semxai.store.project.index.index.project_index_folder", lambda: tmp_path / "index"
    )
    viewer = make_napari_viewer(show=True)
    plugin.workbench_of(viewer, folders)
    yield viewer
    plugin.close_workbench(plugin.workbench_of(viewer))


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Whatever napari told the person."""
    messages: list[str] = []

    def note(notification: object) -> None:
        messages.append(str(notification))

    notification_manager.notification_ready.connect(note)
    yield messages
    notification_manager.notification_ready.disconnect(note)


def check(workbench: Workbench, said: list[str], *, beside: bool = False) -> None:
    """All layers lie on the picture, which fills the canvas, now and after Home."""
    viewer, layout = workbench.viewer, workbench.layers.layout
    picture, image = workbench.layers.image_layer, workbench.session.image
    assert picture is not None
    assert image is not None
    size = workbench.session.pixel_size
    expected = pytest.approx(1 if size is None else size * 1e6)
    for layer in viewer.layers:
        assert layer.units == picture.units
        assert all(edge == expected for edge in layer.scale)
        if layer.visible and not beside:
            np.testing.assert_allclose(layer.data_to_world((9, 7)), picture.data_to_world((9, 7)))
    assert viewer.canvas.overlays.scale_bar.visible == (size is not None)
    home = viewer.window._qt_viewer.viewerButtons.resetViewButton
    for gesture in (QApplication.processEvents, home.click):
        gesture()
        # Whatever napari has to say about units, it says when it draws.
        viewer.screenshot(flash=False)
        on_screen = np.array(image.gray.shape) * layout.placement.edge * viewer.scene.camera.zoom
        share = np.max(on_screen / viewer.canvas.size)
        assert (0.2 if beside else 0.9) < share < 1
        if not beside:
            middle = (np.array(image.gray.shape) - 1) / 2
            centre = layout.placement.pixel(viewer.scene.camera.center[-2:])
            np.testing.assert_allclose(centre, middle, atol=1)
    assert not [message for message in said if "unit" in message.casefold()]


def test_images_with_and_without_a_pixel_size(
    viewer: napari.Viewer, files: dict[str, Path], said: list[str], qtbot: QtBot
) -> None:
    images = {name: read_image(files[name]) for name in ("zeiss", "plain", "fei")}
    show(viewer, list(images.values()))
    workbench = plugin.workbench_of(viewer)
    session = workbench.session
    check(workbench, said)
    workbench.images.show(images["plain"])
    check(workbench, said)
    # Layers of clicks made before the size is known.
    workbench.clicks.activate(True)
    check(workbench, said)
    for metres in (3e-9, None, 4e-6):
        session.update_image(pixel_size=metres)
        check(workbench, said)
    # Heat maps and copies of the image, over and beside it.
    heat = make.heatmap()
    session.explanation.heatmaps = Heatmaps(heat, (heat, make.heatmap(method="layercam")))
    check(workbench, said)
    workbench.explanations.set_look(Look(side_by_side=True))
    check(workbench, said, beside=True)
    session.update_image(pixel_size=None)
    check(workbench, said, beside=True)
    # All of these are hidden or empty over the next images.
    for name in ("fei", "plain", "zeiss"):
        workbench.images.show(images[name])
        check(workbench, said)
    # Another file is dropped while an image is open.
    viewer.open(files["other"], plugin="napari")
    check(workbench, said)


def test_a_project_of_mixed_files(
    viewer: napari.Viewer, files: dict[str, Path], said: list[str], tmp_path: Path, qtbot: QtBot
) -> None:
    workbench = plugin.open_workbench(viewer)
    folder = tmp_path / "project"
    create_project(folder, files["zeiss"].parent).close()
    workbench.projects.open(folder, "Anna")
    qtbot.waitUntil(lambda: workbench.session.image is not None, timeout=20_000)
    names = []
    for _ in SHAPES:
        name = workbench.session.image.name
        names.append(name)
        check(workbench, said)
        press(workbench, Qt.Key.Key_Right)
        if len(names) < len(SHAPES):
            qtbot.waitUntil(lambda name=name: workbench.session.image.name != name)
    assert len(set(names)) == len(SHAPES)


def test_a_calibrated_turned_layer_gives_its_size(
    viewer: napari.Viewer, said: list[str], qtbot: QtBot
) -> None:
    workbench = plugin.open_workbench(viewer)
    pixels = np.random.default_rng(0).integers(90, 130, (96, 128)).astype(np.uint8)
    layer = viewer.add_image(pixels, scale=(0.0025, 0.0025), units="um", rotate=30)
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    assert workbench.session.pixel_size == pytest.approx(2.5e-9)
    np.testing.assert_allclose(layer.scale, 0.0025)
    np.testing.assert_allclose(layer.rotate[0, 1], -0.5)
    mask = workbench.layers.mask_layer
    assert mask is not None
    np.testing.assert_allclose(mask.data_to_world((90, 120)), layer.data_to_world((90, 120)))
    viewer.screenshot(flash=False)
    assert not [message for message in said if "unit" in message.casefold()]


def test_a_project_without_sizes_after_an_image_with_one(
    viewer: napari.Viewer, files: dict[str, Path], said: list[str], tmp_path: Path, qtbot: QtBot
) -> None:
    show(viewer, [read_image(files["zeiss"])])
    workbench = plugin.workbench_of(viewer)
    check(workbench, said)
    images = tmp_path / "without"
    images.mkdir()
    shutil.copy(files["plain"], images)
    create_project(tmp_path / "project", images).close()
    workbench.projects.open(tmp_path / "project", "Anna")
    qtbot.waitUntil(lambda: workbench.session.entry is not None, timeout=20_000)
    check(workbench, said)
