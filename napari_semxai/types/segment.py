"""Requests to the SAM 2 service of the engine, and its answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.image import BoolMask
from napari_semxai.types.masks import CandidatePool
from napari_semxai.types.progress import Progress
from napari_semxai.types.settings import GenerateSettings


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


@dataclass(frozen=True, slots=True, eq=False)
class GenerateUpdate(Progress):
    """One message of a running generation: its stage "load", "encode" or "decode", grid points.

    Attributes
    ----------
    pool : CandidatePool or None
        All candidates so far, when a level of the grid is complete.
    """

    pool: CandidatePool | None = None


@dataclass(frozen=True, slots=True)
class Prompts:
    """Clicks on one object, and a box around it.

    Attributes
    ----------
    points : tuple of (float, float)
        Clicks (row, column), oldest first.
    foreground : tuple of bool
        Whether each click is on the object.
    box : tuple of float or None
        (row0, column0, row1, column1).
    """

    points: tuple[tuple[float, float], ...] = ()
    foreground: tuple[bool, ...] = ()
    box: tuple[float, float, float, float] | None = None

    def __bool__(self) -> bool:
        return bool(self.points) or self.box is not None


@dataclass(frozen=True, slots=True, eq=False)
class PredictRequest:
    """Ask what a prompt means; answered by a `ModelInfo`, then a `PredictedMask`.

    An `Encoding` comes before the mask where the image was not encoded yet. Without any prompt
    the image is only encoded, so that the next request finds that done.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        What the network sees.
    model, device : str
        As in `WarmRequest`.
    prompts : Prompts
        Clicks and a box.
    mask : ndarray of bool, shape (M, N), or None
        The object as it is now, to be refined.
    """

    image: NDArray[np.uint8]
    model: str
    device: str
    prompts: Prompts
    mask: BoolMask | None = None


@dataclass(frozen=True, slots=True)
class Encoding:
    """The image is being encoded; the first answer on an image waits for it."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictedMask:
    """The mask that answers a prompt.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        The object.
    predicted_iou : float
        The network's own estimate of its IoU.
    """

    mask: BoolMask
    predicted_iou: float
