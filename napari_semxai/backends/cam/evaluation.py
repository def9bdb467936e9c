"""Checks of heat maps: faithfulness (does the answer change where a map points?) and sanity.

A map must depend on the network and its class, not on a little noise.

References
----------
.. [1] V. Petsiuk, A. Das, K. Saenko, "RISE: Randomized Input Sampling for Explanation of
   Black-box Models", BMVC 2018: insertion and deletion.
.. [2] Y. Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods",
   ICML 2022: ROAD. The filling in is grad-cam's.
.. [3] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: randomised weights.
.. [4] L. Sixt, M. Granz and T. Landgraf, "When Explanations Lie: Why Many Modified BP
   Attributions Fail", ICML 2020: another logit.
"""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from torch.nn import functional

from napari_semxai.backends.classifier.classifier import Classifier
from napari_semxai.backends.runtime.libraries import qt_paths_kept
from napari_semxai.backends.runtime.stepwise import finish
from napari_semxai.types import Checks, Faithfulness, Progress, Sanity
from napari_semxai.types.explain import RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_semxai.types import FloatArray

    Explain: TypeAlias = Callable[[NDArray[Any], Classifier, int], FloatArray]

with qt_paths_kept():
    from pytorch_grad_cam.metrics.road import ROADCombined

FRACTIONS = (0.0, 1 / 64, 1 / 32, 1 / 16, *(eighth / 8 for eighth in range(1, 9)))
"""Shares of the pixels that are changed: close where small defects are."""
ROAD_PERCENTILES = (95, 90, 80, 50)
"""ROAD takes out what is above these: 5, 10, 20 and 50 % of the pixels."""
BLUR = 1 / 20
"""Standard deviation of the blurred image as a share of the input's shorter side."""
FILLS = ("grey", "blurred")
"""What stands for pixels that are not there: the image's mean, and the image blurred."""
_SEED = 0
NOISE = 2.0
"""Standard deviation of the noise in grey levels of 255, which nobody sees."""
_NOISY = 4


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
    inputs, ranks = _ranked(image, values, classifier)
    plane = inputs[0].numpy()
    grey, blurred = _fills(plane).values()
    return Faithfulness(
        insertion=_area(classifier, target, ranks, blurred, plane),
        deletion=_area(classifier, target, ranks, plane, grey),
        road=_road(inputs, ranks, classifier, target),
    )


def _ranked(
    image: NDArray[Any], values: FloatArray, classifier: Classifier
) -> tuple[Tensor, NDArray[np.int64]]:
    """Return the network's input, and the rank of each of its pixels."""
    inputs = classifier.to_input(image)
    small = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(values, np.float32))[None, None],
        inputs.shape[2:],
        mode="bilinear",
        antialias=True,
    )[0, 0]
    return inputs, relevance_ranks(small.numpy())


def _fills(plane: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Return what may stand for pixels that are not there, by name; each (C, H, W)."""
    mean = np.broadcast_to(plane.mean(axis=(1, 2), keepdims=True), plane.shape)
    sigma = BLUR * min(plane.shape[1:])
    return dict(zip(FILLS, (mean, gaussian_filter(plane, (0, sigma, sigma))), strict=True))


def _area(
    classifier: Classifier,
    target: int,
    ranks: NDArray[np.int64],
    start: NDArray[np.float32],
    end: NDArray[np.float32],
) -> float:
    """Return the area under the class's probability while pixels go from `start` to `end`."""
    steps = [np.where(ranks < share * ranks.size, end, start) for share in FRACTIONS]
    batch = torch.from_numpy(np.stack(steps).astype(np.float32))
    with classifier.lock, torch.inference_mode():
        logits = torch.cat([classifier.network(part) for part in batch.split(RUN)])
    found = classifier.probabilities(logits)[:, target]
    return float(np.trapezoid(found.numpy(), FRACTIONS))


def fill_areas(
    image: NDArray[Any],
    values: FloatArray,
    classifier: Classifier,
    target: int,
    names: Sequence[str] = FILLS,
) -> dict[str, tuple[float, float]]:
    """Return the areas of insertion and deletion by fill; arguments as in `faithfulness`."""
    inputs, ranks = _ranked(image, values, classifier)
    plane = inputs[0].numpy()
    fills = _fills(plane)
    return {
        name: (
            _area(classifier, target, ranks, fills[name], plane),
            _area(classifier, target, ranks, plane, fills[name]),
        )
        for name in names
    }


def check_steps(
    image: NDArray[np.uint8],
    values: FloatArray,
    classifier: Classifier,
    target: int,
    explain: Explain,
) -> Generator[Progress, None, Checks]:
    """Check one map by insertion and deletion with two fills, and by `sanity`.

    Parameters
    ----------
    image, values, classifier, target
        As in `faithfulness`.
    explain : callable
        As in `sanity`.

    Yields
    ------
    Progress
        Before each part, so that it can be stopped there.
    """
    areas = dict[str, tuple[float, float]]()
    total = len(FILLS) + 3 + _NOISY
    for done, name in enumerate(FILLS):
        yield Progress("insertion and deletion", done, total)
        areas |= fill_areas(image, values, classifier, target, (name,))
    steps, done = sanity_steps(image, explain, classifier, target), len(FILLS)
    try:
        while True:
            next(steps)
            yield Progress("sanity", done, total)
            done += 1
    except StopIteration as end:
        return Checks(areas, end.value)


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


def sanity(
    image: NDArray[np.uint8], explain: Explain, classifier: Classifier, target: int
) -> Sanity:
    """Compare a map with those that it should and should not be like.

    Parameters
    ----------
    image : ndarray of uint8, shape (M, N)
        The explained image.
    explain : callable
        Makes the map (M, N) of an image, a classifier and the index of a class.
    classifier : Classifier
        The explained network; it is left as it is.
    target : int
        Index of the explained class.

    Returns
    -------
    Sanity
    """
    return finish(sanity_steps(image, explain, classifier, target))


def sanity_steps(
    image: NDArray[np.uint8], explain: Explain, classifier: Classifier, target: int
) -> Generator[None, None, Sanity]:
    """Do the same as `sanity` as a generator that yields before every map."""
    others = classifier.predict(image).copy()
    others[target] = -1
    rng = np.random.default_rng(0)
    asked = [
        (image, classifier, target),
        (image, randomised(classifier), target),
        (image, classifier, int(others.argmax())),
        *((_with_noise(image, rng), classifier, target) for _ in range(_NOISY)),
    ]
    maps = []
    for one in asked:
        yield
        maps.append(explain(*one))
    first, mixed, other, *noisy = maps
    return Sanity(
        randomised=rank_correlation(first, mixed),
        other_class=rank_correlation(first, other),
        noise=float(np.mean([rank_correlation(first, one) for one in noisy])),
    )


def randomised(classifier: Classifier, seed: int = 0) -> Classifier:
    """Return the same network with the values of every weight in random places."""
    with classifier.lock:
        network = copy.deepcopy(classifier.network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            mixed = weight.flatten()[torch.randperm(weight.numel(), generator=generator)]
            weight.copy_(mixed.view_as(weight))
    return Classifier(network, classifier.info)


def rank_correlation(one: FloatArray, other: FloatArray) -> float:
    """Return Spearman's correlation of two maps; 0 where one is the same everywhere."""
    ranks = [rankdata(values.ravel()) for values in (one, other)]
    if any(np.ptp(values) == 0 for values in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _with_noise(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    noisy = image + rng.normal(0, NOISE, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
