from contextlib import closing

import numpy as np
import pytest
import tifffile

from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.masks import (
    consensus_mask,
    project_agreement,
    truth_masks,
)
from napari_semxai.types import ReviewChange, ReviewState

SHAPE = (5, 6)


@pytest.fixture
def project(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in "abc":
        tifffile.imwrite(images / f"{name}.tif", np.full(SHAPE, 7, dtype=np.uint8))
    with closing(create_project(tmp_path / "project", images)) as project:
        yield project


def row(length):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0, :length] = True
    return mask


def test_agreement_and_consensus(project):
    write = project.write_review
    write("a", "anna", ReviewChange(ReviewState.ACCEPTED, row(4), label="1"))
    write("a", "ben", ReviewChange(ReviewState.CORRECTED, row(2), label="1"))
    write("a", "cy", ReviewChange(ReviewState.CORRECTED, row(3)))
    write("b", "anna", ReviewChange(ReviewState.NO_DEFECT, label="2"))
    write("b", "ben", ReviewChange(ReviewState.NO_DEFECT, label="1"))
    write("c", "anna", ReviewChange(mask=row(1)))
    names = project.annotators()
    assert list(truth_masks(project, "a", names)) == ["anna", "ben", "cy"]
    assert truth_masks(project, "c", names) == {}
    np.testing.assert_array_equal(consensus_mask(project, "a", names), row(3))
    assert consensus_mask(project, "c", ["ben"]) is None
    first, *others = project_agreement(project, names)
    assert (first.first, first.second, first.masks, first.empty) == ("anna", "ben", 2, 1)
    assert first.dice_mean == pytest.approx((2 / 3 + 1) / 2)
    assert (first.states, first.labels) == (2, 2)
    assert first.state_kappa == pytest.approx(1 / 3)
    assert first.label_kappa == pytest.approx(0)
    assert [pair.masks for pair in others] == [1, 1]


@pytest.mark.parametrize("state", [None, ReviewState.REJECTED, ReviewState.UNSURE])
def test_only_truth_is_compared(project, state):
    write = project.write_review
    write("a", "anna", ReviewChange(ReviewState.ACCEPTED, row(4)))
    write("a", "ben", ReviewChange(state, row(4)))
    write("a", "cy", ReviewChange(state, row(4)))
    # Void: edited after the review.
    write("b", "anna", ReviewChange(ReviewState.ACCEPTED, row(2)))
    write("b", "anna", ReviewChange(mask=row(3)))
    write("b", "ben", ReviewChange(ReviewState.ACCEPTED, row(3)))
    names = project.annotators()
    assert [pair.masks for pair in project_agreement(project, names)] == [0, 0, 0]
    np.testing.assert_array_equal(consensus_mask(project, "a", names), row(4))
    assert consensus_mask(project, "a", ["ben", "cy"]) is None
    np.testing.assert_array_equal(consensus_mask(project, "b", names), row(3))
