import csv
import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco_mask

from napari_semxai.algorithms.masks.foreground import parse_rule
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.coco import coco_annotation
from napari_semxai.store.images.mask_parts import numbered_parts, part_mask
from napari_semxai.store.images.masks import MaskReader, read_white_mask
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.exports import export
from napari_semxai.store.project.imports import ImportChoices, import_masks
from napari_semxai.store.project.masks import chosen_masks
from napari_semxai.store.project.project import open_project
from napari_semxai.store.project.records import read_record
from napari_semxai.types import InputError, MaskRecipe, ReviewChange, ReviewState
from tests.store.project.projects import MIXED, blob, mixed_project

COMMENT = ' two\nlines; "quoted", ä '
FORMS = {
    "png": "masks",
    "tif": "masks",
    "coco-rle": "coco.json",
    "coco-polygons": "coco.json",
    "carinthia-s": "set",
}


@pytest.fixture
def project(tmp_path):
    with mixed_project(tmp_path) as project:
        yield project


@pytest.fixture
def reviewed(project):
    """Every state but "candidate" of images that have one, comments, and an own class."""
    project.write_review("a", "anna", ReviewChange(ReviewState.UNSURE, comment=COMMENT))
    empty = np.zeros(MIXED, dtype=bool)
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
    assert import_masks(reviewed, target, "ben").brought == 4
    before = said(reviewed, "anna")
    assert said(reviewed, "ben") == before
    assert {state for state, *_ in before.values()} >= {ReviewState.REJECTED, ReviewState.UNSURE}
    # A person's word goes before what is written there.
    import_masks(reviewed, target, "cy", ImportChoices(ReviewState.CORRECTED))
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
        "annotators": "anna", "name": "a", "ignored_px": "0", "comment": COMMENT,
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
    Image.fromarray(np.zeros(MIXED, np.uint8)).save(out / "a.png")
    (out / "stack_p0001.png").unlink()
    failed = {}
    assert import_masks(reviewed, out, "ben", failed=failed).brought == 1
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
    assert import_masks(project, images, "ben").brought == 1
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
    assert import_masks(project, path, "ben", failed=failed).brought == 2
    assert list(failed) == ["a.jpg"]
    assert "other pixels than" in failed["a.jpg"]
    assert project.record("a", "ben") is None
    # Another program's field of that name says something else.
    for image in document["images"]:
        image["file_name"] = image.pop("semxai_id") + ".jpg"
    path.write_text(json.dumps(document))
    assert import_masks(project, path, "ben").brought == 3


def test_a_replaced_image_is_not_exported(project, tmp_path):
    Image.fromarray(np.zeros(MIXED, np.uint8)).save(project.image("a").path)
    with closing(open_project(project.folder)) as again:
        chosen = chosen_masks(again, "anna")
        with pytest.raises(InputError, match="was replaced since"):
            export(again, chosen, tmp_path / "set", "carinthia-s")
    assert not (tmp_path / "set").exists()


