"""Which images a classifier sees as most like another one: why it says what it says, by example.

The features of files are kept in the cache, by classifier and file; a search compares all of them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_semxai.backends.runtime.libraries import cv2
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import text_digest
from napari_semxai.store.disk.folders import features_folder
from napari_semxai.store.images.read import read_image
from napari_semxai.types import InputError, Nearest, Progress, ReviewedFile

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_semxai.backends.classifier.classifier import Classifier

SIDE = 64
"""Of the small pictures, in pixels."""
_SAVE_EVERY = 200


class FeatureFile:
    """The features of image files to one classifier, as a file of the cache.

    Parameters
    ----------
    classifier : Classifier
        Whose features.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._path = features_folder() / f"{text_digest(classifier.info.key)[:32]}.safetensors"
        self.known: dict[str, NDArray[np.float32]] = {}
        try:
            with safe_open(self._path, framework="np") as file:
                keys = json.loads((file.metadata() or {})["keys"])
                self.known = dict(zip(keys, file.get_tensor("features"), strict=True))
        # Not there yet, or damaged: it is made anew.
        except (OSError, KeyError, ValueError, SafetensorError):
            pass

    def add(self, file: ReviewedFile) -> None:
        """Look at a file that is not known yet; `InputError` where it cannot be read."""
        self.known[key_of(file)] = self._classifier.features(read_image(file.path, file.page).gray)

    def save(self) -> None:
        """Keep what is known."""
        features = np.stack(list(self.known.values()))
        data = save({"features": features}, {"keys": json.dumps(list(self.known))})
        with atomic_write(self._path) as file:
            file.write(data)


def key_of(file: ReviewedFile) -> str:
    """Name the content of a file as far as its place, size and time tell it."""
    state = file.path.stat()
    return f"{file.path}:{file.page}:{state.st_size}:{state.st_mtime_ns}"


def nearest_steps(
    image: NDArray[Any], classifier: Classifier, files: Sequence[ReviewedFile], count: int
) -> Generator[Progress, None, Nearest]:
    """Find the files that a classifier sees as most like an image.

    Parameters
    ----------
    image : ndarray of uint8, shape (M, N)
        The image.
    classifier : Classifier
        Whose features are compared.
    files : sequence of ReviewedFile
        Where to look. What cannot be read is left out.
    count : int
        How many to find.

    Yields
    ------
    Progress
        While files are looked at for the first time.

    Returns
    -------
    Nearest

    Raises
    ------
    InputError
        When none of the files can be read.
    """
    kept = yield from feature_steps(classifier, files)
    there = _there(files)
    keys = [key for key in there if key in kept.known]
    if not keys:
        raise InputError("none of the images to compare with can be read")
    similarities = np.stack([kept.known[key] for key in keys]) @ classifier.features(image)
    best = np.argsort(-similarities, kind="stable")[:count]
    found = tuple(there[keys[number]] for number in best)
    crops = [cv2.resize(read_image(one.path, one.page).gray, (SIDE, SIDE)) for one in found]
    return Nearest(found, similarities[best], np.array(crops, np.uint8))


def feature_steps(
    classifier: Classifier, files: Sequence[ReviewedFile]
) -> Generator[Progress, None, FeatureFile]:
    """Look at all files that are not known yet, and return the features of all."""
    kept, there = FeatureFile(classifier), _there(files)
    missing = [key for key in there if key not in kept.known]
    for done, key in enumerate(missing):
        yield Progress("features", done, len(missing))
        try:
            kept.add(there[key])
        except InputError:
            continue
        if done % _SAVE_EVERY == _SAVE_EVERY - 1:
            kept.save()
    if missing and kept.known:
        kept.save()
    return kept


def _there(files: Sequence[ReviewedFile]) -> dict[str, ReviewedFile]:
    return {key_of(file): file for file in files if file.path.is_file()}
