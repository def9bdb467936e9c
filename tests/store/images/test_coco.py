"""COCO files of other programs; round trips of projects are in test_project_exports."""

import json

import numpy as np
import pytest

from napari_semxai.store.images.coco import count_images, read_coco, write_mask_document
from napari_semxai.types import InputError


def write(path, segmentation):
    document = {
        "images": [{"id": 4, "file_name": "a.png", "height": 8, "width": 9}],
        "annotations": [{"id": 1, "image_id": 4, "segmentation": segmentation}],
    }
    path.write_text(json.dumps(document))
    return path


def test_polygons_of_other_programs(tmp_path):
    path = write(tmp_path / "a.json", [[2, 1, 6, 1, 6, 5, 2, 5]])
    ((values, mask),) = read_coco(path)
    expected = np.zeros((8, 9), bool)
    expected[1:5, 2:6] = True
    np.testing.assert_array_equal(mask, expected)
    assert values["file_name"] == "a.png"


@pytest.mark.parametrize("segmentation", [[], [[1, 2, 3, 4]], [[]], {"size": [8, 9]}, None])
def test_annotations_without_a_mask_are_said(tmp_path, segmentation):
    path = write(tmp_path / "boxes.json", segmentation)
    with pytest.raises(InputError, match=r"boxes\.json"):
        read_coco(path)
    assert count_images(path) == 1


def test_images_are_counted_and_other_files_refused(tmp_path):
    write_mask_document(tmp_path / "one.json", np.ones((3, 4), bool), "one")
    assert count_images(tmp_path / "one.json") == 1
    (tmp_path / "other.json").write_text('{"images": []}')
    with pytest.raises(InputError, match=r"other\.json"):
        count_images(tmp_path / "other.json")
