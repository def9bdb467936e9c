import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.store.project import files as project_files
from napari_semxai.store.project.create import add_images, create_project, name_classes
from napari_semxai.store.project.project import open_project
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


def test_saved_masks_beside_their_images_are_no_images(images, tmp_path):
    for name in ("A_mask.png", "a-mask.tif", "sub/a_mask.png", "stack_p0002_mask.png"):
        Image.fromarray(np.full((8, 9), 255, np.uint8)).save(images / name)
    # No image of that name beside it, or no file that a mask is saved as.
    for name in ("b_mask.png", "A_mask.jpg", "sub/A_mask.png"):
        Image.fromarray(np.full((8, 9), 200, np.uint8)).save(images / name)
    project = create_project(tmp_path / "project", images)
    assert [image.id for image in project.images] == [
        "A", "a-2", "A_mask", "b_mask", "stack_p0001", "stack_p0002", "stack_p0003",
        "sub__a", "sub__A_mask",
    ]  # fmt: skip


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


def test_more_images_come_behind_those_that_are_there(images, tmp_path):
    project = create_project(tmp_path / "project", images / "sub")
    before = (tmp_path / "project" / "images.csv").read_text()
    (images / "bad.png").write_bytes(b"no picture")
    failed = {}
    added = add_images(project.folder, images, failed=failed)
    now = open_project(project.folder)
    # Ids that are taken stay whose they are; the image in sub/ is known already.
    assert [image.id for image in now.images] == [
        "a", "A-2", "a-3", "stack_p0001", "stack_p0002", "stack_p0003",
    ]  # fmt: skip
    assert now.images[1:] == added
    assert list(failed) == ["bad"]
    assert (tmp_path / "project" / "images.csv").read_text().startswith(before)


def test_one_program_at_a_time_changes_the_project(images, tmp_path, monkeypatch):
    monkeypatch.setattr(project_files, "_LOCK_SECONDS", 0.01)
    project = create_project(tmp_path / "project", images)
    with (
        project_files.changing(project.folder),
        pytest.raises(InputError, match="another program is changing it"),
    ):
        name_classes(project.folder, {"3": "scratch"})


def test_masks_of_a_later_table_come_along(images, tmp_path):
    project = create_project(tmp_path / "project", images / "sub")
    Image.fromarray(np.full((8, 9), 255, np.uint8)).save(images / "a_mask.png")
    (images / "list.csv").write_text("image_path,mask_path,label\nA.png,a_mask.png,7\n")
    (image,) = add_images(project.folder, images / "list.csv")
    now = open_project(project.folder)
    assert (image.id, image.label) == ("A-2", "7")
    (annotator,) = now.annotators()
    assert now.mask(image.id, annotator).all()
