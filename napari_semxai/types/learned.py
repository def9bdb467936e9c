"""Networks that learn a project's masks: what is asked, what is known of one, what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.image import BoolMask


@dataclass(frozen=True, slots=True)
class LearnSettings:
    """How a project's masks are learned.

    Attributes
    ----------
    annotator : str
        Whose masks; "consensus" for the majority of everybody's.
    folds : int
        Parts that the reviewed images are divided into for the cross-validation.
    steps, batch : int
        Steps of the optimizer for each network, and windows of images in each step.
    rate : float
        Highest learning rate of AdamW.
    copies : int
        Views (flipped, turned, brighter, darker) of each image, fewer where there are many.
    seed : int
        Fixes folds, order and augmentation.
    minutes : float
        After these no further step is begun, and what was learned by then is judged; 0 for none.
    """

    annotator: str = "consensus"
    folds: int = 4
    steps: int = 250
    batch: int = 4
    rate: float = 1e-3
    copies: int = 4
    seed: int = 0
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class LearnRequest:
    """Ask for a new version; answered by `Progress` values, then a `LearnedVersion`.

    Attributes
    ----------
    project : Path
        Its folder.
    settings : LearnSettings
        How.
    """

    project: Path
    settings: LearnSettings = LearnSettings()


@dataclass(frozen=True, slots=True)
class FeaturesRequest:
    """Ask what the encoder sees in the images of a project; answered by `Progress` values.

    Attributes
    ----------
    project : Path
        Its folder, which gets what is new.
    """

    project: Path


@dataclass(frozen=True, slots=True)
class GateRow:
    """Learned masks against today's proposal on some of the reviewed images.

    Attributes
    ----------
    name : str
        "all", "defect", "no defect", or a class.
    images : int
        How many.
    today, learned : float
        Mean Dice of each.
    low, high : float
        95 % interval of the mean difference, learned less today's.
    """

    name: str
    images: int
    today: float
    learned: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Mean of learned less today's Dice."""
        return self.learned - self.today


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the cross-validation says.

    Attributes
    ----------
    better : bool
        Whether the learned masks are to be proposed from now on.
    reason : str
        In words and numbers.
    rows : tuple of GateRow
        All images, those with and without a defect, then classes.
    """

    better: bool
    reason: str
    rows: tuple[GateRow, ...] = ()


@dataclass(frozen=True, slots=True)
class LearnedVersion:
    """A learned network in its file, with what its card says.

    Attributes
    ----------
    path : Path
        The file.
    sha256 : str
        Digest of the file.
    created : str
        UTC, ISO 8601.
    project : str
        Name of the project that it learned from.
    images : int
        How many masks it learned from.
    verdict : Verdict
        What the cross-validation said.
    card : mapping
        All that the file says of itself, as JSON.
    """

    path: Path
    sha256: str
    created: str
    project: str
    images: int
    verdict: Verdict
    card: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What people call it: its number in a project, or the name of its file."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Learned:
    """What the open project has learned.

    Attributes
    ----------
    versions : tuple of LearnedVersion
        The oldest first.
    used : LearnedVersion or None
        The one in use.
    """

    versions: tuple[LearnedVersion, ...] = ()
    used: LearnedVersion | None = None

    @property
    def back(self) -> str:
        """The version before the one in use whose verdict was good; "none" without one."""
        if self.used is None:
            return ""
        earlier = [
            one.name for one in self.versions if one.verdict.better and one.name < self.used.name
        ]
        return earlier[-1] if earlier else "none"


@dataclass(frozen=True, slots=True, eq=False)
class LearnedRequest:
    """Ask a learned network for a mask; answered by a `ModelInfo`, then a `LearnedMask`.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        What the network sees.
    network : str
        Path of its file.
    """

    image: NDArray[np.uint8]
    network: str


@dataclass(frozen=True, slots=True, eq=False)
class LearnedMask:
    """What a learned network says of an image.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        The defects, or nothing.
    confidence : float
        How far the mask is to be believed: the IoU to expect, times the probabilities that all its
        parts are defects and that none is missed; of an empty one the calibrated probability that
        there is no defect.
    unlike : float
        How far the image is from those that were learned from, as a multiple of how far these are
        from each other; above `UNLIKE` the answer should not be relied on.
    """

    mask: BoolMask
    confidence: float
    unlike: float = 0.0


UNLIKE = 2.0
