"""Classifiers: from an image to calibrated probabilities of its classes."""

from __future__ import annotations

import re
import threading
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_semxai.algorithms.exposure import to_gray8, to_uint8
from napari_semxai.backends.classifier.files import BUNDLED, read_classifier
from napari_semxai.backends.runtime.tensor_files import is_state_dict, read_content
from napari_semxai.types import Classification, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.types import ClassifierInfo


_FAILURES = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d, nn.MaxPool2d, nn.Dropout)
# Transformers hand tokens on; Grad-CAM takes them before the last block's attention.
_TOKEN_LAYERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"encoder\.layers\.encoder_layer_\d+\.ln_1",  # ViT of torchvision
        r"features\.\d+\.\d+\.norm1",  # Swin of torchvision
        r"blocks\.\d+\.norm1",  # ViT of timm
        r"layers\.\d+\.blocks\.\d+\.norm1",  # Swin of timm
    )
)


def probe(network: nn.Module, info: ClassifierInfo) -> str:
    """Run the network once, so that what cannot work is refused before anybody needs it.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    info : ClassifierInfo
        Its description.

    Returns
    -------
    str
        Dotted name of the layer to explain by default: the block that makes the last map
        before the global pool; the last block's first norm in transformers.

    Raises
    ------
    InputError
        When the network does not run, or has not one logit a class.
    """
    size = (1, info.channels, *info.input_size)
    maps = _Maps()
    try:
        # Zeros will do: only shapes, and who makes which map, are looked at.
        with torch.inference_mode(), maps.watched(network):
            logits = network(torch.zeros(size))
    except _FAILURES as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{info.name}: does not run on an input of shape {size} ({reason}); "
            "correct input_size and channels in its JSON file"
        ) from error
    wanted = (1, len(info.class_names))
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != wanted:
        raise InputError(
            f"{info.name}: answers with {found} where its {wanted[1]} class names need {wanted}; "
            "correct class_names in its JSON file"
        )
    return _token_layer(name for name, _ in network.named_modules()) or maps.last_block(info.name)


def _token_layer(names: Iterable[str]) -> str | None:
    """Return the layer of a transformer that explanations take, or None for other networks."""
    found = [name for name in names if any(p.fullmatch(name) for p in _TOKEN_LAYERS)]
    return found[-1] if found else None


