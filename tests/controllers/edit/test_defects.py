"""The list of a mask's defects while it is painted, and edits of single ones."""

from __future__ import annotations

import numpy as np
import pytest

from napari_semxai.algorithms.masks.metrics import LiveMask
from napari_semxai.controllers.edit.defects import DEFECT_EDITS, DefectsController
from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.store.images.mask_parts import mask_part
from napari_semxai.types import ReviewRecord
from tests.explanations import NowJobs
from tests.open_images import open_image

DELETE, KEEP, JOIN, SPLIT = DEFECT_EDITS


@pytest.fixture
def jobs(session):
    return NowJobs(session.say)


@pytest.fixture
def edit(session, jobs, tmp_path):
    edit = EditController(session, jobs, tmp_path)
    yield edit
    edit.close()


@pytest.fixture
def mask(session, image, edit):
    open_image(session, image)
    values = np.zeros((96, 128), bool)
    values[10:20, 10:20] = values[50:54, 60:100] = values[80, 5] = True
    mask = LiveMask(values)
    edit.start_mask(mask)
    return mask


@pytest.fixture
def defects(session, edit, jobs, mask):
    controller = DefectsController(session, edit, jobs)
    yield controller
    controller.release()


def test_nothing_is_listed_while_nobody_looks(session, defects, edit):
    assert session.defects is None
    edit.mask_changed()
    assert session.defects is None
    defects.watch(True)
    assert [one.area for one in session.defects] == [100, 160, 1]
    defects.watch(False)
    assert session.defects is None


def test_the_list_follows_strokes(session, defects, edit, mask):
    defects.watch(True)
    mask.update((slice(50, 54), slice(70, 72)), np.zeros((4, 2)))
    edit.mask_changed()
    assert [one.area for one in session.defects] == [100, 40, 112, 1]


def test_classes_are_the_reviews_and_those_that_came_in(session, defects, edit, mask):
    scratch = np.zeros((96, 128), bool)
    scratch[49:53, 60:100] = True
    record = ReviewRecord("x", "Anna", label="pit", parts=(mask_part(scratch, "scratch"),))
    defects.watch(True)
    assert {one.label for one in session.defects} == {""}
    session.update_image(record=record)
    assert [one.label for one in session.defects] == ["pit", "scratch", "pit"]
    # Where two are joined the class that has pixels of its own counts.
    mask.update((slice(15, 50), slice(19, 61)), np.ones((35, 42)))
    edit.mask_changed()
    assert [one.label for one in session.defects] == ["scratch", "pit"]


def test_another_image_has_other_defects(session, image, defects, edit):
    defects.watch(True)
    open_image(session, None)
    edit.leave()
    defects.watch(True)
    assert session.defects == ()


@pytest.mark.parametrize(
    ("edit_wanted", "chosen", "areas", "title"),
    [
        (DELETE, [1], [160, 1], "delete defect 1"),
        (KEEP, [1, 3], [100, 1], "keep only defects 1, 3"),
        (SPLIT, [2], None, None),
        (JOIN, [1, 3], None, "join defects 1, 3"),
    ],
)
def test_chosen_defects_are_edited_as_one_step(
    session, defects, edit_wanted, chosen, areas, title
):
    defects.watch(True)
    wanted = [one for one in session.defects if one.number in chosen]
    defects.edit(edit_wanted, wanted)
    proposal = session.proposal
    if title is None:
        assert proposal is None
        assert session.message == "split defect 2: nothing to change"
        return
    assert proposal.title == title
    if areas is not None:
        left = LiveMask(proposal.mask)
        assert left.size.area == sum(areas)


def test_one_defect_cannot_be_joined(session, defects):
    defects.watch(True)
    defects.edit(JOIN, session.defects[:1])
    assert session.proposal is None


def test_what_was_painted_meanwhile_is_not_lost(session, defects, edit, mask, jobs, monkeypatch):
    defects.watch(True)
    chosen = session.defects[:1]
    run = jobs.run

    def painted_first(destination, function, on_done=None, on_failed=None):
        result = function()
        mask.update((slice(0, 2), slice(0, 2)), np.ones((2, 2)))
        run(destination, lambda: result, on_done, on_failed)

    monkeypatch.setattr(jobs, "run", painted_first)
    defects.edit(DELETE, chosen)
    assert session.proposal is None
    assert "changed meanwhile" in session.message


def test_the_next_defect_is_the_largest_and_after_the_last_comes_the_image(defects):
    shown = []
    for _ in range(5):
        defects.find_next(lambda one: shown.append(one and one.area))
    assert shown == [160, 100, 1, None, 160]
