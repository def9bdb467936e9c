"""By what images are alike: why a classifier says what it says, and orders of a project.

The features of files are kept in the cache, by classifier and file; a search compares all of them.
Those of a project's images lie in the project: what SAM 2's encoder sees in them and what the
bundled classifier does, which was taught which differences matter, where the map of defects shows
one, and around it.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor
from torch.nn import functional

from napari_semxai.backends.classifier.classifier import load_classifier
from napari_semxai.backends.runtime.libraries import cv2
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import text_digest
from napari_semxai.store.disk.folders import features_folder
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.learned import read_features, write_features
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError, Nearest, Progress, ReviewedFile

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.types.learned import FeaturesRequest

SIDE = 64
"""Of the small pictures, in pixels."""
_SAVE_EVERY, _SAVE_SECONDS = 200, 15.0
_LAYERS = tuple(f"features.blocks{number}" for number in (2, 3, 4, 5))
"""Of the bundled classifier; the first ones see what SAM 2's encoder sees, too."""
_AROUND = 9
"""Cells of the finest level across which a defect's surroundings reach."""
_EVERYWHERE = 1e-5
"""Weight of every cell: of an image without a defect the whole is compared."""


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


class Describer:
    """Both bundled networks, which say what images are compared by."""

    def __init__(self) -> None:
        # Explanations, which need no SAM 2, start sooner.
        from napari_semxai.backends.sam2.dense import bundled_head, encoded, pixels_of
        from napari_semxai.backends.sam2.segmenter import Segmenter

        segmenter = Segmenter("bundled", device="cpu", steady=True)
        self._encoded = partial(encoded, segmenter.network.image_encoder.trunk)
        head, (level, spread) = bundled_head()
        self._head, self._pixels = head.eval(), partial(pixels_of, level=level, spread=spread)
        self._classifier = load_classifier()

    @torch.inference_mode()
    def described(self, gray: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return the features of an image (M, N), shape (1344,).

        The mean answers of every channel in the defect, then those around it.
        """
        classifier, levels = self._classifier, self._encoded(gray)
        chance = torch.sigmoid(self._head(self._pixels(gray), levels))
        chance = functional.adaptive_avg_pool2d(chance, levels[0].shape[-1])
        near = functional.max_pool2d(chance, _AROUND, 1, _AROUND // 2)
        with classifier.lock, ExitStack() as stack:
            maps = [classifier.watch(stack, layer) for layer in _LAYERS]
            classifier.network(classifier.to_input(gray))
        levels += [one[-1] for one in maps]
        means = [_mean(level, where) for where in (chance, near - chance) for level in levels]
        return np.asarray(torch.cat(means).half().numpy())


def _mean(level: Tensor, where: Tensor) -> Tensor:
    """Return the mean answer of every channel, shape (c,), weighed by a map (1, 1, m, n)."""
    weights = functional.adaptive_avg_pool2d(where, level.shape[-1]) + _EVERYWHERE
    return (level.float() * weights).sum((0, 2, 3)) / weights.sum()


def project_feature_steps(request: FeaturesRequest) -> Generator[Progress, None, None]:
    """Let both networks look at every image of a project, and keep what they see in the project.

    What was done is kept when the generator is closed, and every quarter of a minute.

    Parameters
    ----------
    request : FeaturesRequest
        Which project.

    Yields
    ------
    Progress
        Of all its images; those that cannot be read are left out.
    """
    project = open_project(request.project)
    known = read_features(project.folder)
    missing = {one.sha256: one for one in project.images if one.sha256 not in known}
    describer = Describer()
    before, began = len(known), time.monotonic()
    saved = began
    try:
        for number, image in enumerate(missing.values()):
            each = (time.monotonic() - began) / number if number else None
            left = None if each is None else each * (len(missing) - number)
            yield Progress("Features", before + number, before + len(missing), left)
            with suppress(InputError):
                known[image.sha256] = describer.described(project.read_image(image.id).gray)
            if time.monotonic() - saved > _SAVE_SECONDS:
                write_features(project.folder, known)
                saved = time.monotonic()
    finally:
        if missing:
            write_features(project.folder, known)
