import json

import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.images.coco import write_mask_document
from napari_semxai.store.project.images import (
    check_not_project_file,
    check_replaceable,
    check_replaceable_coco,
    check_replaceable_table,
    original_files,
)
from napari_semxai.types import InputError, ProjectImage, ProjectInfo


@pytest.mark.parametrize("text", ["FileVersion 1 2;\nEndOfFile;", "a,b\n1,2", ""])
def test_a_source_that_names_no_masks_is_an_original_itself(tmp_path, text):
    source, image = tmp_path / "lot.001", tmp_path / "a.tif"
    source.write_text(text)
    known = ProjectImage("a", image, 0, (2, 2), "")
    found = original_files(ProjectInfo("", "", "", str(source), {}), [known])
    assert found == {str(source), str(image)}


def test_only_plain_masks_are_replaceable(tmp_path):
    check_replaceable(tmp_path / "new.png")
    cases = (("mask.png", 255, True), ("ones.tif", 1, True), ("gray.png", 9, False))
    for name, top, fits in cases:
        pixels = np.array([[0, top], [top if fits else top // 2, 0]], np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        if fits:
            check_replaceable(tmp_path / name)
        else:
            with pytest.raises(InputError, match=name):
                check_replaceable(tmp_path / name)
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"damaged\.png"):
        check_replaceable(tmp_path / "damaged.png")


def test_only_tables_of_the_same_columns_are_replaceable(tmp_path):
    path = tmp_path / "a.csv"
    check_replaceable_table(path)
    path.write_text("name,row0,column0,row1\n")
    check_replaceable_table(path)
    with pytest.raises(InputError, match="holds another table"):
        check_replaceable_table(path, ("id", "file"))
    for text in ("name,row0,column0X\n", "id,name,row0,column0,\n", ""):
        path.write_text(text)
        with pytest.raises(InputError, match="holds another table"):
            check_replaceable_table(path)


def test_only_coco_sets_of_one_image_are_replaceable(tmp_path):
    path = tmp_path / "a.json"
    check_replaceable_coco(path)
    write_mask_document(path, np.eye(3, dtype=bool), None, "a")
    check_replaceable_coco(path)
    for images in ([{"id": 1}, {"id": 2}], None):
        path.write_text(json.dumps({"images": images, "annotations": []}))
        with pytest.raises(InputError, match=r"a\.json: holds more"):
            check_replaceable_coco(path)


def test_a_folder_is_a_project_only_with_its_file(tmp_path):
    path = tmp_path / "reviews" / "anna" / "masks" / "a.png"
    check_not_project_file(path)
    (tmp_path / "project.json").write_text("{}")
    with pytest.raises(InputError, match="belongs to the project"):
        check_not_project_file(path)
    check_not_project_file(tmp_path / "masks" / "a.png")
