"""A classifier's evidence at every place, to ask what it found inside a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

_TOLERANCE = 1e-4


class DenseHead(nn.Module):
    """A network with global average and linear layer, its linear layer at every place instead.

    The mean over all places is the network's own answer, so a part of the places is a part of
    the evidence.

    Parameters
    ----------
    network : nn.Module
        Classifier in evaluation mode.
    layer : str
        The layer with its last map.
    inputs : Tensor, shape (1, C, H, W)
        To look at the network with.
    size : tuple of int
        (M, N) of the logits' map.

    Raises
    ------
    InputError
        When the network's head is another one.
    """

    def __init__(
        self, network: nn.Module, layer: str, inputs: Tensor, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.network = network
        self._layer = network.get_submodule(layer)
        self._size = size
        self._map: Tensor = inputs
        head, rectified = self._head(inputs)
        self._rectified = rectified
        self._weight, self._bias = head.weight, head.bias

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, classes, M, N) of images (B, C, H, W)."""
        with self._watched():
            self.network(image)
        features = torch.relu(self._map) if self._rectified else self._map
        logits = torch.einsum("bchw,kc->bkhw", features, self._weight)
        if self._bias is not None:
            logits = logits + self._bias[:, None, None]
        return nn.functional.interpolate(logits, self._size, mode="bilinear", align_corners=False)

    def _watched(self) -> RemovableHandle:
        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self._map = output

        return self._layer.register_forward_hook(keep)

    def _head(self, inputs: Tensor) -> tuple[nn.Linear, bool]:
        """Return the linear layer that reads the map's mean, and whether it is rectified first."""
        reads: list[tuple[nn.Linear, Tensor]] = []

        def note(module: nn.Linear, given: tuple[Tensor, ...]) -> None:
            reads.append((module, given[0]))

        handles = [
            module.register_forward_pre_hook(note)
            for module in self.network.modules()
            if isinstance(module, nn.Linear)
        ]
        try:
            with torch.no_grad(), self._watched():
                logits = self.network(inputs)
        finally:
            for handle in handles:
                handle.remove()
        if reads and self._map.ndim == 4:
            linear, read = reads[-1]
            for rectified in (False, True):
                features = torch.relu(self._map) if rectified else self._map
                if _same(features.mean((2, 3)), read) and _same(linear(read), logits):
                    return linear, rectified
        raise InputError(
            "evidence inside a mask needs a network that ends with a global average and one "
            "linear layer; this one does not"
        )


def _same(one: Tensor, other: Tensor) -> bool:
    limit = _TOLERANCE * max(1.0, float(other.abs().max()))
    return one.shape == other.shape and torch.allclose(one, other, atol=limit)
