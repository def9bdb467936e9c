import json
from contextlib import closing

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.store.project import files as project_files
from napari_semxai.store.project.create import (
    add_images,
    create_project,
    keep_reference,
    name_classes,
)
from napari_semxai.store.project.exports import export
from napari_semxai.store.project.masks import chosen_masks
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError, ReviewChange, ReviewState


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


def test_a_row_without_a_page_says_which_it_took(images, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("path\nimages/stack.tif\nimages/A.png\n")
    failed = {}
    with closing(create_project(tmp_path / "project", table, failed=failed)) as project:
        assert [(image.id, image.page) for image in project.images] == [("stack", 0), ("A", 0)]
    assert failed == {
        "stack": f"{images / 'stack.tif'}: has 3 pages, and its row no page; page 0 was taken"
    }
    table.write_text("path,page\nimages/stack.tif,0\n")
    create_project(tmp_path / "paged", table).close()


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


def test_a_turned_image_is_told_wherever_its_mask_is(images, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    random = np.random.default_rng(5).integers(0, 255, (8, 9), dtype=np.uint8)
    Image.fromarray(random).save(images / "b.png", exif=exif)
    project = create_project(tmp_path / "project", images)
    table = project.folder / "images.csv"
    assert table.read_text().splitlines()[0].endswith(",name,turned_from_orientation")
    assert [image.id for image in project.images if image.turned != 1] == ["b"]
    assert (project.image("b").turned, project.image("b").shape) == (6, (9, 8))
    with closing(open_project(project.folder)) as again:
        for name, turned in (("A", 1), ("b", 6)):
            mask = np.ones(again.image(name).shape, bool)
            again.write_review(name, "anna", ReviewChange(ReviewState.ACCEPTED, mask))
            assert again.record(name, "anna").recipe.turned == turned
            stored = json.loads((again.folder / f"reviews/anna/records/{name}.json").read_text())
            assert stored["recipe"].get("turned", 1) == turned
        export(again, chosen_masks(again), tmp_path / "coco.json", "coco-rle")
        again.set_pixel_size("b", 1e-9)
        assert again.image("b").turned == 6
    told = json.loads((tmp_path / "coco.json").read_text())["images"]
    assert [image.get("turned_from_orientation") for image in told] == [None, 6]


def test_the_table_of_images_that_lie_as_stored_is_as_it_always_was(images, tmp_path):
    project = create_project(tmp_path / "project", images)
    assert (project.folder / "images.csv").read_text().splitlines()[0].endswith(",name")


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
    Image.fromarray(np.eye(8, 9, dtype=np.uint8)).save(images / "a_mask.png")
    (images / "list.csv").write_text("image_path,mask_path,label\nA.png,a_mask.png,7\n")
    (image,) = add_images(project.folder, images / "list.csv")
    now = open_project(project.folder)
    assert (image.id, image.label) == ("A-2", "7")
    (annotator,) = now.annotators()
    np.testing.assert_array_equal(now.mask(image.id, annotator), np.eye(8, 9))


def test_references_beside_their_images_are_no_images(images, tmp_path):
    for name in ("A_reference.tif", "sub/a_reference_2.png", "b_reference.png"):
        Image.fromarray(np.full((8, 9), 200, np.uint8)).save(images / name)
    with closing(create_project(tmp_path / "project", images)) as project:
        names = [image.name for image in project.images]
    assert "b_reference" in names
    assert not any(name.endswith(("A_reference", "a_reference_2")) for name in names)


def test_what_images_are_compared_with_is_kept(images, tmp_path):
    folder = tmp_path / "project"
    create_project(folder, images).close()
    before = (folder / "project.json").read_text()
    assert "reference" not in before
    assert open_project(folder).info.reference == ""
    keep_reference(folder, "self")
    assert open_project(folder).info.reference == "self"


def test_a_project_knows_its_source_wherever_it_is_opened(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_project("project", "images").close()
    monkeypatch.chdir("/")
    assert open_project(tmp_path / "project").info.source == str(images)
    # Both move together, as images do.
    (tmp_path / "lot").mkdir()
    for name in ("images", "project"):
        (tmp_path / name).rename(tmp_path / "lot" / name)
    moved = open_project(tmp_path / "lot" / "project")
    assert moved.info.source == str(tmp_path / "lot" / "images")
    keep_reference(moved.folder, str(tmp_path / "lot" / "golden"))
    name_classes(moved.folder, {"1": "particle"})
    assert open_project(moved.folder).info.source == moved.info.source
    (tmp_path / "lot").rename(tmp_path / "other")
    there = open_project(tmp_path / "other" / "project").info
    assert there.reference == str(tmp_path / "other" / "golden")
