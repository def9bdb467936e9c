"""Data sets in every form they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.sources.find_images import labelled_images
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("10/a.png", "2/b.png", "2/c.tif", "2/deep/d.jpg"):
        picture(tmp_path / "set" / name)
    return tmp_path / "set"


def test_folder_a_class(folders: Path) -> None:
    data = labelled_images(folders, {"2": "pit"})
    assert data.labels == ("2", "10")
    assert data.class_names == ("pit", "10")
    assert data.counts.tolist() == [3, 1]
    assert [image.path.parts[-2] for image in data.images if "deep" in str(image.path)] == ["deep"]


def test_damaged_and_unlabelled_images_are_named(folders: Path) -> None:
    (folders / "2" / "bad.png").write_bytes(b"\x89PNG")
    picture(folders / "loose.png")
    data = labelled_images(folders)
    assert len(data.images) == 4
    assert sorted(data.failed) == ["2/bad", "loose"]
    assert "has no class" in data.failed["loose"]


@pytest.mark.parametrize("masks", [False, True])
def test_carinthia_downloads(tmp_path: Path, masks: bool) -> None:
    """The published columns, semicolons and folders of both archives."""
    names = [f"{number:032x}" for number in range(5)]
    rows = []
    for name, label in zip(names, "13361", strict=True):
        picture(tmp_path / "data" / "images" / f"{name}.jpg")
        if masks:
            picture(tmp_path / "data" / "masks" / f"{name}.png")
            rows.append(f"data/images/{name}.jpg;data/masks/{name}.png;{name};{label}")
        else:
            rows.append(f"data/images/{name}.jpg;{name}.jpg;{label}")
    header = "image_path;mask_path;filename;label" if masks else "image_path;file_name;label"
    table = tmp_path / "data" / ("carinthia-s.csv" if masks else "carinthia.csv")
    table.write_text("\n".join([header, *rows]))
    for source in (tmp_path, table):
        data = labelled_images(source, {"3": "particle"})
        assert data.labels == ("1", "3", "6")
        assert data.class_names == ("Class 1", "particle", "Class 6")
        assert data.targets.tolist() == [0, 1, 1, 2, 0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"7": "x"}, "no class '7' to name; there are 2, 10"),
        ({"2": "10"}, "two classes would be called '10'"),
    ],
)
def test_names_that_do_not_fit(folders: Path, names: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        labelled_images(folders, names)


def test_one_class_or_none(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "a.png")
    with pytest.raises(InputError, match=r"set: 0 classes with readable images.* folder of"):
        labelled_images(tmp_path / "set")
    picture(tmp_path / "set" / "one" / "a.png")
    with pytest.raises(InputError, match=r"set: 1 classes"):
        labelled_images(tmp_path / "set")
    with pytest.raises(InputError, match="no such file or folder"):
        labelled_images(tmp_path / "nothing")
