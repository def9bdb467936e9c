from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from napari_semxai.algorithms.masks.edits import mask_patch
from napari_semxai.store.disk.safety_net import list_recoveries
from napari_semxai.store.project.index.open_project import write_kept
from napari_semxai.store.project.project import open_project
from napari_semxai.store.project.rescue import kept_changes, load_change, save_change
from napari_semxai.types import (
    InputError,
    MaskPart,
    MaskRecipe,
    ProjectImage,
    ReviewChange,
    ReviewRecord,
    ReviewState,
)
from tests.store.project.projects import square

IMAGE = ProjectImage("a", "a.tif", 0, (24, 32), "")


def test_a_change_comes_back_as_it_was(tmp_path):
    edit = mask_patch(np.zeros_like(square()), square(), "stroke", {"brush": 5})
    recipe = MaskRecipe("empty", "x", "y", {"alpha": 1}, (edit,), {"numpy": "2"})
    change = ReviewChange(
        ReviewState.ACCEPTED, square(), recipe, "3", "wörds", 0.5, 0.25, "ab", True
    )
    change = replace(change, parts=(MaskPart("04", "7", crowd=True, value="2"),))
    save_change(tmp_path, "p", IMAGE, "Anna", change)
    save_change(tmp_path, "p", IMAGE, "anna ", ReviewChange(comment="later"))
    save_change(tmp_path, "p", IMAGE, "Ben", ReviewChange(ReviewState.UNSURE))
    save_change(tmp_path, "q", IMAGE, "Anna", ReviewChange(ReviewState.UNSURE))
    copies = list_recoveries(tmp_path)
    assert all(copy.is_change for copy in copies)
    assert {copy.key for copy in copies} == {"p a anna", "p a ben", "q a anna"}
    first, second = map(load_change, kept_changes(tmp_path, "p", "ANNA")["a"])
    np.testing.assert_array_equal(first.mask, square())
    names = ("state", "recipe", "label", "comment", "confidence", "score")
    names += ("classifier_sha256", "classifier_synthetic", "parts")
    assert [getattr(first, name) for name in names] == [getattr(change, name) for name in names]
    assert (second.mask, second.state, second.comment) == (None, None, "later")
    assert (first.back, second.back, second.parts) == (None, None, None)


def test_an_undone_review_comes_back_as_it_was(tmp_path):
    before = ReviewRecord(
        "a", "Anna", ReviewState.UNSURE, label="3", recipe=MaskRecipe("empty", "", "")
    )
    save_change(tmp_path, "p", IMAGE, "Anna", ReviewChange(back=before))
    (copy,) = kept_changes(tmp_path, "p", "Anna")["a"]
    change = load_change(copy)
    assert (change.back, change.mask) == (before, None)


@pytest.mark.parametrize("newer", [False, True])
def test_kept_changes_are_written_unless_the_record_is_newer(project, tmp_path, newer):
    folder = tmp_path / "kept"
    away = project.folder.with_name("away")
    with closing(open_project(project.folder, rescue_folder=folder)) as first:
        project.folder.rename(away)
        change = ReviewChange(ReviewState.CORRECTED, square(), comment="x")
        for _ in range(2):
            with pytest.raises(InputError, match=r"the mask is kept in .*kept"):
                first.write_review("a", "Anna", change)
        with pytest.raises(InputError, match="the review is kept in"):
            first.write_review("a", "Anna", ReviewChange(label="7"))
    assert len(list_recoveries(folder)) == 2
    away.rename(project.folder)
    with closing(open_project(project.folder, rescue_folder=folder)) as again:
        if newer:
            again.write_review("a", "Anna", ReviewChange(ReviewState.UNSURE))
        written, failed = write_kept(again, "Anna")
        record = again.record("a", "Anna")
    assert failed == {}
    if newer:
        assert (written, record.state, record.label) == ([], ReviewState.UNSURE, "")
        assert len(list_recoveries(folder)) == 2
    else:
        assert written == [record]
        assert (record.state, record.label, record.comment) == (ReviewState.CORRECTED, "7", "x")
        assert list_recoveries(folder) == []


def test_a_change_that_is_written_at_last_leaves_no_file(project, tmp_path):
    folder = tmp_path / "kept"
    with closing(open_project(project.folder, rescue_folder=folder)) as first:
        (project.folder / "reviews").mkdir()
        (project.folder / "reviews" / "anna").write_text("in the way")
        change = ReviewChange(ReviewState.CORRECTED, square())
        with pytest.raises(InputError, match="kept in"):
            first.write_review("a", "Anna", change)
        written, failed = write_kept(first, "Anna")
        assert (written, list(failed)) == ([], ["a"])
        (project.folder / "reviews" / "anna").unlink()
        first.write_review("a", "Anna", change)
    assert list_recoveries(folder) == []
