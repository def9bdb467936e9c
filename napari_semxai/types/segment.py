"""Requests to the SAM 2 service of the engine, and its answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.pool import CandidatePool, GenerateSettings


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which network answered.

    Attributes
    ----------
    name : str
        "bundled", an official size, or a file name.
    sha256 : str
        Digest of the weights file.
    device : str
        "cpu", "cuda" or "mps".
    """

    name: str
    sha256: str
    device: str


@dataclass(frozen=True, slots=True)
class WarmRequest:
    """Load a network so that the next request finds it ready; answered by its `ModelInfo`.

    Attributes
    ----------
    model : str
        "bundled", an official name or the path of a checkpoint.
    device : str
        "auto", "cpu", "cuda" or "mps".
    """

    model: str
    device: str


@dataclass(frozen=True, slots=True, eq=False)
class GenerateRequest:
    """Ask for mask candidates; answered by a `ModelInfo`, then `GenerateUpdate` values.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        What the network sees.
    model, device : str
        As in `WarmRequest`.
    settings : GenerateSettings
        What the network is asked for.
    """

    image: NDArray[np.uint8]
    model: str
    device: str
    settings: GenerateSettings


@dataclass(frozen=True, slots=True)
class GenerateUpdate:
    """One message of a running generation.

    Attributes
    ----------
    stage : str
        "load", "encode" or "decode".
    done, total : int
        Grid points decoded so far, and all of them.
    seconds_left : float or None
        From measured speed, once there is one.
    pool : CandidatePool or None
        All candidates so far, when a level of the grid is complete.
    """

    stage: str
    done: int
    total: int
    seconds_left: float | None = None
    pool: CandidatePool | None = None
