"""The Grad-CAM family: where a network found evidence for a class.

References
----------
.. [1] R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
   Gradient-based Localization", ICCV 2017.
.. [2] J. Gildenblat et al., "PyTorch library for CAM methods",
   https://github.com/jacobgil/pytorch-grad-cam, 2021.
.. [3] B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_semxai.algorithms.algorithm1.edge_strips import framed, picture_border, within
from napari_semxai.backends.cam.methods import CamRun, run_cam
from napari_semxai.backends.classifier.classifier import answers_with_nan
from napari_semxai.backends.classifier.layers.outputs import cam_fault, layers_of, registrations
from napari_semxai.backends.runtime.libraries import cv2
from napari_semxai.backends.runtime.stepwise import finish, stepwise
from napari_semxai.types import (
    CAM_METHODS,
    BoolMask,
    Border,
    CamMethod,
    Heatmap,
    InputError,
    Progress,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray
    from torch.utils.hooks import RemovableHandle

    from napari_semxai.backends.classifier.classifier import Classifier


_TOLERANCE = 1e-4


class DenseHead(nn.Module):
    """A network with global average and linear layer, its linear layer at every place instead.

    The mean over all places is the network's own answer, so a part of the places is a part of
    the evidence; what a place says are the class activation maps of [3]_.

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
                # Tried out: names of modules say little about what they do.
                if _same(features.mean((2, 3)), read) and _same(linear(read), logits):
                    return linear, rectified
        raise InputError(
            "evidence inside a mask needs a network that ends with a global average and one "
            "linear layer; this one does not"
        )


def _same(one: Tensor, other: Tensor) -> bool:
    limit = _TOLERANCE * max(1.0, float(other.abs().max()))
    return one.shape == other.shape and torch.allclose(one, other, atol=limit)


# Places of a map that every one of them is compared with.
_MOST_PLACES = 64 * 64


def gradcam(  # noqa: PLR0913 - what decides a map
    image: NDArray[Any],
    classifier: Classifier,
    *,
    target: int | None = None,
    layer: str | Sequence[str] | None = None,
    method: str = "gradcam",
    mask: BoolMask | None = None,
    as_drawn: bool = False,
) -> Heatmap:
    """Explain a class by a method of the Grad-CAM family.

    Parameters
    ----------
    image : ndarray of uint8, shape (M, N)
        The image.
    classifier : Classifier
        Whose answer is explained.
    target : int, optional
        Index of the class; by default the predicted one.
    layer : str or sequence of str, optional
        Target layers by dotted name; the maps of several are averaged. By default the
        classifier's own.
    method : str
        A name of `napari_semxai.types.CAM_METHODS`.
    mask : ndarray of bool, shape (M, N), optional
        Explain only the evidence that the network finds inside this mask.
    as_drawn : bool
        Leave the map as the library draws it. By default it is moved to where the layers look,
        which is measured once for each layer, and 0 in info bars and edge strips.

    Returns
    -------
    Heatmap
        At the image's size.

    Raises
    ------
    InputError
        For a class, layer, method or mask that the classifier cannot be asked about.
    """
    layers = (layer,) if isinstance(layer, str) else tuple(layer or ())
    return finish(
        gradcam_steps(
            image,
            classifier,
            target=target,
            layers=layers,
            method=method,
            mask=mask,
            as_drawn=as_drawn,
            border=picture_border(image),
        )
    )


def gradcam_steps(  # noqa: PLR0913 - as `gradcam`
    image: NDArray[Any],
    classifier: Classifier,
    *,
    target: int | None = None,
    layers: tuple[str, ...] = (),
    method: str = "gradcam",
    mask: BoolMask | None = None,
    as_drawn: bool = False,
    border: Border = (0, 0, 0, 0),
) -> Generator[Progress, None, Heatmap]:
    """Do the same as `gradcam` as a generator; the slow methods yield after every batch.

    Shows nothing in the `border` (top, right, bottom, left), unless as the library draws it.
    """
    chosen = method_of(method)
    target = _target_of(image, classifier, target)
    layers = () if chosen.whole_network else layers or (classifier.default_layer,)
    inputs = classifier.to_input(image)
    check_layers(classifier, layers, chosen)
    rows, columns = image.shape[:2]
    if mask is not None:
        _check_mask(mask, (rows, columns), chosen, last=layers == (classifier.default_layer,))
    places = registrations(classifier, layers)
    shifts = () if as_drawn else tuple(place.shift for place in places)
    border = (0, 0, 0, 0) if as_drawn else border
    question = _Question(inputs, layers, chosen, target, mask, classifier.default_layer, shifts)
    if chosen.batch > 1:
        run = yield from _slow(classifier, question)
    else:
        with classifier.lock:
            run = question.ask(classifier.network)
    # The library's map has the network's input size; the image may have any.
    if not np.isfinite(run.raw_maximum):
        raise InputError(answers_with_nan(classifier.info.name))
    values, drawn = (
        np.clip(cv2.resize(one, (columns, rows), interpolation=cv2.INTER_LINEAR), 0, 1)
        * np.float32(run.raw_maximum > 0)
        for one in (run.values, run.drawn)
    )
    return Heatmap(
        values=framed(within(values, border)[None], border)[0],
        raw_maximum=run.raw_maximum,
        method=chosen.name,
        target=target,
        class_name=classifier.class_names[target],
        layers=layers,
        sha256=classifier.info.sha256,
        inside_mask=mask is not None,
        registrations=places,
        as_drawn=as_drawn,
        drawn=np.rint(drawn * 255).astype(np.uint8) if any(map(any, (*shifts, border))) else None,
        classifier=classifier.info.name,
        border=border,
    )


