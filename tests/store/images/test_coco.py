"""COCO files of other programs; round trips of projects are in test_project_exports."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from napari_semxai.store.disk.names import path_parts
from napari_semxai.store.images.coco import count_images, read_coco, write_mask_document
from napari_semxai.types import InputError

SHAPE = (8, 9)
BOX = [2, 1, 6, 1, 6, 5, 2, 5]
INSIDE = np.zeros(SHAPE, bool)
INSIDE[1:5, 2:6] = True


def write(path, segmentation, encoding="utf-8"):
    document = {
        "images": [{"id": 4, "file_name": "a.png", "height": 8, "width": 9}],
        "annotations": [{"id": 1, "image_id": 4, "segmentation": segmentation}],
    }
    path.write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    return path


def runs(mask):
    """Lengths of runs, column by column, beginning with background."""
    flat = np.concatenate([[False], mask.ravel("F")])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff([0, *ends, mask.size]).tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    "segmentation",
    [
        [BOX],
        BOX,
        {"size": list(SHAPE), "counts": runs(INSIDE)},
        {
            "size": list(SHAPE),
            "counts": coco_mask.encode(np.asfortranarray(INSIDE, np.uint8))["counts"].decode(),
        },
    ],
)
def test_masks_of_other_programs(tmp_path, segmentation, encoding):
    (image,) = read_coco(write(tmp_path / "a.json", segmentation, encoding)).images
    read = image.mask()
    np.testing.assert_array_equal(read.mask, INSIDE)
    assert (image.name, image.shape, read.problems) == ("a.png", SHAPE, ())


@given(lengths=st.lists(st.integers(0, 9000), min_size=1, max_size=9), as_text=st.booleans())
def test_run_lengths_of_any_mask(tmp_path_factory, lengths, as_text):
    shape = (sum(lengths) + 1, 1)
    mask = np.repeat(np.arange(len(lengths) + 1) % 2, [*lengths, 1]).reshape(shape) > 0
    counts = [*lengths, 1]
    if as_text:
        counts = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    path = write(tmp_path_factory.mktemp("coco") / "a.json", {"size": shape, "counts": counts})
    document = json.loads(path.read_text())
    document["images"][0] |= {"height": shape[0], "width": 1}
    path.write_text(json.dumps(document))
    (image,) = read_coco(path).images
    read = image.mask()
    assert len(read.problems) == (not mask.any())
    np.testing.assert_array_equal(read.mask, mask)


TEXT = coco_mask.encode(np.asfortranarray(INSIDE, np.uint8))["counts"].decode()
RUNS = {"size": list(SHAPE), "counts": runs(INSIDE)}
# What programs put into an image, an annotation and a category, as their writers publish it.
CONVENTIONS = {
    "CVAT, polygons": (
        {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0},
        {"segmentation": [BOX], "area": 16.0, "iscrowd": 0, "attributes": {"occluded": False}},
        {"supercategory": ""},
    ),
    "CVAT, masks": ({}, {"segmentation": RUNS, "iscrowd": 1, "attributes": {"rotation": 0.0}}, {}),
    "Label Studio": (
        {"id": 0, "file_name": "images\\a.png"},
        {"id": 0, "image_id": 0, "segmentation": [BOX], "ignore": 0, "iscrowd": 0},
        {},
    ),
    "labelme": (
        {"file_name": "JPEGImages/a.png", "url": None, "license": 0},
        {"segmentation": [BOX[:6], [6, 5, 2, 5, 2, 1]], "bbox": [2.0, 1.0, 4.0, 4.0]},
        {"supercategory": None},
    ),
    "VGG VIA": (
        {"id": 1, "width": "9", "height": "8"},
        {"id": "1", "image_id": "1", "segmentation": BOX, "bbox": [2, 1, 4, 4]},
        {},
    ),
    "LVIS": (
        {"file_name": None, "coco_url": "http://images.example.org/val2017/a.png",
         "neg_category_ids": [], "not_exhaustive_category_ids": []},
        {"segmentation": [BOX]},
        {"synset": "scratch.n.01", "frequency": "r"},
    ),
    "Detectron2": (
        {}, {"segmentation": {"size": list(SHAPE), "counts": TEXT}, "bbox_mode": 1}, {},
    ),
    "Segment Anything": (
        {"image_id": 4},
        {"segmentation": {"size": list(SHAPE), "counts": TEXT}, "predicted_iou": 0.9,
         "point_coords": [[3.0, 2.0]], "crop_box": [0, 0, 9, 8]},
        {},
    ),
    "Roboflow": (
        {"extra": {"name": "a.png"}, "date_captured": "2025-01-01T00:00:00+00:00"},
        {"segmentation": [[float(value) for value in BOX]]},
        {"id": 0, "supercategory": "none"},
    ),
    "FiftyOne": ({}, {"segmentation": [BOX], "supercategory": None, "score": 0.5}, {}),
    "MMDetection": ({"id": 4.0}, {"segmentation": [BOX], "area": "16", "ignore": False}, {}),
    "makesense.ai": ({"id": 0}, {"id": 0, "image_id": 0, "segmentation": [BOX, BOX]}, {}),
}  # fmt: skip


@pytest.mark.parametrize("program", CONVENTIONS)
def test_what_programs_write(tmp_path, program):
    image, annotation, category = CONVENTIONS[program]
    category = {"id": 3, "name": "scratch"} | category
    document = {
        "info": {"contributor": program},
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "images": [{"id": 4, "file_name": "a.png", "height": 8, "width": 9} | image],
        "annotations": [{"id": 1, "image_id": 4, "category_id": category["id"]} | annotation],
        "categories": [category],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    stored = read_coco(tmp_path / "a.json")
    (found,) = stored.images
    read = found.mask(SHAPE)
    np.testing.assert_array_equal(read.mask, INSIDE)
    assert (path_parts(found.name)[-1], stored.problems, read.problems) == ("a.png", (), ())
    (key,) = read.categories
    assert stored.categories[key]["name"] == "scratch"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        # labelme, VGG VIA's own, Label Studio's own, one image of SA-1B.
        ({"version": "5.2.1", "shapes": [{"label": "a", "points": []}]}, "no COCO data set"),
        ({"_via_settings": {}, "_via_img_metadata": {}}, "no COCO data set"),
        ([{"id": 1, "annotations": [{"result": []}], "data": {"image": "a.png"}}], "no COCO data"),
        ({"image": {"image_id": 4}, "annotations": [{"segmentation": RUNS}]}, "no COCO data set"),
    ],
)
def test_what_is_no_data_set_is_refused_in_plain_words(tmp_path, document, message):
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=rf"a\.json: is {message}.* export one from the program"):
        read_coco(tmp_path / "a.json")


@pytest.mark.parametrize(
    "annotation",
    [
        {"segments_info": [{"id": 7, "category_id": 1}], "file_name": "a.png"},
        {"keypoints": [3, 2, 2], "num_keypoints": 1, "bbox": [0, 0, 1, 1]},
    ],
)
def test_annotations_without_a_mask_are_named(tmp_path, annotation):
    """Those of panoptic sets, and of key points."""
    document = {"images": [{"id": 4, "file_name": "a.png", "height": 8, "width": 9}]}
    document["annotations"] = [{"id": 1, "image_id": 4} | annotation]
    (tmp_path / "a.json").write_text(json.dumps(document))
    (image,) = read_coco(tmp_path / "a.json").images
    (problem,) = image.mask().problems
    assert problem.startswith("a.png: annotation 1: ")


BAD = {
    "no mask": [[], None, {}],
    "neither polygons nor run lengths": [{"size": [8, 9]}, "text", 7],
    "three corners, or half a corner": [[[1, 2, 3, 4]], [[]], [BOX, [5, 5, 6, 6]], [BOX[:7]]],
    "no number, or far outside": [[[1, 2, 3, 4, 5, "x"]], [[1, 2, 3, 4, 5, 1e9]], [[None] * 6],
                                  [[float("nan")] * 6], [BOX, 3]],
    r"its mask has the size \[4, 4\]": [{"size": [4, 4], "counts": [8, 8]}],
    "run lengths are damaged": [{"size": [8, 9], "counts": counts}
                                for counts in ([-5, 77], [1.5, 70.5], "zzPP~~", "\0", "é")],
    "run lengths make 3600 pixels": [{"size": [8, 9], "counts": [0, 3600]}],
    "covers no pixel": [{"size": [8, 9], "counts": [72]}, [[20, 20, 25, 20, 25, 25]],
                        [[1, 1, 6, 1, 1, 1]]],
    "shares of the image from 0 to 1": [[[0.2, 0.1, 0.7, 0.1, 0.7, 0.6]]],
    "no number, or far ": [["2,1,6,1,6,5"], [[[2, 1], [6, 1], [6, 5]]], [[{"x": 2, "y": 1}] * 3]],
}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "segmentation"), [(key, one) for key, many in BAD.items() for one in many]
)
def test_a_bad_annotation_is_named_with_its_image(tmp_path, message, segmentation):
    path = write(tmp_path / "bad.json", segmentation)
    (image,) = read_coco(path).images
    (problem,) = image.mask().problems
    with pytest.raises(InputError, match=f"a.png: annotation 1: .*{message}"):
        raise InputError(problem)
    assert not image.mask().mask.any()
    assert count_images(path) == 1


def test_the_rest_of_an_image_with_a_bad_annotation_comes_in(tmp_path):
    path = write(tmp_path / "a.json", [BOX])
    document = json.loads(path.read_text())
    other = {"id": "x", "image_id": "4", "bbox": [0, 0, 1, 1]}
    lost = {"id": 9, "image_id": 99, "segmentation": [BOX]}
    document["annotations"] += [other, lost, 5, {"segmentation": [BOX]}]
    document["images"] += [{"file_name": "no id"}, {"id": 4.0, "file_name": "again"}, None]
    path.write_text(json.dumps(document))
    stored = read_coco(path)
    (image,) = stored.images
    np.testing.assert_array_equal(image.mask().mask, INSIDE)
    assert image.mask().problems == ("a.png: annotation x: has a box but no mask",)
    assert stored.problems == (
        "image 2 of the list has no id",
        "again: its id 4.0 is there twice",
        "image 4 of the list has no id",
        "annotation 9: there is no image 99",
        "annotation 4 of the list is no annotation",
        "annotation 5: there is no image None",
    )


@pytest.mark.parametrize("size", [{}, {"height": 0, "width": 0}, {"height": "8", "width": 9.5}])
def test_an_image_without_a_size_gets_that_of_its_file(tmp_path, size):
    path = write(tmp_path / "a.json", [BOX])
    document = json.loads(path.read_text())
    document["images"] = [{"id": 4, "file_name": "a.png"} | size]
    path.write_text(json.dumps(document))
    (image,) = read_coco(path).images
    np.testing.assert_array_equal(image.mask(SHAPE).mask, INSIDE)
    with pytest.raises(InputError, match="has no height and width"):
        image.mask()


def test_another_size_than_the_image_has_is_refused(tmp_path):
    (image,) = read_coco(write(tmp_path / "a.json", [BOX])).images
    with pytest.raises(InputError, match=r"a\.png: the data set says 9x8 pixels, it has 10x8"):
        image.mask((8, 10))


def test_memory_is_that_of_one_image(tmp_path):
    side, many = 1000, 40
    box = [10, 10, 60, 10, 60, 60, 10, 60]
    document = {
        "images": [
            {"id": n, "file_name": f"{n}.png", "height": side, "width": side} for n in range(many)
        ],
        "annotations": [{"id": n, "image_id": n, "segmentation": [box]} for n in range(many)],
    }
    path = tmp_path / "many.json"
    path.write_text(json.dumps(document))
    tracemalloc.start()
    areas = {int(image.mask().mask.sum()) for image in read_coco(path).images}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert areas == {2500}
    assert peak < 5 * side**2


def test_images_are_counted_and_other_files_refused(tmp_path):
    write_mask_document(tmp_path / "one.json", np.ones((3, 4), bool), None, "one")
    assert count_images(tmp_path / "one.json") == 1
    other = tmp_path / "other.json"
    for text in ('{"images": []}', "[]", '{"shapes": []}', "3", "[" * 99_999):
        other.write_text(text)
        with pytest.raises(InputError, match=r"other\.json: is no (COCO data set|JSON file)"):
            read_coco(other)
    # Results of a detector are read, and no data set that a mask may be written over.
    other.write_text('[{"image_id": 1}]')
    with pytest.raises(InputError, match=r"other\.json: is no COCO data set"):
        count_images(other)
