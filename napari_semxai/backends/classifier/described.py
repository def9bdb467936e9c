"""What images of a project are compared by: what the two bundled networks see in each.

SAM 2's encoder tells how an image looks; the classifier was taught which differences matter.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_semxai.backends.classifier.classifier import load_classifier
from napari_semxai.backends.learned.network import encoded
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.store.project.features import read_features, write_features
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError, Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_semxai.types.learned import FeaturesRequest

_LAYERS = tuple(f"features.blocks{number}" for number in (2, 3, 4, 5))
"""Of the bundled classifier; the first ones see what SAM 2's encoder sees, too."""
_SAVE_SECONDS = 15.0


class Describer:
    """Both bundled networks, which say what images are compared by."""

    def __init__(self) -> None:
        segmenter = Segmenter("bundled", device="cpu", steady=True)
        self._trunk = segmenter.network.image_encoder.trunk
        self._classifier = load_classifier()

    @torch.inference_mode()
    def described(self, gray: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return the features of an image (M, N), shape (2016,)."""
        classifier = self._classifier
        with classifier.lock, ExitStack() as stack:
            maps = [classifier.watch(stack, layer) for layer in _LAYERS]
            classifier.network(classifier.to_input(gray))
        seen = [_numbers(encoded(self._trunk, gray)), _numbers([one[-1] for one in maps])]
        return np.asarray(torch.cat(seen).half().numpy())


def _numbers(levels: Sequence[Tensor]) -> Tensor:
    """Return mean, strongest and weakest answer of every channel, shape (3 c,).

    Of all levels, each at the resolution of the coarsest: a defect fills few cells, which the mean
    alone would not tell, and classes differ in what only the fine levels see.
    """
    cells = levels[-1].shape[-1]
    coarse = [functional.adaptive_avg_pool2d(level.float(), cells) for level in levels]
    values = torch.cat(coarse, 1)[0].flatten(1)
    return torch.cat([values.mean(1), values.amax(1), values.amin(1)])


def features_steps(request: FeaturesRequest) -> Generator[Progress, None, None]:
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
