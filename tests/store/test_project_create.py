import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.store.project_create import create_project
from napari_semxai.types import InputError


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("A.png", "sub/a.png", "a.jpg"):
        Image.fromarray(random.integers(0, 255, (8, 9), dtype=np.uint8)).save(folder / name)
    stack = random.integers(0, 255, (3, 8, 9), dtype=np.uint8)
    tifffile.imwrite(folder / "stack.tif", stack, photometric="minisblack")
    return folder


def test_folder_with_pages_and_equal_names(images, tmp_path):
    calls = []
    project = create_project(
        tmp_path / "project", images, progress=lambda *call: calls.append(call)
    )
    assert [image.id for image in project.images] == [
        "A", "a-2", "stack_p0001", "stack_p0002", "stack_p0003", "sub__a",
    ]  # fmt: skip
    assert calls[-1] == (6, 6)
    third = project.read_image("stack_p0003").gray
    np.testing.assert_array_equal(third, tifffile.imread(images / "stack.tif")[2])


def test_unreadable_image_is_named(images, tmp_path):
    (images / "bad.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"bad\.png: cannot be read"):
        create_project(tmp_path / "project", images)
    failed = {}
    project = create_project(tmp_path / "project", images, failed=failed)
    assert list(failed) == ["bad"]
    assert len(project.images) == 6


def test_originals_are_not_touched(images, tmp_path):
    before = {path: path.read_bytes() for path in images.rglob("*.*")}
    create_project(tmp_path / "project", images)
    assert {path: path.read_bytes() for path in images.rglob("*.*")} == before


def test_existing_project_is_kept(images, tmp_path):
    create_project(tmp_path / "project", images)
    with pytest.raises(InputError, match="a project already"):
        create_project(tmp_path / "project", images)


def test_source_without_images(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        create_project(tmp_path / "project", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no readable"):
        create_project(tmp_path / "project", tmp_path / "empty")
    assert not (tmp_path / "project").exists()
