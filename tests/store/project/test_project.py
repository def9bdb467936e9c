import json
import subprocess
import sys
import unicodedata
from urllib.parse import quote

import numpy as np
import pytest
import tifffile

from napari_semxai.algorithms.masks.edits import mask_patch
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.disk.safety_net import list_recoveries, load_recovery
from napari_semxai.store.images.masks import read_mask, write_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project import records
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError, MaskRecipe, ReviewChange, ReviewState
from tests.store.project.projects import SHAPE, square


def test_reopened_project_is_the_same(project):
    again = open_project(project.folder)
    assert again.info == project.info
    assert again.images == project.images
    assert [image.id for image in again.images] == ["a", "b", "c"]
    assert again.images[0].sha256 == array_digest(read_image(again.images[0].path).pixels)


def test_project_and_images_move_together(project, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    for part in ("images", "project"):
        (tmp_path / part).rename(other / part)
    moved = open_project(other / "project")
    assert moved.read_image("b").gray.shape == SHAPE


def test_review_is_written_and_read(project):
    mask = square()
    empty = np.zeros_like(mask)
    edit = mask_patch(empty, mask, "stroke", {"brush": 5})
    image = project.image("a")
    recipe = MaskRecipe("empty", array_digest(empty), image.sha256, edits=(edit,))
    change = ReviewChange(
        ReviewState.CORRECTED, mask, recipe, label="3", comment="scratch, ä", confidence=0.75
    )
    written = project.write_review("a", "Anna", change)
    again = open_project(project.folder)
    assert again.record("a", "anna") == written
    assert written.state is ReviewState.CORRECTED
    assert (written.area, written.label, written.comment) == (25, "3", "scratch, ä")
    assert written.recipe == recipe
    np.testing.assert_array_equal(again.mask("a", "Anna"), mask)
    assert again.record("b", "Anna") is None
    assert again.mask("b", "Anna") is None


def test_a_mask_may_go_while_its_record_is_read(project, monkeypatch):
    project.write_review("a", "Anna", ReviewChange(ReviewState.CORRECTED, square()))
    (path,) = project.folder.rglob("masks/a.png")
    write_mask(path, square() * 0)
    whole = records.read_white_mask

    def gone(mask, shape):
        # As an undo in another window removes it, after it was found.
        mask.unlink()
        return whole(mask, shape)

    monkeypatch.setattr(records, "read_white_mask", gone)
    assert project.record("a", "Anna").state is ReviewState.CORRECTED
    path.write_bytes(b"no picture")
    monkeypatch.setattr(records, "read_white_mask", whole)
    with pytest.raises(InputError, match=r"a\.png"):
        project.record("a", "Anna")


def test_a_record_says_whose_confidence_it_is(project):
    known = ReviewChange(confidence=0.75, classifier_sha256="ab", classifier_synthetic=True)
    project.write_review("a", "Anna", known)
    project.write_review("a", "Anna", ReviewChange(comment="later"))
    record = open_project(project.folder).record("a", "Anna")
    assert (record.confidence, record.classifier_sha256) == (0.75, "ab")
    assert record.classifier_synthetic is True
    # Another confidence does not stay under that name.
    other = project.write_review("a", "Anna", ReviewChange(confidence=0.5))
    assert (other.classifier_sha256, other.classifier_synthetic) == ("", None)
    # Records of earlier versions do not say it.
    path = next(project.folder.rglob("records/a.json"))
    values = json.loads(path.read_text("utf-8"))
    del values["classifier_sha256"], values["classifier_synthetic"]
    path.write_text(json.dumps(values), "utf-8")
    assert open_project(project.folder).record("a", "Anna") == other


def test_no_defect_writes_an_empty_mask(project):
    project.write_review("a", "Anna", ReviewChange(mask=square()))
    recipe = MaskRecipe("automatic", array_digest(square()), project.image("a").sha256)
    change = ReviewChange(ReviewState.NO_DEFECT, square(), recipe)
    record = project.write_review("a", "Anna", change)
    assert record.area == 0
    # That recipe makes another mask.
    assert record.recipe.base == "empty"
    assert not project.mask("a", "Anna").any()


def test_later_edit_voids_the_review(project):
    project.write_review("a", "Anna", ReviewChange(ReviewState.ACCEPTED, square()))
    same = project.write_review("a", "Anna", ReviewChange(mask=square()))
    assert (same.state, same.voided) == (ReviewState.ACCEPTED, None)
    edited = project.write_review("a", "Anna", ReviewChange(mask=square(side=6)))
    assert (edited.state, edited.voided) == (ReviewState.CANDIDATE, ReviewState.ACCEPTED)
    noted = project.write_review("a", "Anna", ReviewChange(comment="look again"))
    assert noted.voided is ReviewState.ACCEPTED
    reviewed = project.write_review("a", "Anna", ReviewChange(ReviewState.CORRECTED))
    assert (reviewed.state, reviewed.voided) == (ReviewState.CORRECTED, None)
    assert [event.kind for event in reviewed.history] == [
        "review", "note", "edit", "note", "review",
    ]  # fmt: skip


@pytest.mark.parametrize("had_mask", [True, False])
def test_a_review_that_is_undone_leaves_the_record_as_it_was(project, had_mask):
    before = ReviewChange(comment="edge")
    if had_mask:
        before = ReviewChange(ReviewState.CORRECTED, square(), label="3", score=0.5)
    old = project.write_review("a", "Anna", before)
    project.write_review("a", "Anna", ReviewChange(ReviewState.NO_DEFECT, comment="none"))
    mask = square() if had_mask else None
    undone = project.write_review("a", "Anna", ReviewChange(mask=mask, back=old))
    names = ("state", "voided", "label", "comment", "mask_sha256", "area", "score", "recipe")
    assert [getattr(undone, name) for name in names] == [getattr(old, name) for name in names]
    assert [event.kind for event in undone.history][1:] == ["review", "undo"]
    again = open_project(project.folder)
    assert again.record("a", "Anna") == undone
    found = again.mask("a", "Anna")
    assert (found is not None) is had_mask
    if had_mask:
        np.testing.assert_array_equal(found, square())


def test_mask_changed_by_another_program_voids_the_review(project):
    project.write_review("a", "Anna", ReviewChange(ReviewState.ACCEPTED, square()))
    path = next(project.folder.rglob("masks/a.png"))
    write_mask(path, square(side=7))
    record = project.record("a", "Anna")
    assert (record.state, record.voided) == (ReviewState.CANDIDATE, ReviewState.ACCEPTED)
    assert (record.area, record.recipe) == (49, None)
    path.unlink()
    assert project.record("a", "Anna").mask_sha256 == ""
    restored = project.write_review("a", "Anna", ReviewChange(ReviewState.REJECTED))
    assert project.record("a", "Anna") == restored


def test_mask_whose_record_was_not_written_is_kept(project):
    project.write_review("a", "Anna", ReviewChange(mask=square()))
    next(project.folder.rglob("records/a.json")).unlink()
    record = project.record("a", "Anna")
    assert (record.state, record.area, record.history) == (ReviewState.CANDIDATE, 25, ())


def test_truth_needs_a_mask(project):
    with pytest.raises(InputError, match="no mask yet"):
        project.write_review("a", "Anna", ReviewChange(ReviewState.ACCEPTED))
    record = project.write_review("a", "Anna", ReviewChange(ReviewState.UNSURE))
    assert record.state is ReviewState.UNSURE


def test_annotators_have_their_own_files(project):
    for annotator, side in (("Anna", 3), ("a/b", 4), ("a_b", 5), ("con", 6)):
        project.write_review("a", annotator, ReviewChange(mask=square(side=side)))
    assert project.annotators() == ["a/b", "a_b", "anna", "con"]
    areas = [project.record("a", name).area for name in ("ANNA", "a/b", "a_b", "con")]
    assert areas == [9, 16, 25, 36]
    with pytest.raises(InputError, match="1 to 60"):
        project.record("a", " ")


def test_composed_and_decomposed_names_are_one_annotator(project):
    composed, decomposed = (unicodedata.normalize(form, "Jürgen") for form in ("NFC", "NFD"))
    project.write_review("a", composed, ReviewChange(ReviewState.ACCEPTED, square()))
    record = project.write_review("a", decomposed.upper(), ReviewChange(comment="again"))
    assert (record.state, len(record.history)) == (ReviewState.ACCEPTED, 2)
    assert project.annotators() == [composed.casefold()]
    # Earlier versions wrote a folder for each spelling.
    reviews = project.folder / "reviews"
    (folder,) = (path for path in reviews.iterdir() if path.is_dir())
    folder = folder.rename(reviews / quote(decomposed.casefold()))
    assert project.annotators() == [composed.casefold()]
    assert project.write_review("a", composed, ReviewChange(comment="more")).state is record.state
    assert [path for path in reviews.iterdir() if path.is_dir()] == [folder]
    (reviews / quote(composed.casefold())).mkdir()
    with pytest.raises(InputError, match="are both of 'jürgen'; move one of them away"):
        project.record("a", composed)


def test_one_program_writes_as_an_annotator(project):
    project.write_review("a", "Anna", ReviewChange(mask=square()))
    code = (
        "import sys\n"
        "from napari_semxai.store.project.project import open_project\n"
        "from napari_semxai.types import ReviewChange, ReviewState\n"
        "project = open_project(sys.argv[1])\n"
        "project.write_review('a', sys.argv[2], ReviewChange(ReviewState.REJECTED))\n"
    )
    command = [sys.executable, "-c", code, str(project.folder)]
    refused = subprocess.run([*command, "anna"], check=False, capture_output=True, text=True)
    assert "another program is writing reviews as 'anna'" in refused.stderr
    subprocess.run([*command, "ben"], check=True)
    assert project.record("a", "ben").state is ReviewState.REJECTED
    project.close()
    subprocess.run([*command, "anna"], check=True)
    assert project.record("a", "anna").state is ReviewState.REJECTED


def test_failed_write_keeps_the_mask_elsewhere(project, tmp_path):
    rescue = tmp_path / "rescue"
    blocked = open_project(project.folder, rescue_folder=rescue)
    (project.folder / "reviews").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written.*the mask is kept in"):
        blocked.write_review("a", "Anna", ReviewChange(ReviewState.ACCEPTED, square()))
    (copy,) = list_recoveries(rescue)
    np.testing.assert_array_equal(load_recovery(copy.path)[0], square())


def test_replaced_image_is_refused(project):
    path = project.image("a").path
    tifffile.imwrite(path, np.zeros(SHAPE, dtype=np.uint8))
    with pytest.raises(InputError, match="was replaced"):
        project.read_image("a")
    assert project.read_image("a", check=False).gray.max() == 0
    assert project.read_image("b").gray.max() > 0


def test_a_pixel_size_by_hand_stays(project):
    other = open_project(project.folder)
    project.set_pixel_size("b", 3e-9)
    # Another window that was opened before knows of one image only by and by.
    other.set_pixel_size(None, np.float64(2e-9))
    assert [image.pixel_size for image in other.images] == [2e-9, 3e-9, 2e-9]
    again = open_project(project.folder)
    assert again.images == other.images
    assert project.image("b").pixel_size == project.read_image("b").pixel_size == 3e-9
    assert again.read_image("c").pixel_size == 2e-9
    again.set_pixel_size("b", 4e-9)
    assert open_project(project.folder).image("b").pixel_size == 4e-9


def test_pixel_sizes_that_cannot_be_stored(project):
    before = (project.folder / "images.csv").read_bytes()
    for metres in (0.0, -1e-9, float("nan"), float("inf")):
        with pytest.raises(InputError, match="a number above 0"):
            project.set_pixel_size("a", metres)
    with pytest.raises(InputError, match="no image 'z'"):
        project.set_pixel_size("z", 1e-9)
    assert (project.folder / "images.csv").read_bytes() == before
    project.folder.rename(project.folder.with_name("away"))
    with pytest.raises(InputError, match="is its drive there"):
        project.set_pixel_size("a", 1e-9)
    assert not project.folder.exists()
    assert project.image("a").pixel_size is None


def test_mask_of_another_size_is_refused(project):
    with pytest.raises(InputError, match="mask of shape"):
        project.write_review("a", "Anna", ReviewChange(mask=np.zeros((3, 3), dtype=bool)))
    assert not (project.folder.parent / "state").exists()
    with pytest.raises(InputError, match="no image 'z'"):
        project.mask("z", "Anna")


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', '{"format": 3'])
def test_damaged_project_file_is_one_clear_line(project, text):
    (project.folder / "project.json").write_text(text)
    with pytest.raises(InputError, match=r"project\.json: is"):
        open_project(project.folder)


def test_files_of_a_newer_program_are_left_alone(project):
    path = project.folder / "project.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(InputError, match="newer program"):
        open_project(project.folder)


def test_damaged_table_is_one_clear_line(project):
    path = project.folder / "images.csv"
    path.write_text(path.read_text().replace("24,32", "24,x", 1))
    with pytest.raises(InputError, match=r"images\.csv line 2: is damaged"):
        open_project(project.folder)


def test_no_project(tmp_path):
    with pytest.raises(InputError, match="so it is no project"):
        open_project(tmp_path)


def test_saved_mask_is_a_plain_picture(project):
    project.write_review("a", "Anna", ReviewChange(mask=square()))
    path = project.folder / "reviews" / "anna" / "masks" / "a.png"
    np.testing.assert_array_equal(read_mask(path), square())
