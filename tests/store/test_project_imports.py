import csv
import json
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.project import open_project
from napari_semxai.store.project_create import create_project
from napari_semxai.store.project_exports import export
from napari_semxai.store.project_imports import import_masks
from napari_semxai.store.project_masks import chosen_masks
from napari_semxai.types import InputError, ReviewChange, ReviewState
from tests.store.test_project_exports import SHAPE, blob, project

__all__ = ["project"]
COMMENT = ' two\nlines; "quoted", ä '
FORMS = {
    "png": "masks",
    "tif": "masks",
    "coco-rle": "coco.json",
    "coco-polygons": "coco.json",
    "carinthia-s": "set",
}


@pytest.fixture
def reviewed(project):
    """Every state but "candidate" of images that have one, comments, and an own class."""
    project.write_review("a", "anna", ReviewChange(ReviewState.UNSURE, comment=COMMENT))
    empty = np.zeros(SHAPE, dtype=bool)
    project.write_review("stack_p0002", "anna", ReviewChange(ReviewState.ACCEPTED, empty))
    project.write_review("stack_p0001", "anna", ReviewChange(ReviewState.CORRECTED))
    return project


def said(project, annotator):
    """What is known of every mask."""
    records = {image.id: project.record(image.id, annotator) for image in project.images}
    masks = {name: project.mask(name, annotator).tobytes() for name in records}
    return {
        name: (one.state, one.comment, one.label, one.area, masks[name])
        for name, one in records.items()
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("candidate", [False, True])
def test_every_state_comes_back(reviewed, tmp_path, form, candidate):
    if candidate:
        reviewed.write_review("stack_p0001", "anna", ReviewChange(mask=blob(7)))
    target = tmp_path / FORMS[form]
    for _ in range(2):
        every = chosen_masks(reviewed, "anna", every_state=True)
        assert export(reviewed, every, target, form) == 4
    assert import_masks(reviewed, target, "ben") == 4
    before = said(reviewed, "anna")
    assert said(reviewed, "ben") == before
    assert {state for state, *_ in before.values()} >= {ReviewState.REJECTED, ReviewState.UNSURE}
    # A person's word goes before what is written there.
    import_masks(reviewed, target, "cy", ReviewState.CORRECTED)
    assert reviewed.record("stack_p0003", "cy").state is ReviewState.CORRECTED
    assert reviewed.record("stack_p0002", "cy").state is ReviewState.NO_DEFECT


def test_a_project_of_an_exported_set_has_its_states(reviewed, tmp_path):
    every = chosen_masks(reviewed, "anna", every_state=True)
    export(reviewed, every, tmp_path / "set", "carinthia-s")
    with closing(create_project(tmp_path / "again", tmp_path / "set")) as again:
        found, before = said(again, "carinthia-s"), said(reviewed, "anna")
    for name, (state, comment, _, area, mask) in before.items():
        assert found[name] == (state, comment, "", area, mask)


def test_the_table_beside_masks(reviewed, tmp_path):
    export(reviewed, chosen_masks(reviewed, "anna", every_state=True), tmp_path / "out", "tif")
    with (tmp_path / "out" / "masks.csv").open(newline="") as file:
        first, *_, last = csv.DictReader(file)
    assert first == {
        "id": "a", "file": "a.tif", "class": "9", "class_name": "", "class_source": "anna",
        "lot": "L1", "wafer": "W1", "defect": "11", "pixel_size_m": "2e-09", "state": "unsure",
        "annotators": "anna", "comment": COMMENT,
    }  # fmt: skip
    assert (last["id"], last["state"], last["class_source"]) == (
        "stack_p0003", "rejected", "list.csv:class",
    )  # fmt: skip


def test_a_pixel_size_by_hand_is_exported(reviewed, tmp_path):
    reviewed.set_pixel_size("a", 5e-9)
    export(reviewed, chosen_masks(reviewed, "anna", every_state=True), tmp_path / "out", "png")
    with (tmp_path / "out" / "masks.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["pixel_size_m"] == "5e-09"


def test_files_and_table_that_do_not_fit(reviewed, tmp_path):
    out = tmp_path / "out"
    export(reviewed, chosen_masks(reviewed, "anna"), out, "png")
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(out / "a.png")
    (out / "stack_p0001.png").unlink()
    failed = {}
    assert import_masks(reviewed, out, "ben", failed=failed) == 1
    assert "masks.csv does not list it" in failed["a"]
    assert "no such file" in failed["stack_p0001"]
    for text in ("name,label\na,3\n", "id,file\na,a.png\n"):
        (out / "masks.csv").write_text(text)
        with pytest.raises(InputError, match="no columns id, file and state"):
            import_masks(reviewed, out, "ben")
    (out / "masks.csv").write_text("name,label\na,3\n")
    with pytest.raises(InputError, match=r"masks\.csv: holds another table"):
        export(reviewed, chosen_masks(reviewed, "anna"), out, "png")


def test_images_beside_their_masks_are_no_masks(project, tmp_path):
    images = tmp_path / "images"
    Image.fromarray(255 * blob(3).astype(np.uint8)).save(images / "a_mask.png")
    assert import_masks(project, images, "ben") == 1
    record = project.record("a", "ben")
    np.testing.assert_array_equal(project.mask("a", "ben"), blob(3))
    assert len(record.history) == 1


def test_masks_of_other_pixels_are_refused(project, tmp_path):
    path = tmp_path / "coco.json"
    export(project, chosen_masks(project, "anna"), path, "coco-rle")
    document = json.loads(path.read_text())
    document["images"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(document))
    failed = {}
    assert import_masks(project, path, "ben", failed=failed) == 2
    assert list(failed) == ["a"]
    assert "other pixels than" in failed["a"]
    assert project.record("a", "ben") is None
    # Another program's field of that name says something else.
    for image in document["images"]:
        image["file_name"] = image.pop("semxai_id") + ".jpg"
    path.write_text(json.dumps(document))
    assert import_masks(project, path, "ben") == 3


def test_a_replaced_image_is_not_exported(project, tmp_path):
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(project.image("a").path)
    with closing(open_project(project.folder)) as again:
        chosen = chosen_masks(again, "anna")
        with pytest.raises(InputError, match="was replaced since"):
            export(again, chosen, tmp_path / "set", "carinthia-s")
    assert not (tmp_path / "set").exists()
