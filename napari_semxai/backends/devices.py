"""Where networks compute."""

from __future__ import annotations

import torch

from napari_semxai.types import InputError


def choose_device(device: str = "auto") -> torch.device:
    """Return the device to compute on; "auto" is CUDA, then MPS, then the CPU.

    Raises
    ------
    InputError
        If `device` is not one of "auto", "cpu", "cuda", "mps", or is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next((name for name, found in there.items() if found), "cpu")
    name = device.split(":")[0]
    if name not in ("cpu", *there):
        raise InputError(f"Unknown device {device!r}: use auto, cpu, cuda or mps.")
    if not there.get(name, True):
        raise InputError(f"No {name} device here: use auto or cpu.")
    return torch.device(device)
