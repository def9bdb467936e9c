"""Files of classifiers: weights, a small JSON file beside them, and networks by their name.

The JSON file says what the weights are; a network has random ones until they are filled in.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_semxai.backends.classifier.exported_program import read_program
from napari_semxai.backends.runtime.tensor_files import is_state_dict, read_content
from napari_semxai.backends.sam2.lite_trunk import STAGES, SameConv
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.weights.models import BUNDLED_CLASSIFIER
from napari_semxai.types import ClassifierInfo, Familiarity, InputError

if TYPE_CHECKING:
    from torch import Tensor

BUNDLED = "bundled"
PROGRAM = "pt2"
_WRAPPERS = ("module.", "_orig_mod.")
_LARGEST = 4096
WIDTH = 672
# The later stages would halve the maps once more; explanations want them fine.
_USED_STAGES = STAGES[:5]


def read_classifier(path_or_name: str | Path) -> tuple[nn.Module, ClassifierInfo]:
    """Read a network and its description.

    Parameters
    ----------
    path_or_name : str or Path
        "bundled" or the path of the weights.

    Raises
    ------
    InputError
        When a file is missing, damaged, does not fit its description, or could run code.
    """
    bundled = path_or_name == BUNDLED
    path = BUNDLED_CLASSIFIER if bundled else Path(path_or_name).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: no such file" + ("; reinstall the package" if bundled else ""))
    info = read_description(path, name=BUNDLED if bundled else path.name)
    if _is_program(path):
        return read_program(path), info
    state = _weights_of(read_content(path), path)
    try:
        network = build_architecture(info.architecture, len(info.class_names), info.channels)
    except InputError as error:
        raise InputError(f"{description_path(path)}: {error}") from error
    _fill(network, state, path, info.architecture)
    return network, info


def description_path(path: Path) -> Path:
    """Return where the description of the weights at `path` lies."""
    return path.with_suffix(".json")


def read_description(path: Path, name: str | None = None) -> ClassifierInfo:
    """Read the JSON file beside the weights at `path`.

    Raises
    ------
    InputError
        When it is missing, no JSON, or a value in it makes no sense.
    """
    beside = description_path(path)
    try:
        values = json.loads(beside.read_bytes())
    except OSError as error:
        raise InputError(
            f"{beside}: missing; write architecture, class_names and input_size of {path.name} "
            "into it"
        ) from error
    except ValueError as error:
        raise InputError(f"{beside}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"{beside}: not a JSON object with architecture, class_names, …")
    description = _Description(values, beside, program=_is_program(path))
    return description.info(name or path.name, file_sha256(path))


def description_of(info: ClassifierInfo) -> dict[str, Any]:
    """Return what the JSON file beside the weights holds."""
    known = info.familiarity
    return {
        "architecture": info.architecture,
        "class_names": list(info.class_names),
        "input_size": list(info.input_size),
        "channels": info.channels,
        "mean": list(info.mean),
        "std": list(info.std),
        "temperature": info.temperature,
        "synthetic": info.synthetic,
        **({"familiarity": {"layers": known.layers, "file": known.path.name}} if known else {}),
    }


class _Description:
    """Checked values of a description; every refusal names the file and the key."""

    def __init__(self, values: dict[str, Any], path: Path, *, program: bool = False) -> None:
        self._values = values
        self._program = program
        self._path = path

    def info(self, name: str, sha256: str) -> ClassifierInfo:
        channels = self._get("channels", 3)
        if channels not in (1, 3):
            raise self._wrong("channels", "1 or 3")
        # Those of ImageNet, which nearly all pretrained weights of three channels expect.
        mean = (0.485, 0.456, 0.406) if channels == 3 else (0.5,)
        std = (0.229, 0.224, 0.225) if channels == 3 else (0.5,)
        # A typo must not become a default in silence, so each value is checked where it is taken.
        return ClassifierInfo(
            name=name,
            sha256=sha256,
            architecture=PROGRAM if self._program else self._text("architecture"),
            class_names=self._class_names(),
            input_size=self._input_size(),
            channels=channels,
            mean=self._numbers("mean", mean),
            std=self._numbers("std", std, positive=True),
            temperature=self._numbers("temperature", (1.0,), positive=True)[0],
            synthetic=self._get("synthetic", False) is True,
            familiarity=self._familiarity(),
        )

    def _familiarity(self) -> Familiarity | None:
        found = self._get("familiarity")
        if found is None:
            return None
        given = found if isinstance(found, dict) else {}
        layers, name = given.get("layers"), given.get("file")
        named = isinstance(layers, list) and all(isinstance(layer, str) for layer in layers)
        if not (named and layers and isinstance(name, str) and name):
            raise self._wrong("familiarity", "an object with layers (names) and file (a name)")
        path = self._path.parent / name
        if not path.is_file():
            raise InputError(f"{path}: no such file; {self._path.name} names it for familiarity")
        return Familiarity(tuple(layers), path, file_sha256(path))

    def _get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def _wrong(self, key: str, wanted: str) -> InputError:
        return InputError(f"{self._path}: {key} is {self._get(key)!r}, it must be {wanted}")

    def _text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a name such as 'resnet18'")
        return value

    def _class_names(self) -> tuple[str, ...]:
        names = self._get("class_names")
        if (
            # Two classes of one name could not be told apart in any list or record.
            not isinstance(names, list)
            or len(names) < 2
            or not all(isinstance(name, str) and name for name in names)
            or len(set(names)) < len(names)
        ):
            raise self._wrong("class_names", "a list of two or more different names")
        return tuple(names)

    def _input_size(self) -> tuple[int, int]:
        size = self._get("input_size")
        sides = [size, size] if isinstance(size, int) else size
        if (
            not isinstance(sides, list)
            or len(sides) != 2
            or not all(type(side) is int and 16 <= side <= _LARGEST for side in sides)
        ):
            raise self._wrong("input_size", f"[rows, columns] between 16 and {_LARGEST}")
        return sides[0], sides[1]

    def _numbers(
        self, key: str, default: tuple[float, ...], *, positive: bool = False
    ) -> tuple[float, ...]:
        found = self._get(key, list(default))
        values = found if isinstance(found, list) else [found]
        if len(values) != len(default) or not all(
            isinstance(value, int | float) and math.isfinite(value) and (value > 0 or not positive)
            for value in values
        ):
            kind = "positive number" if positive else "number"
            raise self._wrong(key, f"{len(default)} {kind}{'s' if len(default) > 1 else ''}")
        return tuple(float(value) for value in values)


def _is_program(path: Path) -> bool:
    return path.suffix.lower() == ".pt2"


def _weights_of(content: Any, path: Path) -> dict[str, Tensor]:
    """Find the weights in a checkpoint, without the prefixes that wrappers add to names."""
    if isinstance(content, dict):
        # Lightning and most training scripts wrap the weights in a dictionary of their own.
        for key in ("state_dict", "model"):
            content = content.get(key, content)
    if not is_state_dict(content):
        raise InputError(f"{path}: no weights by name in it; save network.state_dict()")
    state = dict(content)
    # Of DataParallel and torch.compile.
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _fill(network: nn.Module, state: dict[str, Tensor], path: Path, architecture: str) -> None:
    """Load weights into the network, which they must fit to the letter."""
    # Counters of batch normalisation, which old files lack, have no effect here.
    wanted = {key: value for key, value in network.state_dict().items() if not _counts(key)}
    state = {key: value for key, value in state.items() if not _counts(key)}
    missing = sorted(wanted.keys() - state.keys())
    unknown = sorted(state.keys() - wanted.keys())
    reshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted.keys() & state.keys()
        if wanted[key].shape != state[key].shape
    ]
    if missing or unknown or reshaped:
        example = (reshaped or missing or unknown)[0]
        raise InputError(
            f"{path}: not weights of {architecture} with these classes and channels "
            f"({len(missing)} of {len(wanted)} missing, {len(unknown)} unknown, {len(reshaped)} "
            f"of another shape, such as {example}); correct {description_path(path).name}"
        )
    network.load_state_dict(
        {key: value.to(wanted[key].dtype) for key, value in state.items()}, strict=False
    )


def _counts(key: str) -> bool:
    return key.endswith("num_batches_tracked")


class LiteClassifier(nn.Module):
    """Chain of layers, global average, one linear layer.

    Parameters
    ----------
    num_classes : int
        How many classes.

    Attributes
    ----------
    features : nn.Sequential
        From an image (B, 3, M, N) to a map (B, 672, M / 16, N / 16) that is never negative.
    pool, classifier : nn.Module
        Global average and linear layer.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = _rectified(3, 32, 3, 2)
        inputs = 32
        for number, (repeats, kernel, stride, expand, outputs) in enumerate(_USED_STAGES, 1):
            hidden = inputs * expand
            if expand > 1:
                layers[f"expand{number}"] = _rectified(inputs, hidden, 1)
            layers[f"filter{number}"] = _rectified(hidden, hidden, kernel, stride, groups=hidden)
            layers[f"project{number}"] = nn.Conv2d(hidden, outputs, 1)
            if repeats > 1:
                layers[f"blocks{number}"] = nn.Sequential(
                    *(ResidualBlock(outputs, kernel, expand) for _ in range(repeats - 1))
                )
            inputs = outputs
        # Not ReLU6: a small defect must be able to outweigh the rest in the average.
        layers["head"] = nn.Sequential(nn.Conv2d(inputs, WIDTH, 1), nn.ReLU())
        self.features = nn.Sequential(layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(WIDTH, num_classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, classes) of images (B, 3, M, N)."""
        logits: torch.Tensor = self.classifier(torch.flatten(self.pool(self.features(image)), 1))
        return logits


class ResidualBlock(nn.Module):
    """Expand, filter each channel, project, add."""

    def __init__(self, channels: int, kernel: int, expand: int) -> None:
        super().__init__()
        hidden = channels * expand
        self.expand = _rectified(channels, hidden, 1)
        self.filter = _rectified(hidden, hidden, kernel, groups=hidden)
        self.project = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the shape that came in."""
        return features.add(self.project(self.filter(self.expand(features))))


def _rectified(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    # The weights come from where strides pad at the end; padded evenly, every map lies aside.
    convolution = SameConv(inputs, outputs, kernel, stride, groups=groups)
    return nn.Sequential(convolution, nn.ReLU6())


LITE = "lite0"
_TIMM = "timm/"


def build_architecture(name: str, num_classes: int, channels: int = 3) -> nn.Module:
    """Build a classifier with random weights.

    Parameters
    ----------
    name : str
        "lite0" (the bundled one's), a classifier of torchvision ("resnet18"), or one of timm
        ("timm/convnext_atto", or without the prefix where torchvision has none of that name).
    num_classes : int
        How many logits.
    channels : int
        Of the images.

    Raises
    ------
    InputError
        For an unknown name, or a name of timm where timm is not installed.
    """
    # Takes a while to import, and only those who bring a network need it.
    from torchvision import models

    if name == LITE:
        network: nn.Module = LiteClassifier(num_classes)
    elif name in models.list_models(module=models):
        network = models.get_model(name, weights=None, num_classes=num_classes)
    else:
        return _build_timm(name, num_classes, channels)
    if channels != 3:
        _set_channels(network, channels)
    return network


def _build_timm(name: str, num_classes: int, channels: int) -> nn.Module:
    if find_spec("timm") is None:
        raise InputError(
            f"architecture {name!r}: not {LITE!r} and no classifier of torchvision; if it is one "
            "of timm, install that first: pip install timm"
        )
    import timm

    short = name.removeprefix(_TIMM)
    if not timm.is_model(short.split(".")[0]):
        raise InputError(
            f"architecture {name!r}: neither {LITE!r} nor a classifier of torchvision or timm"
        )
    network: nn.Module = timm.create_model(
        short, pretrained=False, num_classes=num_classes, in_chans=channels
    )
    return network


def _set_channels(network: nn.Module, channels: int) -> None:
    """Replace the first convolution by one for images of `channels`."""
    name, first = next(
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    )
    new = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, new)
