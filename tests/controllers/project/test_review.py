"""Going through a real project on disk, without a viewer."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.masks.edits import apply_patches
from napari_semxai.state.review import Clicks, ClickState, Offer
from napari_semxai.store.disk.safety_net import list_recoveries, save_recovery
from napari_semxai.store.project.masks import replay_edits
from napari_semxai.store.project.verify import verify_project
from napari_semxai.types import (
    IDLE,
    Classification,
    ClassifierInfo,
    Progress,
    Prompts,
    ReviewChange,
    ReviewState,
)
from tests.controllers.desk import SHAPE, Desk, generated


def test_a_folder_becomes_a_project_and_its_first_image_opens(desk):
    opened = desk.open()
    assert (opened.number, opened.total, opened.current) == (1, 5, "wafer_0")
    assert desk.session.image.name == "wafer_0"
    assert desk.session.record.state is ReviewState.CANDIDATE


def test_one_goes_on_back_and_to_a_number_or_name(desk):
    desk.open()
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.queue.find("5")
    desk.turn(lambda: desk.session.queue.number == 5)
    desk.queue.step(1)
    assert "No further image" in desk.session.message
    desk.queue.find("fer_2")
    desk.turn(lambda: desk.session.queue.number == 3)
    desk.queue.find("other")
    assert "other" in desk.session.message


def test_reviews_are_written_and_the_next_image_opens(desk):
    desk.open()
    desk.stroke(3, 5)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.review.review(ReviewState.NO_DEFECT)
    desk.turn(lambda: desk.session.queue.number == 3 and desk.session.queue.reviewed == 2)
    project = desk.project()
    record = project.record("wafer_0", "Anna")
    assert record.state is ReviewState.CORRECTED
    assert project.mask("wafer_0", "Anna")[3:7, 5:9].all()
    assert record.area == 16
    assert project.record("wafer_1", "Anna").state is ReviewState.NO_DEFECT
    desk.turn(lambda: list_recoveries(desk.folder / "recovery") == [] or desk.calls.qsize() == 0)


def test_no_defect_keeps_the_recipe_of_the_mask_that_was_judged(desk):
    desk.open()
    desk.session.automatic = generated()
    desk.review.review(ReviewState.NO_DEFECT)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    judged = replay_edits(desk.project(), "wafer_0", "Anna")
    assert (judged.recipe.base, len(judged.recipe.edits)) == ("automatic", 1)
    assert [int(mask.sum()) for mask in judged.steps] == [48, 0]
    assert verify_project(desk.project()).changed == ()
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 1)
    assert not desk.live.mask.any()
    assert desk.session.record.recipe == judged.recipe


def test_an_empty_mask_is_not_accepted(desk):
    desk.open()
    desk.review.accept()
    assert "empty" in desk.session.message
    assert desk.session.queue.number == 1


def test_an_image_that_has_only_just_opened_is_not_reviewed(desk):
    desk.review.seen_at_least = 60.0
    desk.open()
    for state in (ReviewState.NO_DEFECT, ReviewState.REJECTED, ReviewState.UNSURE):
        desk.review.review(state)
        assert "only just opened" in desk.session.message
    assert desk.session.record.state is ReviewState.CANDIDATE
    assert desk.session.queue.number == 1
    desk.review.seen_at_least = 0.0
    desk.review.review(ReviewState.REJECTED)
    desk.turn(lambda: desk.session.queue.reviewed == 1)


def test_an_image_whose_picture_is_gone_is_shown_again_before_it_is_reviewed(desk):
    desk.open()
    desk.stroke(3, 5)
    shown = desk.session.image
    desk.images.is_shown = lambda: desk.session.image is not shown
    for state in (ReviewState.ACCEPTED, ReviewState.NO_DEFECT):
        desk.review.review(state)
        assert "Not reviewed: picture or mask had been removed" in desk.session.message
        assert desk.session.record.state is ReviewState.CANDIDATE
        assert (desk.session.queue.number, desk.live.mask.sum()) == (1, 16)
        shown = desk.session.image
    desk.images.is_shown = lambda: True
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    record = desk.project().record("wafer_0", "Anna")
    assert (record.state, record.area) == (ReviewState.CORRECTED, 16)


def unfinished(desk, what):
    """Leave the mask of the open image half made."""
    desk.session.automatic = generated()
    if what == "candidates":
        desk.session.generation = Progress("decode", 256, 1024)
        return
    before = np.zeros(SHAPE, bool)
    prompts = Prompts(points=((3.0, 5.0),), foreground=(True,))
    offer = Offer(before, ~before, prompts, (), "SAM click", {}) if what == "offer" else None
    state = ClickState.ANSWERING if offer is None else ClickState.IDLE
    desk.session.clicks = Clicks(active=True, prompts=prompts, state=state, offer=offer)


@pytest.mark.parametrize(
    ("what", "word"),
    [("candidates", "256 of 1,024"), ("click", "not answered"), ("offer", "not applied")],
)
def test_a_mask_that_is_still_being_made_is_accepted_only_when_asked_twice(desk, what, word):
    desk.open()
    unfinished(desk, what)
    desk.review.accept()
    assert word in desk.session.message
    assert "press once more" in desk.session.message
    assert desk.session.record.state is ReviewState.CANDIDATE
    # On another image it is asked anew; what says nothing of the mask is not asked about.
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    unfinished(desk, what)
    desk.review.accept()
    assert desk.session.record.state is ReviewState.CANDIDATE
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 3)
    unfinished(desk, what)
    desk.review.review(ReviewState.REJECTED)
    desk.turn(lambda: desk.session.queue.number == 4 and desk.session.queue.reviewed == 2)
    states = [row.state for row in desk.session.queue.shown]
    assert states[1:3] == [ReviewState.ACCEPTED, ReviewState.REJECTED]


def test_a_mask_by_hand_is_accepted_while_candidates_are_made(desk):
    desk.open()
    unfinished(desk, "candidates")
    desk.stroke(3, 5)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    assert desk.session.queue.shown[0].state is ReviewState.CORRECTED


@pytest.mark.parametrize("way", ["step", "find", "show", "close", "leave_mask"])
def test_every_way_of_leaving_saves_the_strokes(desk, folder, way):
    desk.open()
    desk.stroke(3, 5)
    ways = {
        "step": lambda: desk.queue.step(1),
        "find": lambda: desk.queue.find("4"),
        "show": lambda: desk.images.show(None),
        "close": desk.close,
        "leave_mask": desk.images.leave_mask,
    }
    ways[way]()
    desk.turn(lambda: desk.project().mask("wafer_0", "Anna") is not None or way == "close")
    assert desk.project().mask("wafer_0", "Anna").sum() == 16


def test_coming_back_shows_the_mask_even_before_it_is_written(desk):
    desk.open()
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.stroke(8, 8)
    desk.queue.step(-1)
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    assert desk.live.mask.sum() == 16
    assert desk.session.edited


def test_a_later_edit_makes_the_review_void_at_once_and_on_disk(desk):
    desk.open()
    desk.stroke(3, 5)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 1)
    assert desk.session.record.state is ReviewState.CORRECTED
    desk.stroke(12, 12)
    assert desk.session.record.voided is ReviewState.CORRECTED
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.shown[0].voided is ReviewState.CORRECTED)
    assert desk.project().record("wafer_0", "Anna").voided is ReviewState.CORRECTED


def test_the_recipe_makes_the_mask_again(desk):
    desk.open()
    desk.stroke(3, 5)
    grown = desk.live.mask.copy()
    grown[1:9, 3:11] = True
    desk.edit.propose(grown, "grow", {"radius": 2})
    desk.stroke(15, 20)
    desk.review.save()
    desk.turn(lambda: desk.session.save.state == "saved")
    recipe = desk.project().record("wafer_0", "Anna").recipe
    assert [edit.name for edit in recipe.edits] == ["stroke", "grow", "stroke"]
    assert recipe.edits[1].details == {"radius": 2}
    assert recipe.base == "empty"
    again = apply_patches(np.zeros(SHAPE, bool), recipe.edits)
    np.testing.assert_array_equal(again, desk.live.mask)


def test_the_filter_selects_and_orders(desk):
    desk.open()
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.queue.set_filter(states=frozenset({ReviewState.UNSURE}))
    desk.turn(lambda: len(desk.session.queue.shown) == 1)
    assert desk.session.queue.shown[0].image == "wafer_0"
    assert desk.session.queue.position is None
    desk.queue.set_filter(states=None, order="number", descending=True)
    desk.turn(lambda: len(desk.session.queue.shown) == 5)
    assert desk.session.queue.shown[0].image == "wafer_4"


def test_next_unreviewed_goes_round(desk):
    desk.open()
    for _ in range(4):
        number = desk.session.queue.number
        desk.review.review(ReviewState.REJECTED)
        desk.turn(lambda before=number: desk.session.queue.number == before + 1)
    desk.queue.step(-3)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.turn(lambda: desk.session.queue.reviewed == 4)
    desk.queue.next_unreviewed()
    desk.turn(lambda: desk.session.queue.number == 5)
    desk.queue.next_unreviewed()
    assert "reviewed" in desk.session.message


def test_the_time_of_a_review_is_shown_once_it_is_written(desk):
    desk.open()
    assert desk.session.record.time == ""
    for comment in ("edge", "rim"):
        before = desk.session.record.time
        desk.review.annotate(comment=comment)
        desk.turn(lambda before=before: desk.session.record.time > before)
        assert desk.session.record == desk.project().record("wafer_0", "Anna")


def test_what_is_typed_goes_along_when_the_image_is_left(desk):
    desk.open()
    desk.review.type("comment", "edge")
    desk.review.type("label", "3")
    desk.review.type("label", None)
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.shown[0].state and desk.session.queue.number == 2)
    desk.turn(lambda: desk.project().record("wafer_0", "Anna") is not None)
    record = desk.project().record("wafer_0", "Anna")
    assert (record.comment, record.label) == ("edge", "")
    desk.review.save()
    desk.turn(lambda: desk.session.save.state == "saved")
    assert desk.project().record("wafer_1", "Anna").comment == ""


def test_class_and_comment_are_kept_with_the_review(desk):
    desk.open()
    desk.review.annotate(label="3", comment="edge")
    desk.turn(lambda: desk.session.queue.shown[0].label == "3")
    record = desk.project().record("wafer_0", "Anna")
    assert (record.label, record.comment, record.state) == ("3", "edge", ReviewState.CANDIDATE)


def test_the_confidence_of_the_class_is_kept_and_filtered(desk):
    desk.open()
    info = ClassifierInfo("bundled", "ab" * 32, "lite0", ("1", "2"), (8, 8), synthetic=True)
    known = Classification(np.float32([0.75, 0.25]), ("1", "2"), info)
    desk.session.explanation.classification = known
    desk.review.annotate(comment="edge")
    desk.turn(lambda: desk.session.queue.shown[0].confidence == 0.75)
    record = desk.project().record("wafer_0", "Anna")
    assert (record.classifier_sha256, record.classifier_synthetic) == (info.sha256, True)
    desk.queue.set_filter(where={"confidence": (0.0, 0.8)})
    desk.turn(lambda: len(desk.session.queue.shown) == 1)


def test_a_folder_without_images_is_said(desk, tmp_path):
    (tmp_path / "none").mkdir()
    desk.projects.open(tmp_path / "none", "Anna")
    desk.turn(lambda: desk.session.message)
    assert "none" in desk.session.message
    assert desk.session.batch == IDLE


def test_two_folders_of_one_name_have_two_projects(desk, folder):
    desk.open()
    other = folder / "other" / "images"
    other.mkdir(parents=True)
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(other / "x.png")
    desk.projects.open(other, "Anna")
    desk.turn(lambda: desk.session.queue is not None and desk.session.queue.total == 1)
    assert desk.session.queue.folder.name == "images-2"
    desk.projects.open(folder / "images", "Anna")
    desk.turn(lambda: desk.session.queue is not None and desk.session.queue.total == 5)


def test_a_failed_write_is_said_keeps_the_mask_and_can_be_repeated(desk):
    desk.open()
    desk.review.save()
    desk.turn(lambda: desk.session.save.state == "saved")
    masks = desk.session.queue.folder / "reviews" / "anna" / "masks"
    for path in masks.iterdir():
        path.unlink()
    masks.rmdir()
    masks.write_text("in the way")
    desk.stroke(3, 5)
    desk.review.save()
    desk.turn(lambda: desk.session.save.state == "failed")
    assert "kept in" in desk.session.message
    masks.unlink()
    desk.queue.step(1)
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 1)
    assert desk.live.mask.sum() == 16
    desk.review.save()
    desk.turn(lambda: desk.session.save.state == "saved")
    assert desk.project().mask("wafer_0", "Anna").sum() == 16


def test_what_a_full_drive_refused_is_written_when_it_can_be(desk):
    desk.open()
    desk.review.save()
    desk.turn(lambda: desk.session.save.state == "saved")
    masks = desk.session.queue.folder / "reviews" / "anna" / "masks"
    away = masks.rename(masks.with_name("away"))
    masks.write_text("in the way")
    for number in (1, 2):
        desk.stroke(3, 5)
        desk.review.accept()
        desk.turn(lambda n=number: f"wafer_{n - 1}" in desk.session.message)
        desk.turn(lambda n=number: desk.session.queue.number == n + 1)
    rescued = kept_changes(desk.folder)
    assert sorted(rescued.values()) == ["wafer_0", "wafer_1"]
    # Looking at one again must not take its only copy away.
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 2 and desk.live.mask.any())
    assert "Not in the project" in desk.session.save.message
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 3)
    assert kept_changes(desk.folder) == rescued
    masks.unlink()
    away.rename(masks)
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: desk.session.queue.reviewed == 3)
    assert "Reviews that failed to save earlier are now saved" in desk.session.message
    for image in ("wafer_0", "wafer_1"):
        assert desk.project().record(image, "Anna").state is ReviewState.CORRECTED
        assert desk.project().mask(image, "Anna").sum() == 16
    desk.turn(lambda: not list_recoveries(desk.folder / "recovery"))


def kept_changes(folder):
    """Files of changes that could not be written, and their images."""
    copies = list_recoveries(folder / "recovery")
    return {copy.path: copy.info["name"] for copy in copies if copy.is_change}


def test_a_reopened_project_begins_at_the_first_unreviewed(folder):
    first = Desk(folder)
    first.open()
    first.review.review(ReviewState.REJECTED)
    first.turn(lambda: first.session.queue.number == 2)
    first.close()
    second = Desk(folder)
    assert second.open().number == 2
    second.close()


def test_others_are_hidden_until_one_has_reviewed(folder):
    other = Desk(folder)
    other.open("Bert")
    other.stroke(3, 5)
    other.review.accept()
    other.turn(lambda: other.session.queue.reviewed == 1)
    other.close()
    desk = Desk(folder)
    desk.open("Anna")
    desk.annotators.compare()
    assert "first" in desk.session.message
    desk.stroke(3, 7)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2 and desk.session.queue.reviewed == 1)
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 1)
    desk.annotators.compare()
    desk.turn(lambda: desk.session.others is not None)
    others = desk.session.others
    assert list(others.masks) == ["bert"]
    assert others.agreement["anna", "bert"].dice == 0.5
    desk.annotators.take_consensus()
    desk.turn(lambda: desk.session.proposal is not None)
    assert desk.session.proposal.title == "majority of annotators"
    desk.close()


def test_an_export_sees_the_review_that_was_just_made(desk, folder):
    desk.open()
    desk.stroke(3, 5)
    desk.review.accept()
    desk.tools.export("png", "anna", folder / "out", every=False)
    desk.turn(lambda: "1 mask exported" in desk.session.message)
    assert desk.session.batch == IDLE
    mask = np.asarray(Image.open(folder / "out" / "wafer_0.png"))
    assert (mask == 255).sum() == 16
    desk.annotators.set_blind(False)
    desk.tools.export("png", "bert", folder / "out", every=False)
    desk.turn(lambda: "'bert' has no masks" in desk.session.message)


def test_more_images_come_while_one_stays_where_one_is(desk, folder):
    desk.open()
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.stroke(3, 5)
    (folder / "more").mkdir()
    Image.fromarray(np.full(SHAPE, 9, np.uint8)).save(folder / "more" / "wafer_0.png")
    desk.tools.add(folder / "more")
    desk.turn(lambda: desk.session.queue is not None and desk.session.queue.total == 6)
    desk.turn(lambda: desk.session.queue.number == 2)
    assert desk.live.mask.sum() == 16
    desk.queue.find("6")
    desk.turn(lambda: desk.session.queue.current == "wafer_0-2")


def test_classes_get_names_and_are_set_by_number(desk):
    desk.open()
    desk.review.set_class(2)
    desk.turn(lambda: desk.session.queue.shown[0].label == "2")
    desk.tools.name_classes({"a": "pit", "b": "scratch"})
    desk.turn(lambda: desk.session.queue.class_names == {"a": "pit", "b": "scratch"})
    desk.review.set_class(2)
    desk.turn(lambda: desk.session.queue.shown[0].label == "b")
    desk.review.set_class(3)
    # A class may be called 3: what is missing is the third of the list.
    assert desk.session.message == "The project's list has 2 classes, none in place 3"
    assert desk.project().info.class_names == {"a": "pit", "b": "scratch"}


def test_others_progress_appears(desk, folder):
    desk.open()
    desk.annotators.set_blind(False)
    desk.queue.set_filter(annotator=None)
    desk.turn(lambda: desk.session.queue.filter.annotator is None)
    with closing(desk.project()) as other:
        other.write_review("wafer_2", "Bert", ReviewChange(ReviewState.UNSURE))
    desk.queue.watch()
    desk.turn(lambda: desk.session.queue.shown[2].state is ReviewState.UNSURE)
    assert desk.session.queue.annotators == ("bert",)


def test_agreement_over_all_images(desk, folder):
    for name, column in (("Anna", 5), ("Bert", 7)):
        one = Desk(folder)
        one.open(name)
        one.stroke(3, column)
        one.review.accept()
        one.turn(lambda one=one: one.session.queue.reviewed == 1)
        one.close()
    desk.open("Carl")
    desk.annotators.set_blind(False)
    desk.tools.agree()
    desk.turn(lambda: desk.session.agreement)
    (pair,) = desk.session.agreement
    assert (pair.first, pair.second, pair.masks, pair.dice_mean) == ("anna", "bert", 1, 0.5)


def test_rescued_masks_are_named_when_the_project_opens(desk, folder):
    desk.open()
    key = desk.session.project.cache.key("wafer_3")
    desk.close()
    save_recovery(folder / "recovery", key, np.ones(SHAPE, bool), {"name": "wafer_3"})
    again = Desk(folder)
    again.open()
    again.turn(lambda: "wafer_3" in again.session.message)
    again.queue.find("4")
    again.turn(lambda: again.session.queue.number == 4 and again.live.mask.all())
    again.close()


def test_copies_of_what_is_written_are_not_named_and_go(desk, folder):
    desk.open()
    desk.stroke(3, 5)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    keys = [desk.session.project.cache.key(f"wafer_{number}") for number in (0, 1, 2)]
    mask = desk.project().mask("wafer_0", "Anna")
    desk.close()
    # What earlier windows left: the mask that is written, and nothing where nothing is.
    for key, left in zip(keys, (mask, ~mask, np.zeros_like(mask)), strict=True):
        save_recovery(folder / "recovery", key, left, {"name": key})
    again = Desk(folder)
    again.open()
    again.turn(lambda: again.session.message)
    assert again.session.message.startswith("Unsaved masks were found of wafer_1: ")
    again.close()
    assert [copy.key for copy in list_recoveries(folder / "recovery")] == [keys[1]]


def test_a_review_of_an_image_that_the_filter_hides_is_counted(desk):
    desk.open()
    desk.queue.set_filter(states=frozenset({ReviewState.UNSURE}))
    desk.turn(lambda: desk.session.queue.shown == ())
    desk.review.review(ReviewState.REJECTED)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: [row.image for row in desk.session.queue.shown] == ["wafer_0"])
    assert desk.session.queue.reviewed == 1


def test_a_generated_mask_is_kept_as_a_candidate_when_one_goes_on(desk):
    desk.open()
    desk.session.automatic = generated()
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.shown[0].has_mask)
    record = desk.project().record("wafer_0", "Anna")
    assert (record.state, record.recipe.base) == (ReviewState.CANDIDATE, "automatic")
    assert record.score == pytest.approx(generated().score)
    assert record.recipe.settings["model"]["sha256"] == "abc"
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 1)
    assert desk.live.mask.sum() == 48
    assert not desk.session.edited
    # The same again is nothing new.
    desk.session.automatic = generated()
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.review.annotate(comment="later")
    desk.turn(lambda: desk.project().record("wafer_1", "Anna") is not None)
    assert len(desk.project().record("wafer_0", "Anna").history) == 1


@pytest.mark.parametrize("reviewed", [True, False])
def test_a_generated_mask_never_replaces_one_that_a_person_made(desk, reviewed):
    desk.open()
    desk.stroke(3, 5)
    if reviewed:
        desk.review.accept()
        desk.turn(lambda: desk.session.queue.number == 2)
        desk.queue.step(-1)
        desk.turn(lambda: desk.session.queue.number == 1)
    desk.session.automatic = generated()
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.turn(lambda: desk.session.queue.shown[0].has_mask)
    record = desk.project().record("wafer_0", "Anna")
    assert record.state is (ReviewState.CORRECTED if reviewed else ReviewState.CANDIDATE)
    assert record.voided is None
    assert desk.project().mask("wafer_0", "Anna").sum() == 16


def test_a_reviewed_image_without_a_mask_stays_reviewed(desk):
    desk.open()
    project = desk.session.project.project
    project.write_review("wafer_1", "Anna", ReviewChange(ReviewState.REJECTED))
    desk.session.project.cache.drop("wafer_1")
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.session.automatic = generated()
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 3)
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: desk.session.queue.shown[2].state is ReviewState.UNSURE)
    assert desk.project().record("wafer_1", "Anna").state is ReviewState.REJECTED


def test_an_accepted_automatic_mask_has_its_score_and_no_longer_follows_sliders(desk):
    desk.open()
    desk.queue.find("5")
    desk.turn(lambda: desk.session.queue.number == 5)
    desk.session.automatic = generated()
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.shown[4].state is ReviewState.ACCEPTED)
    assert desk.session.queue.shown[4].score == pytest.approx(generated().score)
    assert desk.session.edited


def test_no_defect_is_shown_on_the_last_image_too(desk):
    desk.open()
    desk.queue.find("5")
    desk.turn(lambda: desk.session.queue.number == 5)
    desk.stroke(3, 5)
    desk.review.review(ReviewState.NO_DEFECT)
    assert not desk.live.mask.any()
    desk.turn(lambda: desk.session.save.state == "saved")
    desk.review.save()
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 4)
    desk.close()
    record = desk.project().record("wafer_4", "Anna")
    assert (record.state, record.voided, record.area) == (ReviewState.NO_DEFECT, None, 0)


def test_one_annotator_has_one_key_however_the_name_is_typed(desk):
    desk.open("Anna")
    cache = desk.session.project.cache
    first = cache.key("wafer_0")
    cache.annotator = " ANNA"
    assert cache.key("wafer_0") == first


def test_a_project_goes_where_a_person_says(desk, folder):
    desk.projects.open(folder / "images", "Anna", folder / "shared")
    desk.turn(lambda: desk.session.queue is not None and desk.session.queue.current)
    assert desk.session.queue.folder == folder / "shared"
    # The next annotator opens what is there.
    desk.projects.open(folder / "images", "Ben", folder / "shared")
    desk.turn(lambda: desk.session.queue is not None and desk.session.queue.annotator == "Ben")
    assert desk.session.queue.folder == folder / "shared"
