"""Insertion, deletion and ROAD: whether the answer changes where a map points.

References
----------
.. [1] V. Petsiuk, A. Das, K. Saenko, "RISE: Randomized Input Sampling for Explanation of
   Black-box Models", BMVC 2018: insertion and deletion.
.. [2] Y. Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods",
   ICML 2022: ROAD. The filling in is grad-cam's.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from napari_semxai.backends.runtime.window_safe_import import qt_paths_kept
from napari_semxai.types import Faithfulness

with qt_paths_kept():
    from pytorch_grad_cam.metrics.road import ROADCombined

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.types import FloatArray

FRACTIONS = (0.0, 1 / 64, 1 / 32, 1 / 16, *(eighth / 8 for eighth in range(1, 9)))
"""Shares of the pixels that are changed: close where small defects are."""
ROAD_PERCENTILES = (95, 90, 80, 50)
"""ROAD takes out what is above these: 5, 10, 20 and 50 % of the pixels."""
BLUR = 1 / 20
"""Standard deviation of the blurred image as a share of the input's shorter side."""
_SEED = 0


def faithfulness(
    image: NDArray[Any], values: FloatArray, classifier: Classifier, target: int
) -> Faithfulness:
    """Score a map by the network that it explains.

    Parameters
    ----------
    image : ndarray, shape (M, N)
        The explained image.
    values : ndarray of float, shape (M, N)
        The map; of equal values a fixed random one counts as more relevant.
    classifier : Classifier
        The explained network.
    target : int
        Index of the explained class.

    Returns
    -------
    Faithfulness
    """
    inputs = classifier.to_input(image)
    small = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(values, np.float32))[None, None],
        inputs.shape[2:],
        mode="bilinear",
        antialias=True,
    )[0, 0]
    ranks = relevance_ranks(small.numpy())
    plane = inputs[0].numpy()
    mean = np.broadcast_to(plane.mean(axis=(1, 2), keepdims=True), plane.shape)
    sigma = BLUR * min(plane.shape[1:])
    blurred = gaussian_filter(plane, (0, sigma, sigma))

    def area(start: NDArray[np.float32], end: NDArray[np.float32]) -> float:
        steps = [np.where(ranks < share * ranks.size, end, start) for share in FRACTIONS]
        batch = torch.from_numpy(np.stack(steps).astype(np.float32))
        with classifier.lock, torch.inference_mode():
            found = classifier.probabilities(classifier.network(batch))[:, target]
        return float(np.trapezoid(found.numpy(), FRACTIONS))

    return Faithfulness(
        insertion=area(blurred, plane),
        deletion=area(plane, mean),
        road=_road(inputs, ranks, classifier, target),
    )


def relevance_ranks(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the place of each pixel, 0 for the most relevant; ties in a fixed random order."""
    ties = np.random.default_rng(_SEED).random(values.size)
    order = np.lexsort((ties, -values.ravel()))
    ranks = np.empty(values.size, np.int64)
    ranks[order] = np.arange(values.size)
    return ranks.reshape(values.shape)


def _road(inputs: Tensor, ranks: NDArray[np.int64], classifier: Classifier, target: int) -> float:
    # Equal values would all be taken out together; a map is 0 nearly everywhere.
    relevance = (1 - ranks / max(ranks.size - 1, 1)).astype(np.float32)
    with classifier.lock, torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # grad-cam hands tensors to NumPy's argwhere.
        warnings.filterwarnings("ignore", "__array_wrap__", DeprecationWarning)
        torch.manual_seed(_SEED)
        score = ROADCombined(percentiles=ROAD_PERCENTILES)(
            inputs,
            relevance[None],
            [lambda logits: classifier.probabilities(logits)[target]],
            classifier.network,
        )
    return float(score[0])
