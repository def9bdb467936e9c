"""The window, in this process and in one of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.cli import main
from napari_semxai.cli.commands import window
from napari_semxai.cli.common.output import Output
from napari_semxai.store.images.read import read_image

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """An 8-bit picture, and a 16-bit one with a pixel size."""
    ramp = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)
    Image.fromarray((ramp % 200).astype(np.uint8)).save(tmp_path / "a.png")
    header = "[Scan]\r\nPixelWidth=2e-9\r\n"
    tifffile.imwrite(tmp_path / "b.tif", ramp, extratags=[(34682, "s", 0, header, True)])
    return [tmp_path / "b.tif", tmp_path / "a.png"]


@pytest.mark.usefixtures("engine_on_demand")
def test_images_and_docks(make_napari_viewer: Any, qtbot: Any, files: list[Path]) -> None:
    from napari_semxai.plugin import close_workbench, workbench_of
    from napari_semxai.workbench import DOCKS

    viewer = make_napari_viewer()
    window.show(viewer, [read_image(path) for path in files])
    session = workbench_of(viewer).session
    assert session.image is not None
    assert session.image.name == "b"
    assert session.pixel_size == 2e-9
    assert [layer.name for layer in viewer.layers][:2] == ["b", "a"]
    assert [layer.name for layer in viewer.layers if layer.visible] == ["b", "defect mask"]
    # The first at once, the others after a moment.
    assert set(workbench_of(viewer).docks) == {"Mask candidates"}
    qtbot.waitUntil(lambda: set(workbench_of(viewer).docks) == set(DOCKS))
    close_workbench(workbench_of(viewer))


@pytest.mark.usefixtures("engine_on_demand")
def test_every_page_of_a_file(make_napari_viewer: Any, qtbot: Any, tmp_path: Path) -> None:
    from napari_semxai.plugin import close_workbench, workbench_of
    from napari_semxai.workbench import CANDIDATES

    stack = np.random.default_rng(0).integers(0, 255, (3, 64, 48), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "lot.tif", stack, photometric="minisblack")
    viewer = make_napari_viewer()
    window.show(viewer, [read_image(tmp_path / "lot.tif")])
    workbench = workbench_of(viewer)
    picker = workbench.dock(CANDIDATES).image
    assert picker.page.text() == "1 / 3"
    workbench.layers.mask_layer.paint((10, 10), 1)
    picker.following.click()
    qtbot.waitUntil(lambda: picker.page.text() == "2 / 3")
    np.testing.assert_array_equal(workbench.layers.image_layer.data, stack[1])
    assert not workbench.layers.mask_layer.data.any()
    picker.previous.click()
    qtbot.waitUntil(lambda: workbench.layers.mask_layer.data.any())
    assert [layer.name for layer in viewer.layers] == ["lot_p0001", "defect mask"]
    close_workbench(workbench)


@pytest.mark.usefixtures("engine_on_demand")
def test_a_folder_is_opened_as_a_project(
    make_napari_viewer: Any, qtbot: Any, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari

    from napari_semxai.plugin import close_workbench, workbench_of

    viewer = make_napari_viewer()
    monkeypatch.setenv("XDG_DATA_HOME", str(files[0].parent / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(files[0].parent / "cache"))
    monkeypatch.setattr(napari, "Viewer", lambda: viewer)
    monkeypatch.setattr(napari, "run", lambda: None)
    assert main([str(files[0].parent)]) == 0
    session = workbench_of(viewer).session
    qtbot.waitUntil(lambda: session.queue is not None and session.queue.title == "a")
    assert session.queue.total == 2
    close_workbench(workbench_of(viewer))


def test_two_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "one project" in capsys.readouterr().err


def test_without_a_display(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(window, "has_display", lambda: False)
    assert main([]) == 2
    assert "no display" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there always is a display")
def test_display_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert not window.has_display()
    monkeypatch.setenv("DISPLAY", ":7")
    assert window.has_display()


def test_a_damaged_file_is_said_before_napari_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "has_display", lambda: True)
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    assert main(["window", str(tmp_path / "a.tif")]) == 2
    assert "a.tif: cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("engine_on_demand")
def test_what_can_be_read_is_opened_and_the_rest_named(
    make_napari_viewer: Any,
    files: list[Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import napari

    from napari_semxai.plugin import close_workbench, workbench_of

    viewer = make_napari_viewer()
    monkeypatch.setattr(napari, "Viewer", lambda: viewer)
    monkeypatch.setattr(napari, "run", lambda: None)
    files[0].with_name("broken.tif").write_bytes(b"II*\0")
    given = [files[0].with_name("broken.tif"), *files]
    assert main([str(path) for path in given]) == 3
    assert "broken.tif" in capsys.readouterr().err
    assert [layer.name for layer in viewer.layers][:2] == ["b", "a"]
    close_workbench(workbench_of(viewer))


def test_the_window_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    popen = subprocess.Popen

    def quick(command: list[str], **options: Any) -> Any:
        started.append(command)
        return popen([sys.executable, "-c", "pass"], **options)

    monkeypatch.setattr(subprocess, "Popen", quick)
    window.start(["--sample"], Output())
    assert started == [[sys.executable, "-m", "napari_semxai", "window", "--sample"]]


def test_the_window_does_not_look_for_qt_where_cv2_has_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[dict[str, str]] = []
    popen = subprocess.Popen

    def quick(_: list[str], **options: Any) -> Any:
        given.append(options["env"])
        return popen([sys.executable, "-c", "pass"], **options)

    monkeypatch.setattr(subprocess, "Popen", quick)
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", str(tmp_path / "cv2" / "qt" / "plugins"))
    monkeypatch.setenv("QT_QPA_FONTDIR", "/fonts/of/a/person")
    window.start([], Output())
    assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in given[0]
    assert given[0]["QT_QPA_FONTDIR"] == "/fonts/of/a/person"
    assert given[0]["PATH"]


def test_a_window_that_cannot_open_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(window.sys, "executable", "false")
    window.start([], Output())
    assert "could not be opened (exit code 1)" in capsys.readouterr().err
