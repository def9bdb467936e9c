"""Which picture an image is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.algorithms.synthetic import SceneSpec, make_reference, make_scene
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.images.companions import (
    compare_image,
    find_reference,
    is_reference,
    reference_digests,
)
from napari_semxai.store.images.read import read_image
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
    found = compare_image(image, auto)
    assert found is not None
    assert (found.reason[:23], found.name) == ("the image has no period", "self")
    Image.fromarray(make_reference(spec, 4)).save(tmp_path / "a_reference.png")
    found = compare_image(image, auto)
    assert found is not None
    assert (found.reason, found.name) == ("", "a_reference.png")
    assert found.sha256 == file_sha256(tmp_path / "a_reference.png")
    assert found.parts.any()
    assert compare_image(image, AlgorithmSettings()) is None


def test_the_projects_reference_goes_before_the_one_beside_the_image(lot: Path) -> None:
    known = lot / "golden/b.png"
    assert find_reference(lot / "a.tif", "auto", known) == known
    assert find_reference(lot / "a.tif", "self", known) is None
    with pytest.raises(InputError, match="gone"):
        find_reference(lot / "a.tif", "auto", lot / "gone.png")


def test_no_image_is_its_own_golden_picture(lot: Path) -> None:
    """Nothing differs from itself: each image would be without a defect."""
    assert find_reference(lot / "a.tif", str(lot / "a.tif")) is None
    with pytest.raises(InputError, match="holds no reference for b"):
        find_reference(lot / "b.tif", str(lot))
    assert find_reference(lot / "a.tif", str(lot)) == lot / "a_reference.png"


def test_a_page_is_compared_with_the_same_page(tmp_path: Path) -> None:
    spec = SceneSpec(shape=(240, 240), pattern="holes", radius=14, noise=4)
    scenes, references = (
        [make(spec, seed) for seed in (4, 5)]
        for make in (lambda spec, seed: make_scene(spec, seed).image, make_reference)
    )
    for name, pages in (("a", scenes), ("a_reference", references)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.stack(pages), photometric="minisblack")
    for page in range(2):
        image = read_image(tmp_path / "a.tif", page)
        found = compare_image(image, AlgorithmSettings(reference="auto"))
        assert found is not None
        assert found.correlation > 0.9


def test_references_are_told_from_images(lot: Path) -> None:
    stems = {path.with_suffix("") for path in lot.iterdir()}
    named = {path.name for path in lot.iterdir() if is_reference(path, stems)}
    assert named == {"a_reference.png", "a_reference.txt"}
    assert not is_reference(lot / "c_reference.png", stems)


def test_the_digest_is_that_of_the_references_content(lot: Path, gray: np.ndarray) -> None:
    auto = AlgorithmSettings(reference="auto")
    (before,) = reference_digests(lot / "a.tif", auto)
    Image.fromarray(255 - gray).save(lot / "a_reference.png")
    assert reference_digests(lot / "a.tif", auto) != [before]
    assert reference_digests(lot / "b.tif", auto) == []
    assert reference_digests(lot / "a.tif", AlgorithmSettings()) == []
