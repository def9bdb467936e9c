"""A small reviewed project whose defects are easy to learn, and how to learn it in seconds."""

from contextlib import closing, contextmanager

import numpy as np
from PIL import Image

from napari_semxai.algorithms.masks.edits import mask_patch
from napari_semxai.store.disk.digests import array_digest, file_sha256
from napari_semxai.store.project.create import create_project
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from napari_semxai.types import (
    AlgorithmSettings,
    MaskRecipe,
    MaskSettings,
    ReviewChange,
    ReviewState,
)
from napari_semxai.types.learned import LearnSettings

SHAPE = (96, 80)
QUICK = LearnSettings(folds=2, steps=24, batch=2, copies=1, rate=1e-2)


def lot(number, seed=0):
    """Return an image and the mask of its bright square; every fourth has none."""
    rng = np.random.default_rng([seed, number])
    pixels = rng.normal(90, 6, SHAPE)
    mask = np.zeros(SHAPE, dtype=bool)
    if number % 4:
        row, column = rng.integers(8, 40, 2)
        mask[row : row + 26, column : column + 28] = True
    pixels[mask] += 90
    return np.clip(pixels, 0, 255).astype(np.uint8), mask


@contextmanager
def reviewed_project(folder, count=12, masks=None, *, judged=True):
    """Yield a project whose proposals were wrong, and are corrected; two more images are not.

    Where none was judged, "no defect" was said before there was a proposal.
    """
    (folder / "images").mkdir(parents=True)
    for number in range(count + 2):
        Image.fromarray(lot(number)[0]).save(folder / "images" / f"i{number:02}.png")
    with closing(create_project(folder / "project", folder / "images")) as project:
        for number in range(count):
            mask = lot(number)[1] if masks is None else masks[number]
            proposed = np.zeros(SHAPE, dtype=bool)
            proposed[:9, :9] = True
            if judged or mask.any():
                write_review(project, f"i{number:02}", proposed, mask)
            else:
                project.write_review(f"i{number:02}", "anna", ReviewChange(ReviewState.NO_DEFECT))
        yield project


def write_review(project, image_id, proposed, mask):
    """Write what a person made of the default proposal."""
    algorithm = AlgorithmSettings(reference="auto")
    settings = MaskSettings(algorithm=algorithm).to_json(
        file_sha256(BUNDLED_WEIGHTS), (0, 0, 0, 0)
    )
    recipe = MaskRecipe(
        "automatic", array_digest(proposed), project.image(image_id).sha256, settings
    )
    project.write_review(image_id, "anna", ReviewChange(mask=proposed, recipe=recipe))
    edits = (mask_patch(proposed, mask, "stroke"),)
    recipe = MaskRecipe(
        "automatic", recipe.base_sha256, recipe.image_sha256, recipe.settings, edits
    )
    state = ReviewState.CORRECTED if mask.any() else ReviewState.NO_DEFECT
    project.write_review(image_id, "anna", ReviewChange(state, mask, recipe))


class Engine:
    """An engine of the learning service that a test answers for."""

    def __init__(self):
        self.asked, self.closed, self.low = None, 0, False

    def submit(self, request, *, destination, **callbacks):
        self.asked = request, callbacks

    def lower_priority(self):
        self.low = True

    def forget(self, destination):
        self.asked = None

    def close(self):
        self.closed += 1
