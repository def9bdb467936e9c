"""Which images the inputs mean, and where results go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_semxai.cli.common.sources import find_sources
from napari_semxai.store.project.create import create_project

if TYPE_CHECKING:
    from pathlib import Path


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)


def stems(*inputs: Path) -> dict[str, str]:
    failed: dict[str, str] = {}
    found = find_sources(inputs, failed)
    assert failed == {}
    assert len({source.stem for source in found}) == len(found)
    return {source.name: source.stem.as_posix() for source in found}


def test_equal_stems_never_collide(tmp_path: Path) -> None:
    for name in ("x/a.png", "x/a.bmp", "y/a.png", "y/z/a.png"):
        save(tmp_path / name)
    assert stems(tmp_path) == {
        "x/a.bmp": "x/a_bmp",
        "x/a.png": "x/a_png",
        "y/a.png": "y/a",
        "y/z/a.png": "y/z/a",
    }
    assert stems(tmp_path / "x/a.png", tmp_path / "y/a.png") == {
        "x/a.png": "x/a",
        "y/a.png": "y/a",
    }
    assert stems(tmp_path / "y", tmp_path / "x/a.png")["y/z/a.png"] == "y/z/a"


def test_the_same_image_named_twice_is_done_once(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert stems(tmp_path, tmp_path / "a.png") == {"a.png": "a"}


def test_empty_folder(tmp_path: Path) -> None:
    failed: dict[str, str] = {}
    assert find_sources([tmp_path], failed) == []
    assert "no TIFF, JPEG, PNG or BMP image" in failed[str(tmp_path)]


def test_faults_are_named_and_the_rest_is_listed(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.tif").write_bytes(b"II*\0")
    failed: dict[str, str] = {}
    found = find_sources([tmp_path, tmp_path / "none.png"], failed)
    assert [source.name for source in found] == ["a.png"]
    assert "no such file or folder" in failed[str(tmp_path / "none.png")]
    assert "cannot be read" in failed["b.tif"]


def test_the_masks_of_a_data_set_are_no_images(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png")
    save(tmp_path / "masks/a.png")
    assert stems(tmp_path) == {"images/a.png": "images/a"}


def test_links_stay_where_they_are_shown(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere/a.png")
    (tmp_path / "lot").mkdir()
    (tmp_path / "lot/b.png").symlink_to(tmp_path / "elsewhere/a.png")
    assert stems(tmp_path / "lot") == {"b.png": "b"}


def test_projects_and_tables_list_images_that_lie_elsewhere(tmp_path: Path) -> None:
    save(tmp_path / "lot/a.png")
    save(tmp_path / "lot/b.png")
    create_project(tmp_path / "work", tmp_path / "lot")
    save(tmp_path / "carinthia/data/images/0a.jpg")
    save(tmp_path / "carinthia/data/masks/0a.png")
    table = tmp_path / "carinthia/data/carinthia-s.csv"
    table.write_text(
        "image_path;mask_path;filename;label\ndata/images/0a.jpg;data/masks/0a.png;0a;1\n"
    )
    assert stems(tmp_path / "work") == {"a": "a", "b": "b"}
    assert stems(tmp_path / "carinthia") == stems(table) == {"0a": "0a"}
    assert stems(tmp_path / "work", tmp_path / "carinthia") == {
        "work/a": "work/a",
        "work/b": "work/b",
        "carinthia/0a": "carinthia/0a",
    }
    assert stems(tmp_path / "lot/a.png", tmp_path / "work") == {"a.png": "a", "work/b": "work/b"}
