"""Orders that have to be worked out, on features that a test has written."""

import numpy as np
import pytest

from napari_semxai.store.project.features import (
    features_file,
    known_features,
    read_features,
    write_features,
)
from napari_semxai.store.project.index.index import ProjectIndex
from napari_semxai.store.project.ranked import RANKINGS, gain, similar, without_features
from napari_semxai.types import InputError, QueueFilter, ReviewChange, ReviewState
from tests.store.project.projects import square, three_images


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
