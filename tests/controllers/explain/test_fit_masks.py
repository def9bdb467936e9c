"""Masks of images to tune on: of the open project, and of the current image."""

import numpy as np
from PIL import Image

from napari_semxai.controllers.explain.explain import FitMasks, fit_masks
from napari_semxai.state.session import LoadedTruth
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.create import create_project
from napari_semxai.types import ReviewChange, ReviewState
from tests.open_images import open_image


def lot(folder):
    folder.mkdir()
    for name in "abc":
        Image.fromarray(np.full((20, 30), 90, np.uint8)).save(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in "abc"]


def test_masks_of_a_project_that_somebody_validated(tmp_path):
    paths = lot(tmp_path / "lot")
    mask = np.zeros((20, 30), bool)
    mask[3:9] = True
    project = create_project(tmp_path / "project", tmp_path / "lot")
    ids = [image.id for image in project.images]
    accepted, unsure = ReviewState.ACCEPTED, ReviewState.UNSURE
    project.write_review(ids[0], "anna", ReviewChange(accepted, mask))
    project.write_review(ids[0], "bert", ReviewChange(accepted, ~mask))
    project.write_review(ids[1], "anna", ReviewChange(unsure, mask))
    project.write_review(ids[2], "bert", ReviewChange(accepted, mask))
    project.close()
    first, second, third = FitMasks(None, None, tmp_path / "project", "anna").of(paths)
    np.testing.assert_array_equal(first, mask)
    assert second is None
    np.testing.assert_array_equal(third, mask)


def test_the_mask_of_the_current_image(session, tmp_path):
    paths = lot(tmp_path / "lot")
    image, mask = read_image(paths[1]), np.ones((20, 30), bool)
    open_image(session, image)
    assert fit_masks(session, mask).of((image, *paths)) == ()
    session.update_image(edited=True)
    found = fit_masks(session, mask).of((paths[0], paths[1], image))
    assert found[0] is None
    assert found[1] is found[2] is mask
    session.loaded_truth = LoadedTruth(~mask, "truth.png")
    assert not fit_masks(session, mask).of((image,))[0].any()
