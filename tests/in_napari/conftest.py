"""A window with a project's images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.in_napari.gestures import SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import napari

    from napari_semxai.store.disk.folders import Folders
    from napari_semxai.workbench import Workbench


@pytest.fixture
def make_images(tmp_path: Path) -> Callable[..., Path]:
    def make(count: int, name: str = "images") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        rng = np.random.default_rng(0)
        for number in range(count):
            pixels = rng.integers(0, 255, SHAPE).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"image_{number:03}.png")
        return folder

    return make


@pytest.fixture
def workbench(
    engine_on_demand: None,
    make_napari_viewer: Callable[..., napari.Viewer],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    folders: Folders,
) -> Workbench:
    from napari_semxai import plugin

    monkeypatch.setattr(
        "napari_semxai.store.project.index.index.project_index_folder", lambda: tmp_path / "index"
    )
    workbench = plugin.open_workbench(make_napari_viewer(show=True), folders)
    # Tests act faster than anybody sees; that is tested where it is the point.
    workbench.review.seen_at_least = 0.0
    return workbench
