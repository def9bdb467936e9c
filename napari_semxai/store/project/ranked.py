"""Orders of a project's images that no single record tells: each image with a reason in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_semxai.algorithms.statistics.ranking import most_to_gain, nearest
from napari_semxai.store.project.certificates import audit_sample
from napari_semxai.store.project.features import known_features, read_features
from napari_semxai.store.project.project import Project
from napari_semxai.types import InputError

_UNKNOWN_DOUBT = 1.0


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
    known = read_features(project.folder)
    return len({image.sha256 for image in project.images} - known.keys())


def similar(project: Project, _annotator: str, image_id: str) -> dict[str, str]:
    """Return an image and all others, the most alike first.

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
    order, alike = nearest(features, ids.index(image_id))
    found = {ids[row]: f"similarity {value:.2f}" for row, value in zip(order, alike, strict=True)}
    return {image_id: "the image that the others are compared with", **found}


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


RANKINGS = {
    "similar": Ranking("Like the open image", similar, by_features=True),
    "gain": Ranking("Most to gain first", gain, by_features=True),
    "audit": Ranking("Audit sample", audit_sample),
}
"""By the name that `QueueFilter.order` gives them."""
