"""Which layers a network has, what they give, and which of them explanations can use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch.utils.hooks import RemovableHandle

    from napari_semxai.backends.classifier.classifier import Classifier

Layout: TypeAlias = Literal["channels_first", "channels_last", "tokens"]


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """What one module gave for one image.

    Attributes
    ----------
    shape : tuple of int
        Of the output, with the batch axis.
    layout : str or None
        How the output holds a map of more than one pixel; None when it is no such map.
    minimum, maximum : float
        Smallest and largest value.
    calls : int
        How often the module ran.
    """

    shape: tuple[int, ...]
    layout: Layout | None
    minimum: float
    maximum: float
    calls: int

    @property
    def map_shape(self) -> tuple[int, ...]:
        """(channels, m, n), or () where the output is no map."""
        if self.layout == "channels_first":
            return self.shape[1:]
        if self.layout == "channels_last":
            return (self.shape[3], *self.shape[1:3])
        if self.layout == "tokens":
            side = math.isqrt(self.shape[1])
            return (self.shape[2], side, side)
        return ()


def cam_fault(output: LayerOutput | None) -> str:
    """Say why Grad-CAM cannot explain a layer with this output; "" when it can."""
    if output is None:
        return "the network has no such layer, or it gives no tensor"
    if output.layout is None:
        return "its output is no map"
    if output.calls > 1:
        return f"the network runs it {output.calls} times for one image"
    return ""


def layout_of(shape: Iterable[int]) -> Layout | None:
    """Tell how an output of this shape holds a map; transformers put channels last.

    Parameters
    ----------
    shape : iterable of int
        With the batch axis. Maps with channels last are square; so are the maps that tokens
        stand for, with or without one class token before them.
    """
    match tuple(shape):
        case (_, a, b, c) if a == b != c and b > 1:
            return "channels_last"
        case (_, _, b, c) if b * c > 1:
            return "channels_first"
        case (_, t, _) if t > 2 and (math.isqrt(t) ** 2 == t or math.isqrt(t - 1) ** 2 == t - 1):
            return "tokens"
    return None


def to_map(output: Tensor) -> Tensor:
    """Return a copy of an output as a map with channels first, (B, C, m, n).

    A copy, since a layer that follows may write into the tensor.

    Raises
    ------
    ValueError
        When the output is no map.
    """
    layout = layout_of(output.shape)
    if layout == "channels_first":
        return output.clone()
    if layout == "channels_last":
        return output.permute(0, 3, 1, 2).clone()
    if layout == "tokens":
        side = math.isqrt(output.shape[1])
        patches = output[:, output.shape[1] - side**2 :]
        maps: Tensor = patches.transpose(1, 2).unflatten(2, (side, side)).clone()
        return maps
    raise ValueError(f"an output of shape {tuple(output.shape)} is no map")


class _Recorder:
    """Notes what every module gives."""

    def __init__(self) -> None:
        self.outputs: dict[str, LayerOutput] = {}

    def watch(self, name: str, module: nn.Module) -> RemovableHandle:
        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                earlier = self.outputs.pop(name, None)
                self.outputs[name] = LayerOutput(
                    tuple(output.shape),
                    layout_of(output.shape),
                    float(output.min()),
                    float(output.max()),
                    1 if earlier is None else earlier.calls + 1,
                )

        return module.register_forward_hook(note)


def probe_layers(network: nn.Module, image: Tensor) -> dict[str, LayerOutput]:
    """Run a network once and note what each of its modules gives.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    image : Tensor, shape (1, C, H, W)
        What to run it on.

    Returns
    -------
    dict of LayerOutput
        By dotted name, in the order in which the modules end; only those that give a tensor.
    """
    recorder = _Recorder()
    handles = [recorder.watch(name, module) for name, module in network.named_modules() if name]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return recorder.outputs


_known: WeakKeyDictionary[Classifier, dict[str, LayerOutput]] = WeakKeyDictionary()


def layers_of(classifier: Classifier) -> dict[str, LayerOutput]:
    """Return `probe_layers` of a classifier's network, which is run the first time only."""
    if classifier not in _known:
        rows, columns = classifier.info.input_size
        # Noise, so that an activation that can be negative is.
        image = np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)
        with classifier.lock:
            _known[classifier] = probe_layers(classifier.network, classifier.to_input(image))
    return _known[classifier]
