"""Writes reviews of a project from a process of its own, which a test may kill.

Every line of its answer names a write that is done: image, number, digest of the mask.
"""

import sys

import numpy as np

from napari_semxai.store.digests import array_digest
from napari_semxai.store.project import open_project
from napari_semxai.types import InputError, ReviewChange, ReviewState

STATES = (None, ReviewState.CORRECTED, ReviewState.UNSURE, ReviewState.NO_DEFECT)


def mask_of(number, shape):
    """Return the mask that write `number` writes."""
    if STATES[number % 4] is ReviewState.NO_DEFECT:
        return np.zeros(shape, dtype=bool)
    return np.random.default_rng(number).random(shape) > 0.5


def write(project, annotator, number):
    image = project.images[number % len(project.images)]
    mask = mask_of(number, image.shape)
    change = ReviewChange(STATES[number % 4], mask, comment=f"edit {number}")
    project.write_review(image.id, annotator, change)
    sys.stdout.write(f"{image.id} {number} {array_digest(mask)}\n")
    sys.stdout.flush()


def main(folder, annotator, first, count):
    project = open_project(folder)
    for number in range(int(first), int(first) + int(count)):
        try:
            write(project, annotator, number)
        except InputError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
