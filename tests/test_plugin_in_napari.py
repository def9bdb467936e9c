"""The plugin as napari meets it, through the manifest: docks, command and samples, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.qt6

PLUGIN = "napari-semxai"
DOCKS = ("Mask candidates", "Edit & review", "Scores")


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., napari.Viewer]) -> napari.Viewer:
    return make_napari_viewer(show=True)


def test_every_dock_opens_by_its_name(viewer: napari.Viewer) -> None:
    for title in DOCKS:
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, title)
        assert widget.isVisible() or widget.parent() is not None
    assert all(any(title in name for name in viewer.window.dock_widgets) for title in DOCKS)


def test_workbench_command_opens_all_docks(viewer: napari.Viewer) -> None:
    from napari._app_model import get_app_model

    get_app_model().commands.execute_command(f"{PLUGIN}.open_workbench").result()
    assert set(DOCKS) <= set(viewer.window.dock_widgets)


def test_docks_fit_a_small_laptop(viewer: napari.Viewer, qtbot: QtBot) -> None:
    from napari_semxai.plugin import open_workbench

    open_workbench(viewer)
    window = viewer.window._qt_window
    qtbot.waitExposed(window)
    assert window.minimumSizeHint().width() <= 1366
    assert window.minimumSizeHint().height() <= 768 - 40


@pytest.mark.parametrize(("key", "images"), [("defect", 1), ("six_classes", 6)])
def test_sample_data_comes_with_exact_masks(viewer: napari.Viewer, key: str, images: int) -> None:
    layers: list[Any] = viewer.open_sample(PLUGIN, key)
    kinds = [type(layer).__name__ for layer in layers]
    assert kinds.count("Image") == kinds.count("Labels") == images
    for layer in layers:
        assert layer.data.dtype == np.uint8
