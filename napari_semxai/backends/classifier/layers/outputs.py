"""Which layers a network has, what they give, and where in the image they look.

References
----------
.. [1] W. Luo, Y. Li, R. Urtasun and R. Zemel, "Understanding the Effective Receptive Field in
   Deep Convolutional Neural Networks", NeurIPS 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from napari_semxai.backends.runtime.libraries import cv2
from napari_semxai.types import Registration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
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


# Places of discs as shares of the sides: away from the borders, where a map is cut off, and at
# all phases of the cells.
_PLACES = (
    *((0.31, 0.34), (0.42, 0.59), (0.53, 0.45), (0.64, 0.63)),
    *((0.37, 0.67), (0.59, 0.31), (0.47, 0.50), (0.66, 0.42)),
)
_RADIUS = 1 / 16
# In normalised units, in which images have a deviation of about 1.
_GRAIN, _BRIGHT, _DARK = 0.1, 1.0, -1.0
_AT_ONCE = 4
_registered: WeakKeyDictionary[Classifier, dict[str, Registration]] = WeakKeyDictionary()


def registrations(classifier: Classifier, names: Sequence[str]) -> tuple[Registration, ...]:
    """Return where layers look; measured the first time, in one go, then known.

    Parameters
    ----------
    classifier : Classifier
        Whose network is run 17 times the first time.
    names : sequence of str
        Dotted names of layers that give maps.

    Returns
    -------
    tuple of Registration
    """
    # With the classifier, so that other weights are measured anew.
    known = _registered.setdefault(classifier, {})
    with classifier.lock:
        missing = tuple(name for name in dict.fromkeys(names) if name not in known)
        if missing:
            known.update(_measured(classifier, missing))
    return tuple(known[name] for name in names)


def _measured(classifier: Classifier, names: tuple[str, ...]) -> dict[str, Registration]:
    """Put discs at known places, and see where the layers answer to them.

    The centre of a cell's effective receptive field [1]_ is where a layer answers to a change of
    the image. Padding and strides alone do not tell: training makes up for them, or does not.
    """
    shape = (classifier.info.channels, *classifier.info.input_size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * _GRAIN
    discs = [noise + step * _disc(p, shape) for step in (_BRIGHT, _DARK) for p in _PLACES]
    found: dict[str, list[Tensor]] = {name: [] for name in names}

    def note(name: str) -> RemovableHandle:
        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            found[name].append(to_map(output))

        return classifier.network.get_submodule(name).register_forward_hook(keep)

    handles = [note(name) for name in names]
    try:
        with torch.inference_mode():
            for batch in torch.stack([noise, *discs]).split(_AT_ONCE):
                classifier.network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return {name: _registration(name, torch.cat(maps)) for name, maps in found.items()}


def _registration(name: str, maps: Tensor) -> Registration:
    """Compare where a layer answers, maps (1 + discs, C, m, n), with where the discs are."""
    size = (maps[1:] - maps[:1]).norm(dim=1).double()
    # A late layer answers a little everywhere: what answers most tells the place.
    answer = (size - size.flatten(1).median(dim=1).values[:, None, None]).clamp_min(0).square()
    cells = torch.tensor(answer.shape[1:], dtype=torch.double)
    axes = [(torch.arange(side) + 0.5) / side for side in answer.shape[1:]]
    total = answer.sum((1, 2))
    rows, columns = answer.sum(2) @ axes[0].double(), answer.sum(1) @ axes[1].double()
    centres = torch.stack([rows, columns], dim=1) / total[:, None]
    offsets = torch.tensor(_PLACES * 2, dtype=torch.double) - centres
    signs = offsets.split(len(_PLACES))

    def median(values: Tensor) -> tuple[float, float]:
        down, right = values.quantile(0.5, dim=0).tolist()
        return down, right

    scatter = float((offsets.std(dim=0) * cells).max())
    return Registration(name, median(offsets), median(signs[0]), median(signs[1]), scatter)


def _disc(place: tuple[float, float], shape: tuple[int, ...]) -> Tensor:
    """Return 1 inside a disc around a place, 0 elsewhere, in the shape (C, H, W)."""
    rows, columns = (torch.arange(side) + 0.5 for side in shape[1:])
    square = (rows[:, None] - place[0] * shape[1]) ** 2 + (columns - place[1] * shape[2]) ** 2
    return (square <= (_RADIUS * min(shape[1:])) ** 2).float().expand(shape)


def moved(maps: NDArray[np.float32], shift: tuple[float, float]) -> NDArray[np.float32]:
    """Move maps (k, M, N) down and right by shares of their sides; the border is repeated."""
    rows, columns = maps.shape[1:]
    if shift == (0.0, 0.0):
        return maps
    move = np.array([[1, 0, shift[1] * columns], [0, 1, shift[0] * rows]], np.float32)
    size = (columns, rows)
    placed = [cv2.warpAffine(one, move, size, borderMode=cv2.BORDER_REPLICATE) for one in maps]
    return np.stack(placed).astype(np.float32, copy=False)
