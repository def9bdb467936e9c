"""Orders of a project's images that no single record tells: each image with a reason in words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from napari_semxai.algorithms.masks.metrics import either, scores
from napari_semxai.algorithms.statistics.ranking import measured, most_to_gain, nearest, suspicion
from napari_semxai.store.project.certificates import audit_sample
from napari_semxai.store.project.files import (
    RECORD_SUFFIX,
    RECORDS_FOLDER,
    annotator_folder,
    annotator_key,
)
from napari_semxai.store.project.learned import known_features, learned_versions
from napari_semxai.store.project.masks import ignored_regions, replay_edits, truth_masks
from napari_semxai.store.project.project import Project
from napari_semxai.types import BoolMask, InputError, ReviewRecord, ReviewState

_UNKNOWN_DOUBT = 1.0
_NEIGHBOURS = 10
_MOST_READ = 200
"""Records from which likeness is learned: reading more takes longer than one waits."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """An order of images that has to be worked out.

    Attributes
    ----------
    title : str
        What people choose.
    rank : callable
        Takes a project, an annotator and the id of the open image ("" for none), and returns the
        images to show, in this order, each with the reason in words. For a thread.
    by_features : bool
        Whether it needs the features of all images.
    """

    title: str
    rank: Callable[[Project, str, str], dict[str, str]]
    by_features: bool = False


def without_features(project: Project) -> int:
    """Return how many images of a project have no features yet."""
    known = {image.sha256 for image in known_features(project)[0]}
    return len({image.sha256 for image in project.images} - known)


def similar(project: Project, annotator: str, image_id: str) -> dict[str, str]:
    """Return an image and all others, the most alike first by features and reviewed classes.

    Raises
    ------
    InputError
        When no image is open, or its features are not known.
    """
    if not image_id:
        raise InputError("Open an image first: the others are compared with it")
    images, features = known_features(project)
    ids = [image.id for image in images]
    if image_id not in ids:
        raise InputError(f"{project.image(image_id).name}: could not be read for its features")
    classes = _reviewed_classes(project, annotator)
    known = [classes.get(one, "") for one in ids]
    order, alike = nearest(features, ids.index(image_id), known)
    found = {ids[row]: f"similarity {value:.2f}" for row, value in zip(order, alike, strict=True)}
    return {image_id: "this image", **found}


def _reviewed_classes(project: Project, annotator: str) -> dict[str, str]:
    """Return the class that an annotator gave, by image; of few enough to be read at once."""
    if not annotator:
        return {}
    folder = annotator_folder(project.folder, annotator) / RECORDS_FOLDER
    # One listing, because thousands of questions for a file each take longer than the answer.
    names = {path.name.removesuffix(RECORD_SUFFIX) for path in folder.glob(f"*{RECORD_SUFFIX}")}
    written = [image for image in project.images if image.id in names]
    found: dict[str, str] = {}
    for place in np.random.default_rng(0).permutation(len(written)).tolist()[:_MOST_READ]:
        image, record = written[place], None
        # What cannot be read is said where it is opened.
        with suppress(InputError):
            record = project.record(image.id, annotator)
        if record is not None and record.state.is_truth:
            none = record.state is ReviewState.NO_DEFECT
            found[image.id] = record.state if none else record.label or image.label
    return found


def gain(project: Project, annotator: str, _image_id: str) -> dict[str, str]:
    """Return the images that an annotator has not reviewed, those with most to gain first."""
    images, features = known_features(project)
    if not images:
        raise InputError(f"{project.folder}: no image of it could be read")
    records = [project.record(image.id, annotator) for image in images]
    reviewed = np.array([one is not None and one.state.is_reviewed for one in records])
    # How sure the automatic mask is; nobody knows what the image holds where there is none.
    scores = [None if one is None else one.score for one in records]
    doubt = np.array([_UNKNOWN_DOUBT if one is None else 1 - min(one, 1.0) for one in scores])
    order, apart = most_to_gain(features, doubt, reviewed)
    return {images[row].id: _why(scores[row], far) for row, far in zip(order, apart, strict=True)}


def _why(score: float | None, apart: float) -> str:
    sure = "no automatic mask" if score is None else f"mask confidence {score:.2f}"
    return f"{sure}; {apart:.2f} from the nearest image before it"


def wrong(project: Project, annotator: str, _image_id: str) -> dict[str, str]:
    """Return the masks of an annotator that are truth, those that look wrong first.

    Raises
    ------
    InputError
        When there are none.
    """
    records = [project.record(image.id, annotator) for image in project.images]
    truth = [one for one in records if one is not None and one.state.is_truth]
    if not truth:
        raise InputError(f"{project.folder}: {annotator or 'nobody'} has reviewed no mask yet")
    learned, alike = _learned_overlaps(project), _alike(project, truth)
    others = [name for name in project.annotators() if name != annotator_key(annotator)]
    masks, images = [], []
    for record in truth:
        image = project.image(record.image)
        # What cannot be read is said where it is opened.
        with suppress(InputError):
            mask = project.mask(image.id, annotator)
            if mask is None:
                continue
            theirs = truth_masks(project, image.id, others)
            ignored = ignored_regions(project, image.id, (*theirs, annotator))
            own = ignored.get(annotator)
            known = {
                "overlap": learned.get((image.id, record.mask_sha256), np.nan),
                "agreed": min(
                    (
                        scores(mask, other, either(own, ignored.get(name))).dice
                        for name, other in theirs.items()
                    ),
                    default=np.nan,
                ),
                "alike": alike.get(image.id, np.nan),
            }
            if np.isnan(known["overlap"]) and record.recipe is not None:
                known["overlap"] = _proposed_overlap(project, record, mask)
            gray = project.read_image(image.id, check=False).gray
            masks.append(measured(gray, mask, record.label or image.label, **known))
            images.append(image.id)
    told = suspicion(masks)
    order = sorted(range(len(told)), key=lambda number: -told[number][0])
    return {images[number]: told[number][1] or "nothing unusual" for number in order}


def _learned_overlaps(project: Project) -> dict[tuple[str, str], float]:
    """Return the Dice of masks that were learned from other images, by image and digest."""
    found = {}
    for version in learned_versions(project.folder):
        for one in version.card["images"]:
            # Earlier versions do not tell it.
            if "dice" in one:
                found[one["id"], one["mask_sha256"]] = float(one["dice"])
    return found


def _proposed_overlap(project: Project, record: ReviewRecord, mask: BoolMask) -> float:
    """Return the Dice with the automatic mask that an annotator began with; NaN for none."""
    if record.recipe is not None and record.recipe.base == "automatic":
        with suppress(InputError):
            steps = replay_edits(project, record.image, record.annotator).steps
            return scores(mask, steps[0]).dice
    return float("nan")


def _alike(project: Project, truth: list[ReviewRecord]) -> dict[str, float]:
    """Return the share of "no defect" among the reviewed images that look most like each."""
    images, features = known_features(project)
    empty = {one.image: not one.area for one in truth}
    rows = [row for row, image in enumerate(images) if image.id in empty]
    if len(rows) <= 2 * _NEIGHBOURS:
        return {}
    none = np.array([empty[images[row].id] for row in rows])
    return {
        images[row].id: float(none[nearest(features[rows], place)[0][:_NEIGHBOURS]].mean())
        for place, row in enumerate(rows)
    }


RANKINGS = {
    "similar": Ranking("Like the open image", similar, by_features=True),
    "gain": Ranking("Most to gain first", gain, by_features=True),
    "wrong": Ranking("Looks wrong first", wrong, by_features=True),
    "audit": Ranking("Audit sample", audit_sample),
}
"""By the name that `QueueFilter.order` gives them."""
