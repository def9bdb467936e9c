"""Writes reviews of a project from a process of its own, which a test may kill.

Every line of its answer names a write that is done: image, number, digest of the mask. With
another annotator to watch, the last line says that the index has all of that one's edits.
"""

import sys
import time
from contextlib import closing, nullcontext

import numpy as np

from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError, QueueFilter, ReviewChange, ReviewState

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


def indexed(project, index, other):
    """Return the numbers of another's edits, where index and files say the same of all images."""
    index.refresh()
    rows = index.queue(QueueFilter(annotator=other))
    records = {row.image: project.record(row.image, other) for row in rows}
    for row in rows:
        record = records[row.image]
        known = (None, None) if record is None else (record.time, record.state)
        if known != ((row.time, row.state) if row.time else (None, None)):
            return set()
    events = (event for record in records.values() if record for event in record.history)
    return {int(event.comment.split()[1]) for event in events}


def new_index(project):
    # Slow to import, and not needed by most.
    from napari_semxai.store.project.index.index import ProjectIndex

    return ProjectIndex(project)


def main(folder, annotator, first, count, other=""):
    project = open_project(folder)
    numbers = range(int(first), int(first) + int(count))
    with closing(new_index(project)) if other else nullcontext() as index:
        for number in numbers:
            try:
                write(project, annotator, number)
            except InputError as error:
                sys.exit(str(error))
            if other:
                index.refresh()
        end = time.monotonic() + 300
        while other and not indexed(project, index, other) >= set(numbers):
            if time.monotonic() > end:
                sys.exit(f"the edits of {other} did not appear")
        if other:
            sys.stdout.write(f"all of {other}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
