"""Concepts as clusters of pixels described by several layers at once, to compare CRAFT with.

A pixel's descriptor is what each layer says at its place, every layer scaled to unit power. The
concepts are clusters of these descriptors; a cluster matters by the class's gradient along the
activations at its pixels.

References
----------
.. [1] A. Posada-Moreno et al., "ECLAD: Extracting Concepts with Local Aggregated Descriptors",
   Pattern Recognition 147, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from napari_semxai.backends.classifier.layers.outputs import registrations
from napari_semxai.backends.concepts.maps import enlarged, upsampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.types import Registration

_SAMPLED = 20_000


class ConceptClusters:
    """Clusters of a class.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (M, N)
        Of the class.
    classifier : Classifier
        What describes pixels.
    target : int
        Index of the class.
    layers : sequence of str
        The finest, whose cells are the pixels, comes first.
    n_clusters : int
        How many concepts.

    Attributes
    ----------
    importances : ndarray of float32, shape (k,)
        Mean of gradient times activation over the cluster's pixels; not negative.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        classifier: Classifier,
        target: int,
        layers: Sequence[str],
        n_clusters: int = 10,
    ) -> None:
        self._classifier, self._target = classifier, target
        self._layers = [(layer, registrations(classifier, (layer,))) for layer in layers]
        self._scales = [1.0] * len(layers)
        described = [self._describe(image) for image in images]
        powers = [[float((part**2).sum(-1).mean()) for part in one.parts] for one in described]
        self._scales = [float(scale) for scale in 1 / np.sqrt(np.mean(powers, axis=0))]
        pixels = np.concatenate([one.joined(self._scales) for one in described])
        relevance = np.concatenate([one.relevance.ravel() for one in described])
        sampled = np.random.default_rng(0).permutation(len(pixels))[:_SAMPLED]
        self._kmeans = MiniBatchKMeans(n_clusters, random_state=0, n_init=3, batch_size=4096)
        self._kmeans.fit(pixels[sampled])
        owners = self._kmeans.predict(pixels)
        sums = np.bincount(owners, relevance, n_clusters)
        means = sums / np.maximum(np.bincount(owners, minlength=n_clusters), 1)
        self.importances = np.maximum(means, 0).astype(np.float32)

    def maps(self, image: NDArray[np.uint8], *, weighted: bool) -> NDArray[np.float32]:
        """Return how far each pixel is inside each cluster, shape (k, M, N).

        Parameters
        ----------
        image : ndarray of uint8, shape (M, N)
            The image.
        weighted : bool
            Whether pixels count by their own gradient times activation too.
        """
        described = self._describe(image)
        distances = self._kmeans.transform(described.joined(self._scales))
        nearest = np.sort(distances, axis=1)[:, :2]
        rest = np.where(distances == nearest[:, :1], nearest[:, 1:], nearest[:, :1])
        inside = np.maximum(rest - distances, 0).astype(np.float32)
        low = inside.T.reshape(-1, *described.relevance.shape)
        if weighted:
            low = low * np.maximum(described.relevance, 0)
        return upsampled(np.ascontiguousarray(low), (image.shape[0], image.shape[1]))

    def _describe(self, image: NDArray[np.uint8]) -> _Described:
        outputs: dict[str, torch.Tensor] = {}

        def watch(layer: str) -> torch.utils.hooks.RemovableHandle:
            def keep(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
                outputs[layer] = output
                # The next layer may write into what it gets.
                return output.clone()

            return self._classifier.network.get_submodule(layer).register_forward_hook(keep)

        with self._classifier.lock, torch.enable_grad():
            handles = [watch(layer) for layer, _ in self._layers]
            inputs = self._classifier.to_input(image).requires_grad_()
            logit = self._classifier.network(inputs)[0, self._target]
            for handle in handles:
                handle.remove()
            kept = [outputs[layer] for layer, _ in self._layers]
            gradients = torch.autograd.grad(logit, kept)
        shape = tuple(kept[0].shape[2:])
        parts, relevance = [], np.zeros(shape, np.float32)
        for (_, places), output, gradient in zip(self._layers, kept, gradients, strict=True):
            along = (output * gradient)[0].sum(0, keepdim=True).detach().numpy()
            # Of equal weight, whatever the number of cells.
            relevance += _placed(along * along[0].size, shape, places)[0] / len(kept)
            parts.append(_placed(output[0].detach().numpy(), shape, places))
        return _Described([part.transpose(1, 2, 0) for part in parts], relevance)


@dataclass(frozen=True, slots=True, eq=False)
class _Described:
    """Descriptors of an image: of each layer, shape (m, n, D), and their relevance (m, n)."""

    parts: list[NDArray[np.float32]]
    relevance: NDArray[np.float32]

    def joined(self, scales: Sequence[float]) -> NDArray[np.float32]:
        parts = [part * np.float32(scale) for part, scale in zip(self.parts, scales, strict=True)]
        whole = np.concatenate(parts, axis=-1)
        return whole.reshape(-1, whole.shape[-1])


def _placed(
    low: NDArray[np.float32],
    shape: tuple[int, int],
    places: Sequence[Registration],
) -> NDArray[np.float32]:
    positive = enlarged(np.maximum(low, 0), shape, places)
    return positive - enlarged(np.maximum(-low, 0), shape, places)