class _Maps:
    """Which modules made which maps, in the order of the run."""

    def __init__(self) -> None:
        self._made: list[tuple[str, nn.Module, Tensor]] = []

    def watched(self, network: nn.Module) -> ExitStack:
        """Return a context in which every map that `network` makes is noted."""
        stack = ExitStack()
        for name, module in network.named_modules():
            if name and not isinstance(module, _POOLS):
                handle = module.register_forward_hook(self._note(name))
                stack.callback(handle.remove)
        return stack

    def _note(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, _: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
                self._made.append((name, module, output))

        return note

    def last_block(self, network: str) -> str:
        """Return the innermost module with parts that returned the last map, or its maker."""
        if not self._made:
            raise InputError(f"{network}: makes no maps that could be explained")
        last = self._made[-1][2]
        times = Counter(name for name, _, _ in self._made)
        makers = [
            (name, any(True for _ in module.children()))
            for name, module, output in self._made
            if output is last and times[name] == 1
        ]
        blocks = [name for name, has_parts in makers if has_parts]
        return blocks[0] if blocks else makers[-1][0]


class Classifier:
    """One network with all that belongs to it.

    Parameters
    ----------
    network : nn.Module
        From inputs (B, C, H, W) to logits (B, classes); put in evaluation mode.
    info : ClassifierInfo
        Names, input and calibration.

    Attributes
    ----------
    network : nn.Module
        In evaluation mode; call it only while holding `lock`.
    info : ClassifierInfo
        As given.
    lock : threading.RLock
        Hooks of explanations and forward passes of several threads would mix otherwise.
    default_layer : str
        Dotted name of the module that Grad-CAM explains by default.

    Raises
    ------
    InputError
        When the network does not run, or has not one logit a class.
    """

    def __init__(self, network: nn.Module, info: ClassifierInfo) -> None:
        self.network = network.eval()
        self.info = info
        # Hooks of a running explanation change the network: whoever runs it holds this.
        self.lock = threading.RLock()
        self.default_layer = probe(network, info)
        self._known: dict[str, Tensor] = {}
        self._read_familiarity()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the probabilities."""
        return self.info.class_names

    def to_input(self, image: NDArray[Any]) -> Tensor:
        """Return the image as the network wants it.

        Parameters
        ----------
        image : ndarray, shape (M, N), (M, N, 3) or (M, N, 4)
            8-bit values stay as they are; all others are scaled by percentile.

        Returns
        -------
        Tensor
            float32 of shape (1, C, H, W), resized and normalised.

        Raises
        ------
        InputError
            For other shapes and types.
        """
        try:
            pixels = image_pixels(image, self.info.channels)
        except ValueError as error:
            raise InputError(f"cannot be classified: {error}") from error
        return normalised(resized(pixels, self.info), self.info)

    def predict(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return the probability of every class.

        Parameters
        ----------
        image : ndarray, shape (M, N), (M, N, 3) or (M, N, 4)
            See `to_input`.

        Returns
        -------
        ndarray of float32, shape (classes,)
            softmax(logits / temperature).

        Raises
        ------
        InputError
            When the image is none, or an answer is no number.
        """
        return self.classify(image).probabilities

    def classify(self, image: NDArray[Any]) -> Classification:
        """Return the probability of every class, and whether the image is strange.

        Takes and raises what `predict` does.
        """
        known = self.info.familiarity
        inputs = self.to_input(image)
        with self.lock, torch.inference_mode(), ExitStack() as stack:
            maps = [self.watch(stack, layer) for layer in (known.layers if known else ())]
            logits = self.network(inputs)[0]
        probabilities: NDArray[np.float32] = self.probabilities(logits).numpy()
        if not np.isfinite(probabilities).all():
            raise InputError(answers_with_nan(self.info.name))
        strange = False
        if known:
            numbers = map_statistics([seen[-1] for seen in maps])
            strange = bool(strangeness(numbers, self._known) > 0)
        return Classification(probabilities, self.class_names, self.info, strange)

    def features(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return what the last linear layer reads of an image, shape (D,), of length 1.

        Raises
        ------
        InputError
            When the network ends in no linear layer.
        """
        heads = [
            name for name, module in self.network.named_modules() if isinstance(module, nn.Linear)
        ]
        if not heads:
            raise InputError(f"{self.info.name}: ends in no linear layer that reads features")
        inputs = self.to_input(image)
        with self.lock, torch.inference_mode(), ExitStack() as stack:
            read = self.watch(stack, heads[-1], given=True)
            self.network(inputs)
        features: NDArray[np.float32] = read[-1].flatten().float().cpu().numpy()
        return features / np.float32(max(float(np.linalg.norm(features)), 1e-12))

    def _read_familiarity(self) -> None:
        known = self.info.familiarity
        if known is None:
            return
        content = read_content(known.path)
        numbers = content if is_state_dict(content) else {}
        # NaN is over nothing: with it no image would ever be strange.
        if not numbers or not all(bool(values.isfinite().all()) for values in numbers.values()):
            raise InputError(f"{known.path}: holds no finite numbers by name; copy it again")
        # Once: `strangeness` reckons in double precision, for every image.
        self._known = {name: values.double() for name, values in numbers.items()}
        try:
            self.classify(np.zeros(self.info.input_size, np.uint8))
        except InputError:  # it is the network itself that cannot answer
            raise
        except _FAILURES as error:
            raise InputError(
                f"{known.path}: fits no layers of {self.info.name} ({error})"
            ) from error

    def watch(self, stack: ExitStack, layer: str, *, given: bool = False) -> list[Tensor]:
        """Return a list that gets what a layer answers, or is `given`, until `stack` is left.

        Hold `lock` meanwhile; `layer` is a dotted name.
        """
        seen: list[Tensor] = []
        module = self.network.get_submodule(layer)
        handle = module.register_forward_hook(
            lambda _module, inputs, output: seen.append(inputs[0] if given else output)
        )
        stack.callback(handle.remove)
        return seen

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return calibrated probabilities of `logits`, shape (…, classes)."""
        return torch.softmax(logits.float() / self.info.temperature, -1)


def map_statistics(maps: Sequence[Tensor]) -> Tensor:
    """Return what every channel of maps (B, C, H, W) is like, layer by layer.

    The mean, then the logarithms of standard deviation, of maximum, and of the standard deviation
    of the means of 4 × 4 parts, each plus 0.001; of all channels the first, then the second, ….

    Returns
    -------
    Tensor
        float32 of shape (B, four times the sum of all C).
    """
    parts = []
    for one in maps:
        values = one.float()
        deviations, means = torch.std_mean(values, dim=(2, 3))
        regions = functional.adaptive_avg_pool2d(values, 4).flatten(2).std(2)
        sizes = torch.stack([deviations, values.amax((2, 3)).clamp_min(0), regions], 1)
        parts += [means, torch.log(sizes + 1e-3).flatten(1)]
    return torch.cat(parts, 1)


def strangeness(numbers: Tensor, known: dict[str, Tensor]) -> Tensor:
    """Return a quadratic form of `numbers` (B, D), shape (B,): over 0 for what is strange.

    With u = directions (K, D) · numbers + offsets (K,), it is squares (K,) · u² + slopes (K,) · u
    and the bias.
    """
    along = numbers.double() @ known["directions"].double().T + known["offsets"]
    squares, slopes = (known[name].double() for name in ("squares", "slopes"))
    return along.square() @ squares + along @ slopes + known["bias"]


def answers_with_nan(name: str) -> str:
    """Return what to say of a network whose answers are no numbers."""
    return f"{name}: answers with NaN; its weights are damaged, so load another file of them"


def image_pixels(image: NDArray[Any], channels: int) -> NDArray[np.uint8]:
    """Return an image as 8 bit, in grey for a network of one channel.

    Raises
    ------
    ValueError
        For what is no image.
    """
    return to_uint8(image) if channels == 3 else to_gray8(image)


def resized(pixels: NDArray[np.uint8], info: ClassifierInfo) -> Tensor:
    """Return pixels (M, N) or (M, N, 3) as (1, C, H, W) in [0, 1], before normalisation."""
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    values = torch.from_numpy(np.array(planes, np.float32))[None] / 255
    if tuple(values.shape[2:]) == info.input_size:
        return values
    # Antialiased, and the same whether a picture is enlarged or reduced.
    return functional.interpolate(
        values, info.input_size, mode="bilinear", align_corners=False, antialias=True
    )


def normalised(values: Tensor, info: ClassifierInfo) -> Tensor:
    """Return values (B, 1 or C, H, W) in [0, 1] as the network's C channels, normalised."""
    mean = torch.tensor(info.mean)[:, None, None]
    std = torch.tensor(info.std)[:, None, None]
    return ((values - mean) / std).contiguous()


def load_classifier(path_or_name: str | Path = BUNDLED) -> Classifier:
    """Load a classifier.

    Parameters
    ----------
    path_or_name : str or Path
        "bundled", or the path of weights with a JSON file of the same stem beside them:
        safetensors, a state dict saved by torch, or an exported program (.pt2).

    Returns
    -------
    Classifier
        On the CPU.

    Raises
    ------
    InputError
        When a file is missing, damaged, does not fit its description, or could run code.

    Examples
    --------
    >>> import napari_semxai as sx
    >>> classifier = sx.load_classifier()
    >>> classifier.predict(np.zeros((480, 480), np.uint8)).shape
    (6,)
    """
    return Classifier(*read_classifier(path_or_name))
