"""Undoing reviews in a real project on disk, without a viewer."""

import numpy as np
import pytest

from napari_semxai.algorithms.masks.edits import apply_patches
from napari_semxai.store.disk.safety_net import list_recoveries
from napari_semxai.types import ReviewState
from tests.controllers.desk import SHAPE, generated


def painted(row, column):
    mask = np.zeros(SHAPE, bool)
    mask[row : row + 4, column : column + 4] = True
    return mask


def review(desk, state):
    """Review the open image, and wait until the next one is open and this one is on disk."""
    image, number = desk.session.queue.current, desk.session.queue.number
    desk.review.review(state)
    last = number == desk.session.queue.total
    desk.turn(lambda: last or desk.session.queue.number == number + 1)
    desk.turn(lambda: row(desk, image).state is state)


def row(desk, image):
    return next(row for row in desk.session.queue.shown if row.image == image)


def undo(desk, image, state):
    desk.review.undo()
    desk.turn(lambda: desk.session.queue.current == image and row(desk, image).state is state)


def stored(desk, image):
    project = desk.project()
    return project.record(image, "Anna"), project.mask(image, "Anna")


def test_several_reviews_are_undone_after_their_images_were_left(desk):
    desk.open()
    desk.stroke(3, 5)
    desk.review.annotate(comment="edge")
    review(desk, ReviewState.CORRECTED)
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 1)
    desk.review.annotate(label="3")
    for state in (ReviewState.NO_DEFECT, ReviewState.REJECTED, ReviewState.UNSURE):
        review(desk, state)
    assert desk.session.queue.number == 4
    assert desk.session.queue.reviewed == 3
    undo(desk, "wafer_2", ReviewState.CANDIDATE)
    undo(desk, "wafer_1", ReviewState.CANDIDATE)
    undo(desk, "wafer_0", ReviewState.CORRECTED)
    assert "no defect" in desk.session.message
    assert "wafer_0" in desk.session.message
    np.testing.assert_array_equal(desk.live.mask, painted(3, 5))
    record, mask = stored(desk, "wafer_0")
    np.testing.assert_array_equal(mask, painted(3, 5))
    assert (record.state, record.voided, record.area) == (ReviewState.CORRECTED, None, 16)
    assert (record.label, record.comment) == ("3", "edge")
    np.testing.assert_array_equal(apply_patches(np.zeros(SHAPE, bool), record.recipe.edits), mask)
    events = [(event.kind, str(event.state)) for event in record.history]
    assert events[-2:] == [("review", "no defect"), ("undo", "corrected")]
    assert desk.session.queue.reviewed == 1
    undo(desk, "wafer_0", ReviewState.CANDIDATE)
    np.testing.assert_array_equal(desk.live.mask, painted(3, 5))
    # The class was given after that review: it stays.
    assert stored(desk, "wafer_0")[0].label == "3"
    desk.review.undo()
    assert "no review to undo" in desk.session.message
    assert desk.session.queue.reviewed == 0


def test_the_session_is_counted_without_what_was_undone_and_without_breaks(desk):
    desk.open()
    desk.stroke(3, 5)
    review(desk, ReviewState.CORRECTED)
    desk.review._shown_at -= 20
    review(desk, ReviewState.REJECTED)
    # A person went away for hours.
    desk.review._shown_at -= 9999
    review(desk, ReviewState.REJECTED)
    tally = desk.session.tally
    assert tally.states == {ReviewState.CORRECTED: 1, ReviewState.REJECTED: 2}
    assert 320 <= tally.seconds < 400
    assert tally.per_hour == pytest.approx(3 * 3600 / tally.seconds)
    undo(desk, "wafer_2", ReviewState.CANDIDATE)
    assert desk.session.tally.states == {ReviewState.CORRECTED: 1, ReviewState.REJECTED: 1}
    assert 20 <= desk.session.tally.seconds < 100
    desk.projects.close()
    assert desk.session.tally.count == 0
    assert desk.session.tally.per_hour is None


def test_an_image_without_a_mask_is_without_one_again(desk):
    desk.open()
    review(desk, ReviewState.NO_DEFECT)
    assert row(desk, "wafer_0").has_mask
    undo(desk, "wafer_0", ReviewState.CANDIDATE)
    record, mask = stored(desk, "wafer_0")
    assert mask is None
    assert (record.mask_sha256, record.recipe, record.voided) == ("", None, None)
    assert not row(desk, "wafer_0").has_mask
    assert not desk.session.edited


