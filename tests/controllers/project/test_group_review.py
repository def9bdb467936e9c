"""Reviews of many images at once, through a project on disk."""

import numpy as np
import pytest

from napari_semxai.controllers.project.review import GroupReview
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.project.masks import replay_edits
from napari_semxai.store.project.verify import verify_project
from napari_semxai.types import MaskRecipe, ReviewChange, ReviewState
from tests.controllers.desk import SHAPE, Desk


def stored_mask(column):
    mask = np.zeros(SHAPE, bool)
    mask[4:9, column : column + 5] = True
    return mask


@pytest.fixture
def desk(folder):
    """Five images: the first open, then a mask painted, an automatic one, an empty one, none."""
    desk = Desk(folder)
    desk.open()
    desk.ids = [row.image for row in desk.session.queue.shown]
    project = desk.session.project
    for image_id, mask, base in (
        (desk.ids[1], stored_mask(3), "mask"),
        (desk.ids[2], stored_mask(9), "automatic"),
        (desk.ids[3], np.zeros(SHAPE, bool), "mask"),
    ):
        digest = project.project.image(image_id).sha256
        recipe = MaskRecipe(base, array_digest(mask), digest, {"alpha": 2.0})
        change = ReviewChange(mask=mask, recipe=recipe)
        project.note(project.project.write_review(image_id, "Anna", change))
        project.cache.drop(image_id)
    desk.group = GroupReview(desk.session, desk.review, desk.writes)
    yield desk
    desk.close()


def states(desk):
    project = desk.project()
    records = [project.record(image_id, "Anna") for image_id in desk.ids]
    return ["candidate" if record is None else str(record.state) for record in records]


def test_images_are_reviewed_together_and_one_undo_takes_them_back(desk):
    desk.stroke(3, 5)
    desk.group.review(desk.ids, ReviewState.ACCEPTED)
    desk.turn(lambda: "2 images" in desk.session.message)
    assert "left out: wafer_3 (no mask), wafer_4 (no mask)" in desk.session.message
    done = ["corrected", "corrected", "accepted", "candidate", "candidate"]
    desk.turn(lambda: states(desk) == done)
    assert [str(row.state) for row in desk.session.queue.shown] == done
    # The open image stays in front.
    assert desk.session.entry.id == desk.ids[0]
    desk.review.undo()
    desk.turn(lambda: states(desk) == ["candidate"] * 5)
    desk.turn(lambda: not any(row.state.is_reviewed for row in desk.session.queue.shown))
    assert desk.session.past_reviews == ()


def test_no_defect_empties_masks_and_the_undo_brings_them_back(desk):
    desk.group.review(desk.ids[1:3], ReviewState.NO_DEFECT)
    desk.turn(lambda: "2 images" in desk.session.message)
    for number in (1, 2):
        assert not desk.project().mask(desk.ids[number], "Anna").any()
    # What was judged is told by its recipe.
    judged = replay_edits(desk.project(), desk.ids[2], "Anna")
    assert judged.recipe.settings == {"alpha": 2.0}
    np.testing.assert_array_equal(judged.steps[0], stored_mask(9))
    assert verify_project(desk.project()).changed == ()
    desk.review.undo()
    desk.turn(lambda: "Undone" in desk.session.message)
    for number, column in ((1, 3), (2, 9)):
        np.testing.assert_array_equal(
            desk.project().mask(desk.ids[number], "Anna"), stored_mask(column)
        )


def test_a_class_is_set_and_what_was_said_since_is_not_undone(desk):
    desk.group.set_class(desk.ids[1:4], "7")
    desk.turn(lambda: "class 7" in desk.session.message)
    assert [row.label for row in desk.session.queue.shown] == ["", "7", "7", "7", ""]
    project = desk.session.project.project
    project.write_review(desk.ids[2], "Anna", ReviewChange(state=ReviewState.UNSURE))
    desk.review.undo()
    desk.turn(lambda: "wafer_2" in desk.session.message)
    assert [row.label for row in desk.session.queue.shown] == ["", "", "7", "", ""]


def test_a_mask_that_was_painted_after_its_class_was_set_stays(desk):
    desk.group.set_class(desk.ids[1:3], "7")
    desk.turn(lambda: "class 7" in desk.session.message)
    project = desk.session.project.project
    project.write_review(desk.ids[2], "Anna", ReviewChange(mask=stored_mask(15)))
    desk.review.undo()
    desk.turn(lambda: "changed since, and left: wafer_2" in desk.session.message)
    np.testing.assert_array_equal(project.mask(desk.ids[2], "Anna"), stored_mask(15))
    assert project.record(desk.ids[1], "Anna").label == ""


def test_the_class_of_the_open_image_is_undone_with_the_others(desk):
    desk.group.set_class(desk.ids[:2], "7")
    desk.turn(lambda: [row.label for row in desk.session.queue.shown][:2] == ["7", "7"])
    tally = desk.session.tally
    desk.review.undo()
    desk.turn(lambda: [row.label for row in desk.session.queue.shown][:2] == ["", ""])
    assert desk.project().record(desk.ids[0], "Anna").label == ""
    # Nothing was reviewed, and so nothing is counted back.
    assert desk.session.tally == tally
    assert desk.session.past_reviews == ()


def test_reviews_before_a_group_are_undone_one_by_one(desk):
    desk.review.review(ReviewState.REJECTED)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.group.review(desk.ids[2:4], ReviewState.REJECTED)
    desk.turn(lambda: len(desk.session.past_reviews) == 3)
    desk.review.undo()
    assert len(desk.session.past_reviews) == 1
    desk.turn(lambda: "Undone: reviews of 2 images" in desk.session.message)
    desk.review.undo()
    desk.turn(lambda: desk.session.queue.number == 1)
    desk.turn(lambda: states(desk) == ["candidate"] * 5)