def saved(folder, **masks):
    folder.mkdir(exist_ok=True)
    for name, mask in masks.items():
        Image.fromarray(255 * mask.astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def everything(project, annotator):
    folder = project.folder / "reviews" / annotator
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*/*.*")}


@pytest.mark.parametrize("void", [False, True])
def test_a_review_is_replaced_only_when_that_is_asked_for(project, tmp_path, void):
    import_masks(project, saved(tmp_path / "good", a=blob(3)), "ben")
    if void:
        project.write_review("a", "ben", ReviewChange(mask=blob(5)))
    before = everything(project, "ben")
    other = saved(tmp_path / "other", a=blob(8), stack_p0001=blob(2))
    failed = {}
    assert import_masks(project, other, "ben", failed=failed).brought == 1
    assert list(failed) == ["a"]
    assert "has a review of ben (accepted); --replace puts" in failed["a"]
    after = everything(project, "ben")
    assert {path: after[path] for path in before} == before
    # Somebody else's review is nobody's concern.
    assert import_masks(project, other, "cy").brought == 2


def test_the_same_masks_again_are_no_replacement(project, tmp_path):
    folder = saved(tmp_path / "good", a=blob(3))
    import_masks(project, folder, "ben")
    before = everything(project, "ben")
    assert import_masks(project, folder, "ben").brought == 1
    assert everything(project, "ben") == before


def test_what_an_import_replaced_comes_back(project, tmp_path):
    recipe = MaskRecipe("mask", array_digest(blob(3)), project.image("a").sha256)
    first = ReviewChange(ReviewState.CORRECTED, blob(3), recipe, label="5", comment="mine")
    old = project.write_review("a", "ben", first)
    choices = ImportChoices(replace=True)
    import_masks(project, saved(tmp_path / "other", a=blob(8)), "ben", choices)
    import_masks(project, saved(tmp_path / "third", a=blob(6)), "ben", choices)
    new = project.record("a", "ben")
    assert new.history[0].mask_sha256 == old.mask_sha256
    assert project.replaced_images("Ben") == ["a"]
    kept = sorted((project.folder / "reviews/ben/replaced/a").glob("*.png"))
    np.testing.assert_array_equal(read_white_mask(kept[0]), blob(3))
    record, _ = read_record(kept[0].with_suffix(".json"))
    assert record == old
    # What was there instead is kept in its turn: no state is out of reach.
    for seed in (8, 3, 6, 8, 3, 6, 8):
        project.restore_replaced("a", "ben")
        np.testing.assert_array_equal(project.mask("a", "ben"), blob(seed))
    assert len(list((project.folder / "reviews/ben/replaced/a").iterdir())) == 4
    with pytest.raises(InputError, match="stack_p0001: nothing of ben was replaced"):
        project.restore_replaced("stack_p0001", "ben")


def test_a_restored_review_is_the_old_one(project, tmp_path):
    recipe = MaskRecipe("mask", array_digest(blob(3)), project.image("a").sha256)
    first = ReviewChange(ReviewState.CORRECTED, blob(3), recipe, label="5", comment="mine")
    first = replace(first, confidence=0.75, classifier_sha256="ab", score=0.5)
    old = project.write_review("a", "ben", first)
    folder = saved(tmp_path / "other", a=blob(8))
    import_masks(project, folder, "ben", ImportChoices(replace=True))
    back = project.restore_replaced("a", "ben")
    assert replace(back, time=old.time, history=old.history) == old
    assert len(back.history) == 3
    np.testing.assert_array_equal(project.mask("a", "ben"), blob(3))


def test_an_edit_after_an_import_and_the_review_before_it_both_come_back(project, tmp_path):
    project.write_review("a", "ben", ReviewChange(ReviewState.CORRECTED, blob(3)))
    folder = saved(tmp_path / "other", a=blob(8))
    import_masks(project, folder, "ben", ImportChoices(replace=True))
    edited = project.write_review("a", "ben", ReviewChange(mask=blob(5)))
    assert edited.voided is ReviewState.ACCEPTED
    back = project.restore_replaced("a", "ben")
    assert (back.state, back.voided) == (ReviewState.CORRECTED, None)
    np.testing.assert_array_equal(project.mask("a", "ben"), blob(3))
    again = project.restore_replaced("a", "ben")
    assert (again.state, again.voided) == (ReviewState.CANDIDATE, ReviewState.ACCEPTED)
    np.testing.assert_array_equal(project.mask("a", "ben"), blob(5))


@pytest.mark.parametrize("wanted", [1, 2])
def test_an_import_that_was_interrupted_is_run_again(project, tmp_path, wanted):
    """Each review is replaced once, whatever was in before, and comes back by one undo."""
    names = ("a", "stack_p0001", "stack_p0002")
    for name in names:
        project.write_review(name, "ben", ReviewChange(ReviewState.CORRECTED, blob(3)))
    folder = saved(tmp_path / "other", **{name: blob(8) for name in names})

    def stop(done):
        if done == wanted:
            raise KeyboardInterrupt

    replacing = ImportChoices(replace=True)
    with pytest.raises(KeyboardInterrupt):
        import_masks(project, folder, "ben", replacing, masks=MaskReader(progress=stop))
    assert len(project.replaced_images("ben")) == wanted
    # Without being told to replace, what is in already is no replacement, and the rest is kept.
    failed = {}
    assert import_masks(project, folder, "ben", failed=failed).brought == wanted
    assert len(failed) == 3 - wanted
    assert import_masks(project, folder, "ben", replacing).brought == 3
    assert project.replaced_images("ben") == list(names)
    for name in names:
        project.restore_replaced(name, "ben")
        np.testing.assert_array_equal(project.mask(name, "ben"), blob(3))
        assert project.record(name, "ben").state is ReviewState.CORRECTED


def test_a_source_with_two_masks_of_an_image_says_so(project, tmp_path):
    folder = saved(tmp_path / "twice", a=blob(3), a_mask=blob(8))
    failed = {}
    assert import_masks(project, folder, "ben", failed=failed).brought == 1
    assert "is of the same image" in next(iter(failed.values()))
    assert len(project.record("a", "ben").history) == 1


def test_masks_are_counted_with_their_rules(project, tmp_path):
    folder = saved(tmp_path / "masks", a=blob(3), stack_p0001=blob(3) & False)
    Image.fromarray(2 * blob(4).astype(np.uint8)).save(folder / "stack_p0002.png")
    Image.fromarray(255 * (~blob(4)).astype(np.uint8)).save(folder / "stack_p0003.png")
    failed = {}
    masks = import_masks(project, folder, "ben", failed=failed)
    few, more = (100 * blob(size).mean() for size in (3, 4))
    assert str(masks) == (
        f"3 masks, 1 empty, 0 full; they cover {few:.3g} % to {more:.3g} % of the image; "
        "foreground: not 0 (2), all 0 (1)"
    )
    assert "black may be the defect" in failed["stack_p0003"]
    np.testing.assert_array_equal(project.mask("stack_p0002", "ben"), blob(4))
    zero = ImportChoices(rule=parse_rule("zero"))
    masks = import_masks(project, saved(tmp_path / "inverted", a=~blob(3)), "cy", zero)
    assert masks.values == {
        "masks": 1,
        "empty": 0,
        "full": 0,
        "least_share": blob(3).mean(),
        "greatest_share": blob(3).mean(),
        "foreground": {"zero": 1},
        "left_out": [],
    }
    np.testing.assert_array_equal(project.mask("a", "cy"), blob(3))


def test_a_folder_without_a_mask_says_what_is_read(project, tmp_path):
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "a.npy", blob(3))
    with pytest.raises(InputError, match=r"other: holds no mask of a kind that is read \(PNG, "):
        import_masks(project, tmp_path / "other", "ben")


def test_an_exported_mask_may_fill_most_of_the_image(project, tmp_path):
    project.write_review("a", "anna", ReviewChange(ReviewState.ACCEPTED, ~blob(2)))
    for form in ("png", "carinthia-s"):
        export(project, chosen_masks(project, "anna"), tmp_path / form, form)
        import_masks(project, tmp_path / form, f"of {form}")
        np.testing.assert_array_equal(project.mask("a", f"of {form}"), ~blob(2))


BOX = [2, 2, 9, 2, 9, 9, 2, 9]
CATEGORIES = [{"id": 1, "name": "particle"}, {"id": 3, "name": "scratch"}]


@pytest.fixture
def folders(tmp_path):
    """A project of files of one name in two folders, and of names of other scripts."""
    for name in ("lot_a/img1", "lot_b/img1", "solo", "empty", "晶圆甲", "晶圆乙", "Größe"):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(90, 130, MIXED, np.uint8)).save(path)
    with closing(create_project(tmp_path / "folders", tmp_path / "images")) as made:
        yield made


def coco(path, names, annotations, **more):
    size = {"height": MIXED[0], "width": MIXED[1]}
    images = [{"id": n, "file_name": name} | size for n, name in enumerate(names, start=1)]
    document = {"images": images, "annotations": annotations, "categories": CATEGORIES} | more
    path.write_text(json.dumps(document))
    return path


def annotation(image, category=1, **more):
    return {"id": 1, "image_id": image, "category_id": category, "segmentation": [BOX]} | more


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lot_b/img1.png", "lot_b/img1"),
        ("C:\\fab\\lot_a\\img1.png", "lot_a/img1"),
        ("lot\\sub\\solo.png", "solo"),
        ("/data/solo.tif", "solo"),
        ("Gro\u0308ße.png", "Größe"),
        ("晶圆乙", "晶圆乙"),
    ],
)
def test_coco_files_are_found_by_folder_else_by_name(folders, tmp_path, name, found):
    path = coco(tmp_path / "c.json", [name], [annotation(1)])
    assert import_masks(folders, path, "anna").brought == 1
    (chosen,) = chosen_masks(folders)
    assert chosen.image.name == found


def test_one_bad_annotation_costs_that_annotation(folders, tmp_path):
    bad = {"id": 8, "image_id": 2, "category_id": 1, "segmentation": [], "bbox": [1, 1, 2, 2]}
    path = coco(
        tmp_path / "c.json",
        ["solo.png", "empty.png", "img1.png", "gone.png", "sub/solo.png"],
        [annotation(1), bad, annotation(3), annotation(4), annotation(5), annotation(99)],
    )
    failed = {}
    assert import_masks(folders, path, "anna", failed=failed).brought == 1
    assert failed == {
        "c.json 1": f"{path}: annotation 1: there is no image 99",
        "empty.png": "empty.png: annotation 8: has a box but no mask",
        "img1.png": "img1.png: 2 files fit this name; give their folders, too",
        "gone.png": f"gone.png: the project {folders.folder} has no image of this name",
        "sub/solo.png": "sub/solo.png: solo.png is of the same image",
    }
    with pytest.raises(InputError, match="annotation 8: has a box"):
        import_masks(folders, path, "ben")


def results(path, *entries):
    shown = {"category_id": 3, "segmentation": [BOX]}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([shown | entry for entry in entries]))
    return path


def test_results_of_a_detector_name_their_images_themselves(folders, tmp_path):
    path = results(
        tmp_path / "results.json",
        {"image_id": "solo"},
        {"image_id": "solo", "score": 0.49, "segmentation": [[0, 0, 9, 0, 9, 9]]},
        {"image_id": 7, "file_name": "lot_b/img1.png", "score": 0.5},
        {"image_id": "empty", "score": 0.2},
        {"image_id": 2},
        {"image_id": "gone"},
        {"image_id": None},
    )
    failed = {}
    masks = import_masks(folders, path, "net", failed=failed)
    assert "foreground: COCO results of score 0.5 and more (2); 1 image without" in str(masks)
    assert {one.image.name for one in chosen_masks(folders)} == {"solo", "lot_b/img1"}
    solo = folders.record("solo", "net")
    assert (solo.label, solo.area) == ("3", 49)
    assert [one.partition(";")[0].removeprefix(f"{path}: ") for one in failed.values()] == [
        "entry 5: image 2 is not known",
        "entry 7: image without id is not known",
        f"gone: the project {folders.folder} has no image of this name",
    ]
    with pytest.raises(InputError, match="no data set lies beside the list"):
        import_masks(folders, results(tmp_path / "r" / "r.json", {"image_id": 1}), "net")


def test_results_of_a_detector_take_images_of_the_data_set_beside_them(folders, tmp_path):
    path = results(tmp_path / "r" / "results.json", {"image_id": 2.0}, {"image_id": 9})
    listed = coco(path.with_name("val.json"), ["empty.png", "solo.png"], [])
    document = json.loads(listed.read_text())
    # What was said of the images there is no answer of the detector.
    document["images"][1] |= {"state": "unsure", "comment": "odd", "label": "5"}
    listed.write_text(json.dumps(document))
    failed = {}
    assert import_masks(folders, path, "net", failed=failed).brought == 1
    record = folders.record("solo", "net")
    assert (record.state, record.label) == (ReviewState.ACCEPTED, "3")
    assert record.comment != "odd"
    assert list(failed.values()) == [
        f"{path}: entry 2: image 9 is not known; val.json has no such image"
    ]
    # Each of several data sets counts its images from 1.
    coco(path.with_name("train.json"), ["solo.png", "empty.png"], [])
    with pytest.raises(InputError, match="2 data sets lie beside the list"):
        import_masks(folders, path, "other")


def test_images_without_annotation_are_left_out_unless_told(folders, tmp_path):
    path = coco(tmp_path / "c.json", ["solo.png", "empty.png"], [annotation(1)])
    masks = import_masks(folders, path, "anna")
    assert str(masks).endswith("; 1 image without annotation left out")
    assert folders.record("empty", "anna") is None
    import_masks(folders, path, "ben", ImportChoices(unannotated=True))
    assert folders.record("empty", "ben").state is ReviewState.NO_DEFECT
    alone = coco(tmp_path / "e.json", ["empty.png"], [])
    with pytest.raises(InputError, match=r"holds no mask; .*1 image without"):
        import_masks(folders, alone, "anna")


def test_an_annotation_without_pixels_is_no_statement_of_no_defect(folders, tmp_path):
    far = annotation(1, segmentation=[[90, 90, 95, 90, 95, 95]])
    failed = {}
    masks = import_masks(
        folders, coco(tmp_path / "a.json", ["solo", "empty"], [far, annotation(2)]), "A",
        failed=failed,
    )  # fmt: skip
    assert (masks.brought, folders.record("solo", "A")) == (1, None)
    assert failed == {"solo": "solo: annotation 1: covers no pixel of the image"}


def test_numbers_for_words_in_a_coco_file_are_their_text(folders, tmp_path):
    size = {"height": MIXED[0], "width": MIXED[1]}
    images = [{"id": 1, "file_name": "solo", "label": 3, "comment": 2.5} | size]
    path = coco(tmp_path / "a.json", [], [annotation(1)], images=images)
    import_masks(folders, path, "A")
    record = folders.record("solo", "A")
    assert (record.label, record.comment) == ("3", "2.5")


def test_an_annotation_without_category_has_no_class(folders, tmp_path):
    marks = [annotation(1, None), annotation(1, None, segmentation=[[0, 0, 3, 0, 3, 3]])]
    import_masks(folders, coco(tmp_path / "c.json", ["solo"], marks), "anna")
    record = folders.record("solo", "anna")
    assert (record.label or "", {part.label for part in record.parts}) == ("", {""})


def test_categories_come_in_and_keep_their_ids(folders, tmp_path):
    several = [annotation(2), annotation(2, 3, segmentation=[[12, 12, 28, 12, 28, 20]])]
    path = coco(tmp_path / "c.json", ["solo.png", "empty.png"], [annotation(1, 3), *several])
    import_masks(folders, path, "anna")
    assert folders.record("solo", "anna").label == "3"
    assert folders.record("empty", "anna").label == "3"
    assert folders.record("empty", "anna").comment == "classes: 3, 1"
    assert dict(open_project(folders.folder).info.class_names) == {"1": "particle", "3": "scratch"}
    export(folders, chosen_masks(folders), tmp_path / "out.json", "coco-rle")
    out = json.loads((tmp_path / "out.json").read_text())
    assert out["categories"] == [
        {"id": 1, "name": "particle", "label": "1"},
        {"id": 3, "name": "scratch", "label": "3"},
    ]
    # Another file's number of the same meaning, and of another one.
    other = [{"id": 7, "name": "scratch"}, {"id": 1, "name": "void"}]
    path = coco(
        tmp_path / "d.json", ["solo.png", "empty.png"], [annotation(1, 7), annotation(2)],
        categories=other,
    )  # fmt: skip
    import_masks(folders, path, "ben")
    assert folders.record("solo", "ben").label == "3"
    assert folders.record("empty", "ben").label == "void"


def objects(path):
    """What a COCO file says of objects: class, crowd and pixels."""
    document = json.loads(path.read_text())
    return [
        (one["category_id"], one["iscrowd"], coco_mask.decode(one["segmentation"]).astype(bool))
        for one in document["annotations"]
    ]


def region(row0, row1, column0, column1):
    mask = np.zeros(MIXED, bool)
    mask[row0:row1, column0:column1] = True
    return mask


def test_objects_of_an_image_are_kept_apart(folders, tmp_path):
    first, second, crowd = region(2, 6, 2, 6), region(4, 9, 4, 9), region(12, 15, 0, 8)
    wanted_objects = [(3, 0, first), (1, 0, second), (1, 1, crowd)]
    size = {"height": MIXED[0], "width": MIXED[1]}
    # The same picture twice in one file, as programs that add to a set write it.
    images = [{"id": n, "file_name": "solo.png"} | size for n in (1, 2)]
    document = {"images": images, "categories": CATEGORIES, "annotations": [
        {"id": n, "image_id": 1 + n // 2, "category_id": category, "iscrowd": many,
         "segmentation": coco_annotation(mask, "rle")["segmentation"]}
        for n, (category, many, mask) in enumerate(wanted_objects)
    ]}  # fmt: skip
    path, out = tmp_path / "c.json", tmp_path / "out.json"
    path.write_text(json.dumps(document))
    import_masks(folders, path, "anna")
    record = open_project(folders.folder).record("solo", "anna")
    told = [(one.label, one.crowd, one.value) for one in record.parts]
    assert told == [("3", False, "0"), ("1", False, "1"), ("1", True, "2")]
    assert np.array_equal(folders.mask("solo", "anna"), first | second | crowd)
    # Again, and there and back: nothing changes.
    import_masks(folders, path, "anna")
    export(folders, chosen_masks(folders), out, "coco-rle")
    import_masks(folders, out, "ben")
    export(folders, chosen_masks(folders, "ben"), tmp_path / "ben.json", "coco-rle")
    for written in (out, tmp_path / "ben.json"):
        for (category, many, mask), wanted in zip(objects(written), wanted_objects, strict=True):
            assert (category, many) == wanted[:2]
            assert np.array_equal(mask, wanted[2])
    # An edit cuts them; what it adds is an object of the mask's own class.
    new = region(0, 2, 20, 30)
    edited = (first | second | new) & ~region(0, 5, 0, 40) | new
    folders.write_review("solo", "anna", ReviewChange(ReviewState.CORRECTED, edited))
    export(folders, chosen_masks(folders, "anna"), out, "coco-rle")
    wanted = [(3, first & edited), (1, second & edited), (1, new)]
    assert [(one[0], one[2].sum()) for one in objects(out)] == [
        (category, mask.sum()) for category, mask in wanted
    ]
    folders.write_review("solo", "anna", ReviewChange(ReviewState.NO_DEFECT))
    assert folders.record("solo", "anna").parts == ()


@pytest.mark.parametrize("colored", [False, True])
def test_numbers_and_colours_of_a_mask_file_are_kept_apart(folders, tmp_path, colored):
    values = np.zeros(MIXED, np.uint8)
    values[2:8, 2:9], values[10:16, 12:20], values[2:4, 20:24] = 3, 7, 3
    shown = values
    if colored:
        shown = np.zeros((*MIXED, 3), np.uint8)
        shown[values == 3], shown[values == 7] = (255, 0, 0), (0, 255, 0)
    (tmp_path / "masks").mkdir()
    Image.fromarray(shown).save(tmp_path / "masks" / "solo.png")
    import_masks(folders, tmp_path / "masks", "anna")
    parts = folders.record("solo", "anna").parts
    masks = [part_mask(part, MIXED) for part in parts]
    areas = sorted(int(mask.sum()) for mask in masks)
    assert areas == sorted([int((values == 3).sum()), int((values == 7).sum())])
    if not colored:
        assert [part.value for part in parts] == ["3", "7"]
    export(folders, chosen_masks(folders), tmp_path / "out.json", "coco-rle")
    assert len(objects(tmp_path / "out.json")) == 2


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))
)
@settings(deadline=None)
def test_parts_of_numbers_are_their_pixels(numbers):
    parts = numbered_parts(numbers)
    assert [part.value for part in parts] == [str(n) for n in np.unique(numbers) if n]
    for part in parts:
        assert np.array_equal(part_mask(part, numbers.shape), numbers == int(part.value))
    assert not part_mask(parts[0], (3, 40)).any() if parts else True


def test_real_names_in_exports(folders, tmp_path):
    for image in folders.images:
        folders.write_review(image.id, "anna", ReviewChange(ReviewState.ACCEPTED, blob(1)))
    names = ["empty", "Größe", "lot_a/img1", "lot_b/img1", "solo", "晶圆乙", "晶圆甲"]
    assert sorted(image.name for image in folders.images) == sorted(names)
    assert all(image.id.isascii() for image in folders.images)
    export(folders, chosen_masks(folders), tmp_path / "out", "png")
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == {
        name.replace("/", "__") for name in names
    }
    with (tmp_path / "out" / "masks.csv").open(encoding="utf-8", newline="") as file:
        assert sorted(row["name"] for row in csv.DictReader(file)) == sorted(names)
    export(folders, chosen_masks(folders), tmp_path / "c.json", "coco-rle")
    images = json.loads((tmp_path / "c.json").read_text())["images"]
    assert sorted(image["file_name"] for image in images) == sorted(f"{n}.png" for n in names)
    for name, source in (("ben", "out"), ("cy", "c.json")):
        assert import_masks(folders, tmp_path / source, name).brought == len(names)
        assert said(folders, name) == said(folders, "anna")


def test_masks_in_folders_of_the_images_names(folders, tmp_path):
    for name, seed in (("lot_a/img1", 1), ("lot_b/img1", 2), ("Gro\u0308ße", 3)):
        path = tmp_path / "masks" / f"{name}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 * blob(seed).astype(np.uint8)).save(path)
    assert import_masks(folders, tmp_path / "masks", "anna").brought == 3
    for image in chosen_masks(folders):
        seed = {"lot_a/img1": 1, "lot_b/img1": 2, "Größe": 3}[image.image.name]
        np.testing.assert_array_equal(image.mask, blob(seed))


def test_a_project_of_older_programs_shows_real_names(folders):
    table = folders.folder / "images.csv"
    lines = [line.rsplit(",", 1)[0] for line in table.read_text("utf-8").splitlines()]
    table.write_text("\n".join(lines), "utf-8")
    again = open_project(folders.folder)
    names = {image.id: image.name for image in again.images}
    assert names["lot_a__img1"] == "lot_a__img1"
    assert {"晶圆甲", "晶圆乙", "Größe", "solo"} <= set(names.values())
