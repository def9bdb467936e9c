"""Which picture an image is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.synthetic import SceneSpec, make_reference, make_scene
from napari_semxai.store.images.read import read_image
from napari_semxai.store.images.references import (
    compare_image,
    find_reference,
    reference_digests,
)
from napari_semxai.types import AlgorithmSettings, InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def gray() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 36), dtype=np.uint8)


@pytest.fixture
def lot(tmp_path: Path, gray: np.ndarray) -> Path:
    """Images of which one has a reference beside it, and a folder of references."""
    for name in ("a.tif", "a_reference.png", "a_reference.txt", "b.tif", "golden/b.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no picture")
        else:
            Image.fromarray(gray).save(path)
    return tmp_path


def test_a_reference_is_found_beside_the_image(lot: Path) -> None:
    assert find_reference(lot / "a.tif", "auto") == lot / "a_reference.png"
    assert find_reference(lot / "b.tif", "auto") is None
    assert find_reference(lot / "a.tif", "none") is None
    assert find_reference(lot / "a.tif", "self") is None
    assert find_reference(None, "auto") is None


def test_brackets_of_a_name_are_no_pattern(tmp_path: Path, gray: np.ndarray) -> None:
    for name in ("x[1].tif", "x[1]_reference.tif", "x1_reference.tif"):
        Image.fromarray(gray).save(tmp_path / name)
    found = find_reference(tmp_path / "x[1].tif", "auto")
    assert found == tmp_path / "x[1]_reference.tif"


def test_a_reference_is_found_in_a_folder_by_the_name_of_the_image(lot: Path) -> None:
    golden = str(lot / "golden")
    assert find_reference(lot / "b.tif", golden) == lot / "golden/b.png"
    assert find_reference(lot / "b.tif", str(lot / "a.tif")) == lot / "a.tif"
    with pytest.raises(InputError, match="golden: holds no reference for a"):
        find_reference(lot / "a.tif", golden)
    with pytest.raises(InputError, match=r"nowhere\.tif: there is no such reference"):
        find_reference(lot / "a.tif", str(lot / "nowhere.tif"))


def test_an_image_is_compared_as_the_settings_say(tmp_path: Path) -> None:
    spec = SceneSpec(shape=(240, 240), pattern="traces", radius=14, noise=4)
    Image.fromarray(make_scene(spec, 4).image).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    auto = AlgorithmSettings(reference="auto")
    found, name = compare_image(image, auto)
    assert found is not None
    assert (found.reason[:23], name) == ("the image has no period", "self")
    Image.fromarray(make_reference(spec, 4)).save(tmp_path / "a_reference.png")
    found, name = compare_image(image, auto)
    assert found is not None
    assert (found.reason, name) == ("", "a_reference.png")
    assert found.parts.any()
    assert compare_image(image, AlgorithmSettings()) == (None, "")


def test_the_digest_is_that_of_the_references_content(lot: Path, gray: np.ndarray) -> None:
    auto = AlgorithmSettings(reference="auto")
    (before,) = reference_digests(lot / "a.tif", auto)
    Image.fromarray(255 - gray).save(lot / "a_reference.png")
    assert reference_digests(lot / "a.tif", auto) != [before]
    assert reference_digests(lot / "b.tif", auto) == []
    assert reference_digests(lot / "a.tif", AlgorithmSettings()) == []
