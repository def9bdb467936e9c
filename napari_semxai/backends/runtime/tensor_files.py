"""Reading files of weights from elsewhere without running anything in them."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

# What torch and safetensors raise on files that are cut off, altered or something else.
DAMAGED = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    struct.error,
)


class DamagedFileError(InputError):
    """A file is cut off, altered or something else than its name says."""


def read_content(path: Path) -> Any:
    """Return what a file of weights holds: plain tensors, numbers, text and containers.

    Parameters
    ----------
    path : Path
        Safetensors, or a checkpoint written by ``torch.save``.

    Raises
    ------
    InputError
        When the file would run code, or is TorchScript.
    DamagedFileError
        When it is cut off or something else.
    """
    if is_torchscript(path):
        raise InputError(
            f"{path}: a TorchScript file, whose layers cannot be explained; save the network's "
            "state dict, or export the network with torch.export"
        )
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # torch remarks on old pickles; whatever they hold is refused below.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _is_pickle(path):
            raise InputError(_unsafe(path)) from error
        raise DamagedFileError(_damaged(path)) from error
    except DAMAGED as error:
        raise DamagedFileError(_damaged(path)) from error


def is_state_dict(value: Any) -> TypeGuard[dict[str, Tensor]]:
    """Whether `value` is weights by name."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(key, str) for key in value)
        and all(isinstance(tensor, torch.Tensor) for tensor in value.values())
    )


def is_torchscript(path: Path) -> bool:
    """Whether the file is an archive with TorchScript's code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile, ValueError):
        return False
    return "constants.pkl" in names or any(name.startswith("code/") for name in names)


def _is_pickle(path: Path) -> bool:
    """Whether the file starts as torch's archives or bare pickles do."""
    with path.open("rb") as file:
        return file.read(4).startswith((b"PK\x03\x04", b"\x80"))


def _unsafe(path: Path) -> str:
    names = _foreign_names(path)
    what = f" ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})" if names else ""
    return (
        f"{path}: holds more than weights{what} and could run code, so it was not loaded and "
        'nothing in it ran; where you trust it, save {"model": network.state_dict()} or '
        "safetensors from it"
    )


def _foreign_names(path: Path) -> list[str]:
    """Names of what the pickle would import, the strangest first, found by reading it only."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (pickle.UnpicklingError, *DAMAGED):
        return []
    return sorted(names, key=lambda name: (name.startswith("torch."), name))


def _damaged(path: Path) -> str:
    size = path.stat().st_size
    return f"{path}: cut off, or not a checkpoint ({size:,} bytes); copy it again"
