"""The plugin as napari meets it, through the manifest: docks, command and samples, by name."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari._app_model import get_app_model

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.qt6

PLUGIN = "napari-semxai"
DOCKS = ["Mask candidates", "Edit & review", "Explain", "Scores", "Survey", "Research"]


@pytest.fixture
def viewer(
    engine_on_demand: None, make_napari_viewer: Callable[..., napari.Viewer]
) -> napari.Viewer:
    return make_napari_viewer(show=True)


def _visible_docks(viewer: napari.Viewer) -> list[str]:
    docks = viewer.window._wrapped_dock_widgets
    return [t for t in DOCKS for name, dock in docks.items() if t in name and not dock.isHidden()]


def _menu_item(command: str) -> None:
    get_app_model().commands.execute_command(f"{PLUGIN}.{command}").result()


def test_every_dock_opens_by_its_name_and_no_key_opens_a_menu_of_napari(
    viewer: napari.Viewer, qtbot: QtBot
) -> None:
    from napari_semxai.widgets.settings.shortcuts import SHORTCUTS

    bar = viewer.window._qt_window.menuBar()
    titles = [action.text() for action in bar.actions()]
    letters = {title[title.index("&") + 1].upper() for title in titles if "&" in title}
    assert "F" in letters
    keys = {shortcut.key for shortcut in SHORTCUTS}
    assert not keys & {f"Alt-{letter}" for letter in letters}

    for title in DOCKS:
        viewer.window.add_plugin_dock_widget(PLUGIN, title)
    qtbot.waitUntil(lambda: _visible_docks(viewer) == DOCKS)
    _menu_item("open_workbench")
    assert _visible_docks(viewer) == DOCKS


def test_menu_items_and_workbench_share_their_docks_which_fit_a_small_laptop(
    viewer: napari.Viewer, qtbot: QtBot
) -> None:
    _menu_item("scores_dock")
    qtbot.waitUntil(lambda: _visible_docks(viewer) == ["Scores"])
    _menu_item("open_workbench")
    qtbot.waitUntil(lambda: _visible_docks(viewer) == DOCKS)
    assert len(viewer.window.dock_widgets) == len(DOCKS)
    window = viewer.window._qt_window
    qtbot.waitExposed(window)
    assert window.minimumSizeHint().width() <= 1366
    assert window.minimumSizeHint().height() <= 768 - 40


def test_a_dock_that_was_closed_opens_again_as_a_tab_beside_the_others(
    viewer: napari.Viewer, qtbot: QtBot
) -> None:
    _menu_item("open_workbench")
    window, docks = viewer.window._qt_window, viewer.window._wrapped_dock_widgets
    docks["Mask candidates (SEMXAI)"].destroyOnClose()
    qtbot.waitUntil(lambda: _visible_docks(viewer) == DOCKS[1:])
    _menu_item("candidates_dock")
    qtbot.waitUntil(lambda: _visible_docks(viewer) == DOCKS)
    again = docks["Mask candidates (SEMXAI)"]
    qtbot.waitUntil(lambda: len(window.tabifiedDockWidgets(again)) == len(DOCKS) - 1)
    assert again.windowTitle() == "Candidates"
    qtbot.waitUntil(lambda: not again.visibleRegion().isEmpty())


def test_the_command_palette_offers_no_reader_or_writer(viewer: napari.Viewer) -> None:
    offered = {
        item.command.id.removeprefix(f"{PLUGIN}.")
        for item in get_app_model().menus.get_menu("_command_pallet_")
        if item.command.id.startswith(PLUGIN)
        and (item.command.enablement is None or item.command.enablement.eval({}))
    }
    assert "open_workbench" in offered
    assert not [one for one in offered if one.startswith(("get_", "write_"))]


def test_no_garbage_is_looked_for_while_the_docks_open(viewer: napari.Viewer) -> None:
    from napari_semxai.plugin import open_workbench

    generations = []
    gc.callbacks.append(lambda _, info: generations.append(info["generation"]))
    try:
        open_workbench(viewer)
        assert gc.isenabled()
        # One may run before the docks are begun with; they make hundreds.
        assert len(generations) < 10
    finally:
        gc.callbacks.pop()


@pytest.mark.parametrize(("key", "images"), [("defect", 1), ("six_classes", 6)])
def test_sample_data_comes_with_exact_masks(viewer: napari.Viewer, key: str, images: int) -> None:
    layers: list[Any] = viewer.open_sample(PLUGIN, key)
    kinds = [type(layer).__name__ for layer in layers]
    assert kinds.count("Image") == kinds.count("Labels") == images
    for layer in layers:
        assert layer.data.dtype == np.uint8
