"""The factorization behind CRAFT, as steps with progress; crops are cut by xplique."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from napari_semxai.algorithms.explanations.concepts import explained_variance
from napari_semxai.backends.concepts.maps import (
    ALPHA_W,
    coefficients,
    importance_steps,
    latents_of,
    logits_of,
    one_thread,
)
from napari_semxai.backends.runtime.libraries import craft_torch
from napari_semxai.backends.runtime.stepwise import numpy_seed, stepwise
from napari_semxai.types import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable

    from torch import Tensor

    from napari_semxai.backends.classifier.layers.split import Split

_BATCH = 16
# A head that is not linear is run 32 (k + 2) times for each image whose importances count.
_MOST_IMAGES = 8
# With more a slider of k would not follow, and concepts are the same: R² 0.910 of 8,000 cells,
# 0.901 of 1,143.
_MOST_CELLS = 1500


@dataclass(frozen=True, slots=True)
class CraftSettings:
    """What decides the concepts, apart from images and network; see `CraftFitRequest`."""

    target: int
    layer: str = ""
    n_concepts: int = 10
    patch_size: int = 64
    seed: int = 0
    pieces: str = "crops"


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """What a fit finds.

    Attributes
    ----------
    vectors : ndarray of float32, shape (k, D)
        The concepts (W).
    piece_values : ndarray of float32, shape (pieces, k)
        How much of each concept each piece shows (U); image after image, row after row.
    latents : ndarray of float32, shape (B, m, n, D)
        g of the images.
    found : ndarray of float32, shape (B, m, n, k)
        Coefficients of the images.
    importances : ndarray of float32, shape (k,)
        Mean total Sobol indices.
    classes : ndarray of int64, shape (B,)
        What the network says of the images.
    """

    vectors: NDArray[np.float32]
    piece_values: NDArray[np.float32]
    latents: NDArray[np.float32]
    found: NDArray[np.float32]
    importances: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Activations:
    """What the network says of images before any concepts: the slow part of a fit.

    Attributes
    ----------
    pieces : ndarray of float32, shape (pieces, D)
        What is factorized: the means over crops, as xplique takes them, or some of the cells of
        `latents`.
    latents, classes
        See `Factors`.
    """

    pieces: NDArray[np.float32]
    latents: NDArray[np.float32]
    classes: NDArray[np.int64]


# Of the last fit alone, some 100 MB for 100 images: a slider moves the number of concepts of one.
_known: dict[Hashable, Activations] = {}


def factor_steps(
    split: Split, inputs: Tensor, settings: CraftSettings, key: Hashable = None
) -> Generator[Progress, None, Factors]:
    """Factorize the activations of pieces, then weigh the concepts on the whole images.

    Fits of the same `key`, of network, layer, pieces, patch and images, share the activations.
    """
    known = _known.get(key)
    if known is None:
        known = yield from _activation_steps(split, inputs, settings)
        if key is not None:
            _known.clear()
            _known[key] = known
    yield Progress("factorize", 0, 1)
    # As in xplique, whose own would want TensorFlow.
    reducer = NMF(n_components=settings.n_concepts, alpha_W=ALPHA_W)
    with warnings.catch_warnings(), numpy_seed(settings.seed), one_thread():
        # xplique stops after 200 iterations, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        values = np.asarray(reducer.fit_transform(known.pieces), np.float32)
    vectors = np.asarray(reducer.components_, np.float32)
    found = coefficients(known.latents, vectors)
    # In closed form all images cost nothing; by running the head a few must do.
    chosen = found if split.linear else found[_spread(len(found))]
    importances = yield from _importances(split, chosen, vectors, settings.target)
    mean = importances.mean(axis=0, dtype=np.float64).astype(np.float32)
    return Factors(vectors, values, known.latents, found, mean, known.classes)


def _activation_steps(
    split: Split, inputs: Tensor, settings: CraftSettings
) -> Generator[Progress, None, Activations]:
    crops = None
    if settings.pieces == "crops":
        crops = yield from _crop_steps(split, inputs, settings)
    latents, classes = [], []
    for start in range(0, len(inputs), _BATCH):
        yield Progress("images", start, len(inputs))
        batch = inputs[start : start + _BATCH]
        latents.append(latents_of(split, batch))
        with torch.no_grad():
            classes.append(split.h(split.g(batch)).argmax(1).numpy())
    known = np.concatenate(latents)
    pieces = _some_cells(known) if crops is None else crops
    return Activations(pieces, known, np.concatenate(classes))


def _some_cells(latents: NDArray[np.float32]) -> NDArray[np.float32]:
    cells = latents.reshape(-1, latents.shape[-1])
    # Not every n-th: that may be the same column of every image.
    chosen = np.random.default_rng(0).permutation(len(cells))[:_MOST_CELLS]
    return cells[np.sort(chosen)]


def _importances(
    split: Split, found: NDArray[np.float32], vectors: NDArray[np.float32], target: int
) -> Generator[Progress, None, NDArray[np.float32]]:
    steps, start = importance_steps(split, found, vectors, target), time.perf_counter()
    try:
        while True:
            done, total = next(steps)
            left = (time.perf_counter() - start) / done * (total - done) if done else None
            yield Progress("importances", done, total, left)
    except StopIteration as end:
        indices: NDArray[np.float32] = end.value
        return indices


def _crop_steps(
    split: Split, inputs: Tensor, settings: CraftSettings
) -> Generator[Progress, None, NDArray[np.float32]]:
    yield Progress("import", 0, 1)
    fitted = craft_torch()(
        nn.Sequential(split.g, nn.ReLU()),
        split.h,
        number_of_concepts=settings.n_concepts,
        batch_size=_BATCH,
        patch_size=settings.patch_size,
        device="cpu",
    )
    stride = int(0.8 * settings.patch_size)
    per_image = math.prod((side - settings.patch_size) // stride + 1 for side in inputs.shape[2:])
    total = -(-len(inputs) * per_image // _BATCH)

    def work(checkpoint: Callable[[], None]) -> NDArray[np.float32]:
        # xplique tells nothing of its progress and cannot be stopped; each run of the network can.
        handle = split.g.register_forward_hook(lambda *_: checkpoint())
        try:
            return np.asarray(fitted._extract_patches(inputs)[1], np.float32)
        finally:
            handle.remove()

    steps, start = stepwise(work), time.perf_counter()
    try:
        while True:
            done = next(steps)
            left = (time.perf_counter() - start) / done * (total - done)
            yield Progress("crops", done, total, left)
    except StopIteration as end:
        crops: NDArray[np.float32] = end.value
        return crops
    finally:
        steps.close()


def _spread(count: int) -> NDArray[np.intp]:
    """Choose at most `_MOST_IMAGES` of so many images, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_IMAGES)).round().astype(np.intp))


def reconstruction_r2(factors: Factors) -> float:
    """Return the share of the activations' variance that the concepts hold."""
    channels = factors.latents.shape[-1]
    rebuilt = factors.found @ factors.vectors
    return explained_variance(factors.latents.reshape(-1, channels), rebuilt.reshape(-1, channels))


def reconstruction_agreement(split: Split, factors: Factors) -> float:
    """Return the share of images whose class stays the same from concepts alone."""
    return _agreement(split, factors.classes, factors.found, factors.vectors)


def clamp_agreement(split: Split, factors: Factors) -> float:
    """Return the share of images whose class stays the same without values below 0."""
    identity = np.eye(factors.latents.shape[-1], dtype=np.float32)
    return _agreement(split, factors.classes, factors.latents, identity)


def _agreement(
    split: Split,
    classes: NDArray[np.int64],
    found: NDArray[np.float32],
    vectors: NDArray[np.float32],
) -> float:
    # One by one: all latents of many images would not fit.
    rebuilt = [int(logits_of(split, one[None], vectors).argmax()) for one in found]
    return float(np.mean(classes == rebuilt))