@pytest.mark.parametrize("number", [1, 5], ids=["left", "last and open still"])
def test_strokes_that_a_review_took_away_are_back(desk, number):
    desk.open()
    desk.queue.find(str(number))
    desk.turn(lambda: desk.session.queue.number == number)
    image = desk.session.queue.current
    desk.stroke(3, 5)
    review(desk, ReviewState.NO_DEFECT)
    assert not stored(desk, image)[1].any()
    undo(desk, image, ReviewState.CANDIDATE)
    np.testing.assert_array_equal(desk.live.mask, painted(3, 5))
    np.testing.assert_array_equal(stored(desk, image)[1], painted(3, 5))
    desk.turn(lambda: not list_recoveries(desk.folder / "recovery"))
    assert desk.session.recovery is None


def test_an_automatic_mask_follows_sliders_again(desk):
    desk.open()
    desk.session.automatic = generated()
    review(desk, ReviewState.ACCEPTED)
    undo(desk, "wafer_0", ReviewState.CANDIDATE)
    assert not desk.session.edited
    record, mask = stored(desk, "wafer_0")
    assert (record.recipe.base, mask.sum()) == ("automatic", 48)
    assert record.score == pytest.approx(generated().score)


def test_what_was_typed_with_the_review_goes_with_it(desk):
    desk.open()
    desk.review.annotate(comment="before")
    desk.review.type("comment", "typed")
    desk.review.review(ReviewState.REJECTED)
    desk.turn(lambda: row(desk, "wafer_0").state is ReviewState.REJECTED)
    assert stored(desk, "wafer_0")[0].comment == "typed"
    undo(desk, "wafer_0", ReviewState.CANDIDATE)
    record, _ = stored(desk, "wafer_0")
    assert record.comment == "before"
    assert "typed" in [event.comment for event in record.history]


@pytest.mark.parametrize("left", [True, False])
def test_newer_strokes_are_not_undone(desk, left):
    desk.open()
    review(desk, ReviewState.NO_DEFECT)
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 1)
    desk.stroke(3, 5)
    if left:
        desk.queue.step(1)
        desk.turn(lambda: row(desk, "wafer_0").voided is ReviewState.NO_DEFECT)
    desk.review.undo()
    desk.turn(lambda: "was not undone" in desk.session.message)
    desk.queue.find("1")
    desk.turn(lambda: desk.session.queue.number == 1)
    np.testing.assert_array_equal(desk.live.mask, painted(3, 5))
    assert desk.session.past_reviews == ()


def test_reviews_of_one_project_are_not_undone_in_the_next(desk):
    desk.open()
    review(desk, ReviewState.UNSURE)
    desk.projects.open(desk.folder / "images", "Ben")
    desk.turn(lambda: desk.session.queue is not None and desk.session.queue.annotator == "Ben")
    desk.turn(lambda: desk.session.queue.current)
    desk.review.undo()
    assert "no review to undo" in desk.session.message
    assert stored(desk, "wafer_0")[0].state is ReviewState.UNSURE


def test_quick_undos_are_all_done(desk):
    desk.open()
    for _ in range(3):
        review(desk, ReviewState.REJECTED)
    for _ in range(3):
        desk.review.undo()
    desk.turn(lambda: desk.session.queue.reviewed == 0)
    desk.turn(lambda: desk.session.queue.current == "wafer_0")


def test_an_undo_that_a_full_drive_refused_is_written_when_it_can_be(desk):
    desk.open()
    desk.stroke(3, 5)
    review(desk, ReviewState.CORRECTED)
    masks = desk.session.queue.folder / "reviews" / "anna" / "masks"
    away = masks.rename(masks.with_name("away"))
    masks.write_text("in the way")
    desk.review.undo()
    desk.turn(lambda: "kept in" in desk.session.message)
    desk.close()
    masks.unlink()
    away.rename(masks)
    again = type(desk)(desk.folder)
    again.open()
    again.turn(lambda: again.session.message.startswith("Reviews that failed to save"))
    record, mask = stored(again, "wafer_0")
    assert record.state is ReviewState.CANDIDATE
    assert record.history[-1].kind == "undo"
    np.testing.assert_array_equal(mask, painted(3, 5))
    again.close()
