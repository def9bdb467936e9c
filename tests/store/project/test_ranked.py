"""Orders that have to be worked out, on features that a test has written."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from napari_semxai.algorithms.masks.edits import mask_patch
from napari_semxai.store.project import ranked
from napari_semxai.store.project.index.index import ProjectIndex
from napari_semxai.store.project.learned import (
    CARD,
    card_text,
    features_file,
    known_features,
    read_features,
    write_features,
    write_version,
)
from napari_semxai.store.project.ranked import (
    RANKINGS,
    gain,
    similar,
    without_features,
    wrong,
)
from napari_semxai.types import InputError, QueueFilter, ReviewChange, ReviewState
from napari_semxai.types.learned import Verdict
from tests.store.project.projects import propose, square, three_images


@pytest.fixture
def project(tmp_path):
    with three_images(tmp_path) as project:
        yield project


def see(project, **values):
    """Write features: images with numbers near each other look alike."""
    digests = {image.id: image.sha256 for image in project.images}
    write_features(
        project.folder,
        {
            digests[name]: np.array([np.cos(value), np.sin(value)], np.float16)
            for name, value in values.items()
        },
    )


def test_the_most_alike_come_first_with_their_similarity(project):
    see(project, a=0.0, b=2.0, c=0.2)
    ranked = similar(project, "", "a")
    assert list(ranked) == ["a", "c", "b"]
    assert ranked["c"].startswith("similarity ")
    with pytest.raises(InputError, match="Open an image first"):
        similar(project, "", "")


def test_reviewed_classes_of_the_annotator_count(tmp_path, monkeypatch):
    """By the label of the review, else of the source; "no defect" is a class of its own."""
    asked = []

    def nearest(features, to, classes):
        asked.append(list(classes))
        return np.array([1, 2]), np.array([0.5, 0.4])

    monkeypatch.setattr(ranked, "nearest", nearest)
    with three_images(tmp_path) as project:
        see(project, a=0.0, b=1.0, c=2.0)
        project.write_review("a", "anna", ReviewChange(ReviewState.ACCEPTED, square(), label="7"))
        project.write_review("b", "anna", ReviewChange(ReviewState.NO_DEFECT, label="7"))
        project.write_review("c", "anna", ReviewChange(ReviewState.REJECTED, square(), label="7"))
        project.write_review("c", "ben", ReviewChange(ReviewState.ACCEPTED, square(), label="8"))
        for name in ("anna", "ben", "carl", ""):
            similar(project, name, "a")
    assert asked == [["7", "no defect", ""], ["", "", "8"], ["", "", ""], ["", "", ""]]


def test_features_are_read_once_until_they_are_made_anew(project, monkeypatch):
    see(project, a=0.0, b=1.0)
    images, values = known_features(project)
    assert [image.id for image in images] == ["a", "b"]
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-3)
    assert known_features(project)[1] is values
    see(project, a=0.0, b=1.0, c=2.0)
    assert [image.id for image in known_features(project)[0]] == ["a", "b", "c"]


def test_what_has_no_features_is_counted_and_left_out(project):
    see(project, a=0.0, c=1.0)
    assert without_features(project) == 1
    assert [image.id for image in known_features(project)[0]] == ["a", "c"]
    with pytest.raises(InputError, match=r"b\.tif|b: could not be read"):
        similar(project, "", "b")


def test_a_damaged_file_of_features_is_made_again(project):
    see(project, a=0.0, b=1.0)
    features_file(project.folder).write_bytes(b"PK\x03\x04 no archive")
    assert read_features(project.folder) == {}
    assert without_features(project) == 3


def test_most_to_gain_leaves_out_what_is_reviewed_and_says_why(project):
    see(project, a=0.0, b=2.0, c=0.1)
    project.write_review("a", "anna", ReviewChange(ReviewState.ACCEPTED, square()))
    project.write_review("c", "anna", ReviewChange(mask=square(), score=0.9))
    ranked = gain(project, "anna", "")
    assert list(ranked) == ["b", "c"]
    assert ranked["b"].startswith("no automatic mask; ")
    assert ranked["c"].startswith("mask confidence 0.90; ")


def test_the_index_shows_what_is_ranked_in_its_order_and_filters_it(project, tmp_path):
    project.write_review("c", "anna", ReviewChange(ReviewState.ACCEPTED, square()))
    index = ProjectIndex(project, tmp_path / "index")
    ranked = {"c": "first", "a": "then"}
    asked = QueueFilter(annotator="anna", order="similar", ranked=ranked)
    assert [row.image for row in index.queue(asked)] == ["c", "a"]
    waiting = frozenset({ReviewState.CANDIDATE})
    asked = QueueFilter(annotator="anna", order="similar", ranked=ranked, states=waiting)
    assert [row.image for row in index.queue(asked)] == ["a"]
    index.close()


def test_every_ranking_has_a_title_of_its_own():
    assert len({ranking.title for ranking in RANKINGS.values()}) == len(RANKINGS)


def test_reviewed_masks_that_look_wrong_come_first_with_the_reason(project):
    """By the Dice of what was learned from other images, for the very mask that it is of."""
    see(project, a=0.0, b=1.0, c=2.0)
    for image_id in "abc":
        project.write_review(image_id, "anna", ReviewChange(ReviewState.ACCEPTED, square()))
    write_review = project.write_review
    for image_id, dice in (("a", 0.9), ("b", 0.1), ("c", 0.91)):
        learn_dice(project, image_id, dice)
    found = wrong(project, "anna", "")
    assert set(found) == {"a", "b", "c"}
    assert next(iter(found)) == "b"
    assert "unlike what was proposed or learned" in found["b"]
    # What was rejected is no truth, and so not checked; nor is a mask compared that was changed.
    write_review("c", "anna", ReviewChange(ReviewState.REJECTED))
    assert set(wrong(project, "anna", "")) == {"a", "b"}
    write_review("b", "anna", ReviewChange(ReviewState.CORRECTED, square(side=6)))
    assert "proposed" not in wrong(project, "anna", "")["b"]
    with pytest.raises(InputError, match="has reviewed no mask yet"):
        wrong(project, "carl", "")


def test_a_corrected_mask_is_compared_with_what_was_proposed(project):
    see(project, a=0.0, b=1.0, c=2.0)
    for image_id, row in (("a", 4), ("b", 4), ("c", 16)):
        proposed = square(row=row)
        propose(project, image_id, proposed)
        recipe = project.record(image_id, "anna").recipe
        edits = (mask_patch(proposed, square(), "stroke"),)
        change = ReviewChange(ReviewState.CORRECTED, square(), replace(recipe, edits=edits))
        project.write_review(image_id, "anna", change)
    found = wrong(project, "anna", "")
    assert next(iter(found)) == "c"
    assert "unlike what was proposed" in found["c"]


def test_the_neighbours_of_an_image_tell_what_is_missing(project, monkeypatch):
    monkeypatch.setattr(ranked, "_NEIGHBOURS", 1)
    see(project, a=0.0, b=0.01, c=2.0)
    for image_id in "ac":
        project.write_review(image_id, "anna", ReviewChange(ReviewState.ACCEPTED, square()))
    project.write_review("b", "anna", ReviewChange(ReviewState.NO_DEFECT))
    found = wrong(project, "anna", "")
    assert "no defect, but it looks like images with one" in found["b"]


def learn_dice(project, image_id, dice):
    """Let a learned version tell how its out-of-fold mask of an image agrees."""
    digest = project.record(image_id, "anna").mask_sha256
    image = {"id": image_id, "mask_sha256": digest, "dice": dice}
    card = card_text(Verdict(False, "no better"), {"created": "", "project": {"name": ""},
                                                   "images": [image]})  # fmt: skip
    write_version(project.folder, save({"x": np.zeros(1)}, {CARD: card}))
