"""Sanity checks of maps: a map must depend on the network and its class, not on a little noise.

References
----------
.. [1] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: randomised weights.
.. [2] L. Sixt, M. Granz and T. Landgraf, "When Explanations Lie: Why Many Modified BP
   Attributions Fail", ICML 2020: another logit.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import rankdata

from napari_semxai.backends.classifier.classifier import Classifier
from napari_semxai.types import Sanity

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from napari_semxai.types import FloatArray

    Explain: TypeAlias = Callable[[NDArray[Any], Classifier, int], FloatArray]

NOISE = 2.0
"""Standard deviation of the noise in grey levels of 255, which nobody sees."""
_NOISY = 4


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
    values = explain(image, classifier, target)
    others = classifier.predict(image).copy()
    others[target] = -1
    rng = np.random.default_rng(0)
    noisy = [explain(_with_noise(image, rng), classifier, target) for _ in range(_NOISY)]
    return Sanity(
        randomised=rank_correlation(values, explain(image, randomised(classifier), target)),
        other_class=rank_correlation(values, explain(image, classifier, int(others.argmax()))),
        noise=float(np.mean([rank_correlation(values, other) for other in noisy])),
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
