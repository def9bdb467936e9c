"""Where the concepts of a bank are in one image, made finer, and how they are drawn.

A late layer knows what it sees but not where. Three things bring it back: its cells are put where
they look, which is measured; an earlier layer, which has finer cells, says where anything differs
from the rest of the image; and the image's edges say where it ends. The last two can only shape
what the concepts found, not add to it.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from napari_semxai.algorithms.explanations.concepts import (
    linear_sobol_indices,
    sobol_indices,
    sobol_masks,
)
from napari_semxai.backends.classifier.layers.outputs import moved
from napari_semxai.backends.runtime.libraries import cv2

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_semxai.backends.classifier.layers.split import Split
    from napari_semxai.types import Registration

ALPHA_W = 1e-2
"""Regularization of the coefficients, as in xplique."""
_BATCH = 16
_SHOWN = 5
# Of the guided filter, as a share of the image's variance.
_SOFTNESS = 0.1
_FILTER_PERCENTILE, _CLIP_PERCENTILE = 90, 10


def coefficients(latents: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[Any]:
    """Return how much of each concept there is at each place, as xplique does.

    Parameters
    ----------
    latents : ndarray of float32, shape (..., D)
        Not negative.
    vectors : ndarray of float32, shape (k, D)
        The concepts.

    Returns
    -------
    ndarray of float32, shape (..., k)
    """
    reducer = NMF(n_components=len(vectors), alpha_W=ALPHA_W)
    reducer.components_ = vectors
    reducer.n_features_in_ = vectors.shape[1]
    flat = latents.reshape(-1, latents.shape[-1])
    with warnings.catch_warnings(), one_thread():
        # 200 iterations are what xplique stops at too.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found: NDArray[Any] = reducer.transform(flat)
    return found.reshape(*latents.shape[:-1], len(vectors))


def one_thread() -> AbstractContextManager[Any]:
    """Keep BLAS to one thread: on small matrices threads wait for each other, for seconds."""
    limited: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limited


def latents_of(split: Split, inputs: Tensor) -> NDArray[np.float32]:
    """Return g of images (B, C, H, W), clamped to be not negative, shape (B, m, n, D)."""
    with torch.no_grad():
        latents = split.g(inputs).clamp_min(0)
    found: NDArray[np.float32] = latents.permute(0, 2, 3, 1).contiguous().numpy()
    return found


def importance_steps(
    split: Split, found: NDArray[np.float32], vectors: NDArray[np.float32], target: int
) -> Generator[tuple[int, int], None, NDArray[np.float32]]:
    """Compute the total Sobol indices of the concepts in each image.

    In closed form where the head is linear, else by running it 32 (k + 2) times an image.

    Parameters
    ----------
    split : Split
        The network.
    found : ndarray of float32, shape (B, m, n, k)
        Coefficients.
    vectors : ndarray of float32, shape (k, D)
        The concepts.
    target : int
        Index of the class.

    Yields
    ------
    tuple of int
        Runs done, and all of them.

    Returns
    -------
    ndarray of float32, shape (B, k)
    """
    if split.linear:
        weights = head_weights(split.h, vectors.shape[1], target).numpy()
        return linear_sobol_indices(found.mean(axis=(1, 2)) * (vectors @ weights))
    masks = sobol_masks(len(vectors))
    parts = np.array_split(masks, -(-len(masks) // _BATCH))
    indices: list[NDArray[np.float32]] = []
    for image in found:
        outputs: list[NDArray[np.float32]] = []
        for part in parts:
            yield len(indices) * len(parts) + len(outputs), len(found) * len(parts)
            kept = image * part[:, None, None, :]
            outputs.append(logits_of(split, kept, vectors)[:, target])
        indices.append(sobol_indices(np.concatenate(outputs), len(vectors)))
    return np.array(indices)


def logits_of(
    split: Split, found: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the logits (B, classes) of latents put together from concepts (B, m, n, k)."""
    latents = torch.from_numpy(np.asarray(found @ vectors, np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits: NDArray[np.float32] = split.h(latents).numpy()
    return logits


def upsampled(low: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return maps at the image's size, not negative.

    Parameters
    ----------
    low : ndarray of float32, shape (k, m, n)
        The maps.
    shape : tuple of int
        (M, N).

    Returns
    -------
    ndarray of float32, shape (k, M, N)
    """
    size = (shape[1], shape[0])
    maps = np.stack(
        [np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_CUBIC)) for one in low]
    ).astype(np.float32, copy=False)
    return np.maximum(maps, np.float32(0))


def guided(
    maps: NDArray[np.float32], guide: NDArray[np.uint8], low_shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Filter maps (k, M, N) so that they follow the edges of an image (M, N).

    Within windows of one cell of the map each map becomes a linear function of the image.

    References
    ----------
    .. [1] K. He, J. Sun and X. Tang, "Guided Image Filtering", TPAMI 35 (6), 2013.
    """
    rows, columns = guide.shape
    window = (2 * (columns // low_shape[1]) + 1, 2 * (rows // low_shape[0]) + 1)

    def mean(values: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, window), np.float32)

    image = np.asarray(cv2.GaussianBlur(guide.astype(np.float32) / 255, (0, 0), 1.0), np.float32)
    center = mean(image)
    variance = mean(image * image) - center * center
    softness = _SOFTNESS * float(image.var()) + 1e-6
    result = np.empty_like(maps)
    for index, one in enumerate(maps):
        level = mean(one)
        slope = (mean(image * one) - center * level) / (variance + softness)
        result[index] = mean(slope) * image + mean(level - slope * center)
    return result


def rendering(
    low: NDArray[np.float32], shape: tuple[int, int], colors: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Draw the first five concepts in pure colours on black, as CRAFT's figures do.

    Each is shown above its own 90th percentile, enlarged, clipped to its 10th and 90th
    percentile and scaled to its own range: what is tinted tells of ranks, not of evidence.

    Parameters
    ----------
    low : ndarray of float32, shape (k, m, n)
        Maps, most important first.
    shape : tuple of int
        (M, N).
    colors : ndarray of uint8, shape (k, 3)
        Of the concepts.

    Returns
    -------
    ndarray of uint8, shape (M, N, 3)
    """
    picture = np.zeros((*shape, 3), np.float32)
    # The most important one is drawn last, on top.
    for one, color in reversed(list(zip(low[:_SHOWN], colors, strict=False))):
        kept = one * (one > np.percentile(one, _FILTER_PERCENTILE))
        large = cv2.resize(kept, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
        lowest, highest = np.percentile(large, [_CLIP_PERCENTILE, 100 - _CLIP_PERCENTILE])
        if highest > lowest:
            opacity = ((np.clip(large, lowest, highest) - lowest) / (highest - lowest))[..., None]
            picture += opacity * (color.astype(np.float32) - picture)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8)


def activity(latents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much a layer's map differs from what it shows in most of the image.

    Parameters
    ----------
    latents : ndarray of float32, shape (m, n, D)
        Of one image.

    Returns
    -------
    ndarray of float32, shape (m, n)
        0 where it differs no more than half of the image.
    """
    deviation = latents - np.median(latents, axis=(0, 1))
    size = np.sqrt((deviation**2).sum(axis=-1))
    return np.asarray(np.maximum(size - np.median(size), 0), np.float32)


def sharpened(
    maps: NDArray[np.float32],
    detail: NDArray[np.float32] | None,
    image: NDArray[Any],
    low_shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Shape maps by an earlier layer and by the image.

    Parameters
    ----------
    maps : ndarray of float32, shape (k, M, N)
        Not negative.
    detail : ndarray of float32, shape (M, N), or None
        Activity of the earlier layer, not negative.
    image : ndarray of uint8, shape (M, N)
        Whose edges the maps follow.
    low_shape : tuple of int
        Rows and columns of the maps before they were enlarged.

    Returns
    -------
    ndarray of float32, shape (k, M, N)
        The geometric mean of map and detail, both relative to their maxima, in the map's unit.
    """
    if detail is not None and detail.max() > 0:
        peaks = maps.max(axis=(1, 2), keepdims=True)
        maps = np.sqrt(maps * (detail / detail.max()) * peaks)
    return np.maximum(guided(maps, image, low_shape), np.float32(0))


def enlarged(
    low: NDArray[np.float32], shape: tuple[int, int], places: Sequence[Registration]
) -> NDArray[np.float32]:
    """Return maps (k, m, n) at the image's size, put where their layer looks; () for as drawn."""
    large = upsampled(low, shape)
    return moved(large, places[0].shift) if places else large


def head_weights(h: torch.nn.Module, channels: int, target: int) -> Tensor:
    """Return the weight of each channel's mean in a logit, for a linear `h`; shape (D,)."""
    with torch.no_grad():
        zero = torch.zeros(1, channels, 1, 1)
        # Of an affine function the differences from 0 are the weights, whatever code computes it.
        unit = torch.eye(channels)[..., None, None]
        weights: Tensor = h(unit)[:, target] - h(zero)[:, target]
    return weights