def method_of(name: str) -> CamMethod:
    """Find a method by its name."""
    for method in CAM_METHODS:
        if method.name == name:
            return method
    names = ", ".join(method.name for method in CAM_METHODS)
    raise InputError(f"{name}: no such method; choose one of {names}")


def check_target(classifier: Classifier, target: int) -> int:
    """Return `target` when the classifier has such a class; grad-cam would say nothing."""
    names = classifier.class_names
    if not 0 <= target < len(names):
        raise InputError(
            f"class {target}: {classifier.info.name} has the classes 0 to {len(names) - 1} "
            f"({', '.join(names)})"
        )
    return target


def _target_of(image: NDArray[Any], classifier: Classifier, target: int | None) -> int:
    if target is None:
        return int(np.argmax(classifier.predict(image)))
    return check_target(classifier, target)


def check_layers(classifier: Classifier, layers: tuple[str, ...], method: CamMethod) -> None:
    """Refuse layers that the network lacks or that give no map to explain."""
    known = layers_of(classifier)
    for name in layers:
        output = known.get(name)
        reason = cam_fault(output)
        if output is not None and not reason:
            _, rows, columns = output.map_shape
            if method.compares_places and rows * columns > _MOST_PLACES:
                reason = f"its map of {rows} x {columns} is too fine for {method.title}"
            elif method.channels_first and output.layout != "channels_first":
                reason = f"{method.title} needs a map with channels first"
        if reason:
            raise InputError(
                f"layer {name}: {reason}; by default it is {classifier.default_layer}"
            )


def _check_mask(mask: BoolMask, shape: tuple[int, int], method: CamMethod, *, last: bool) -> None:
    if mask.shape != shape:
        raise InputError(f"the mask has shape {mask.shape}, the image {shape}")
    if not mask.any():
        raise InputError("the mask is empty: there is nothing inside it to explain")
    if not method.inside_mask:
        raise InputError(f"{method.title} cannot look inside a mask; LayerCAM and HiResCAM can")
    if last and method.averages:
        raise InputError(
            f"{method.title} says the same of every mask at the last layer, where it averages "
            "the evidence; take LayerCAM, HiResCAM or an earlier layer"
        )


def _slow(classifier: Classifier, question: _Question) -> Generator[Progress, None, CamRun]:
    """Run a method that needs the network many times, on a copy that nobody else runs."""
    # Minutes long: on a copy, so that a click on another class need not wait for it.
    with classifier.lock:
        network = copy.deepcopy(classifier.network)
    known = layers_of(classifier)
    batch = question.method.batch
    # One run more for the map itself, and for Ablation-CAM one for what it compares with.
    total = sum(-(-known[name].map_shape[0] // batch) + 2 for name in question.layers)
    total = total or -(-int(question.method.passes) // batch)

    def work(checkpoint: Callable[[], None]) -> CamRun:
        network.register_forward_pre_hook(lambda *_: checkpoint())
        return question.ask(network)

    steps, start = stepwise(work), time.perf_counter()
    try:
        while True:
            done = next(steps)
            left = (time.perf_counter() - start) / done * max(0, total - done)
            yield Progress(question.method.name, min(done, total), total, left)
    except StopIteration as end:
        run: CamRun = end.value
        return run
    finally:
        steps.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """Everything but the network that decides a map."""

    inputs: Tensor
    layers: tuple[str, ...]
    method: CamMethod
    target: int
    mask: BoolMask | None
    last_layer: str
    shifts: tuple[tuple[float, float], ...]

    def ask(self, network: nn.Module) -> CamRun:
        modules = [network.get_submodule(name) for name in self.layers]
        if self.mask is not None:
            shape = (self.mask.shape[0], self.mask.shape[1])
            network = DenseHead(network, self.last_layer, self.inputs, shape)
        asked = self.method, self.target, self.mask, self.shifts
        return run_cam(network, self.inputs, modules, *asked)
