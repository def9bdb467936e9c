"""What a classifier is, what it says of an image, and which layers it has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SURE = 0.8
"""Classes are named until together they are as probable as this."""
STRANGE = "unlike anything it was trained on"


@dataclass(frozen=True, slots=True)
class Familiarity:
    """What tells images that are unlike all that a network was trained on.

    Attributes
    ----------
    layers : tuple of str
        Dotted names of the layers that are looked at.
    path : Path
        File of the numbers that weigh what they answer (`docs/classifiers.md`).
    sha256 : str
        Digest of that file.
    """

    layers: tuple[str, ...]
    path: Path = field(repr=False)
    sha256: str


@dataclass(frozen=True, slots=True)
class ClassifierInfo:
    """Which classifier answered, and what it wants its images to be like.

    Attributes
    ----------
    name : str
        "bundled" or a file name.
    sha256 : str
        Digest of the weights file.
    architecture : str
        "lite0", a torchvision name, "timm/" and a timm name, or "pt2" for an exported program.
    class_names : tuple of str
        One a logit, in their order.
    input_size : tuple of int
        (M, N) that images are resized to; the aspect ratio is not kept.
    channels : int
        1 or 3.
    mean, std : tuple of float
        Of pixel values scaled to [0, 1]; one a channel.
    temperature : float
        Logits are divided by it before the softmax, so that probabilities are calibrated.
    synthetic : bool
        Whether it was trained on synthetic images only, which people must be told.
    familiarity : Familiarity or None
        Tells strange images; None where nothing is known.
    """

    name: str
    sha256: str
    architecture: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int]
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    temperature: float = 1.0
    synthetic: bool = False
    familiarity: Familiarity | None = None

    @property
    def key(self) -> str:
        """Text that differs whenever the answers may: another file or another description."""
        # Without the name: a copy of the file gives the same answers.
        return repr(replace(self, name=""))


@dataclass(frozen=True, slots=True, eq=False)
class ClassifyRequest:
    """Ask for the class of an image.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        8-bit grey, `SemImage.gray`.
    classifier, device : str
        See the module.
    """

    image: NDArray[np.uint8]
    classifier: str
    device: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """What the classifier says of an image.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (c,)
        Calibrated where the classifier holds a temperature; they sum to 1.
    class_names : tuple of str, length c
        Name of each class.
    info : ClassifierInfo
        Of the classifier; people must be told where it is `ClassifierInfo.synthetic`.
    strange : bool
        Whether the image is unlike all that the classifier was trained on, so that its
        probabilities mean nothing.
    """

    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    info: ClassifierInfo
    strange: bool = False

    @property
    def predicted(self) -> int:
        """Index of the most probable class."""
        return int(np.argmax(self.probabilities))

    @property
    def confidence(self) -> float:
        """Probability of that class; 0 for a strange image."""
        return 0.0 if self.strange else float(self.probabilities[self.predicted])

    @property
    def answer(self) -> str:
        """What can be said: a class, "particle or pit", "unsure", or that the image is strange.

        Classes are named from the most probable one down until they are as probable as `SURE`
        together (a prediction set); more than two say nothing.
        """
        if self.strange:
            return STRANGE
        order = np.argsort(-self.probabilities, kind="stable")
        needed = 1 + int(np.count_nonzero(np.cumsum(self.probabilities[order]) < SURE))
        names = [self.class_names[index] for index in order[:needed]]
        return " or ".join(names) if len(names) <= 2 else "unsure"


@dataclass(frozen=True, slots=True)
class LayersRequest:
    """Ask for the layers of a network and what each can be used for."""

    classifier: str
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class LayerNode:
    """One module of a network.

    Attributes
    ----------
    name : str
        Dotted, as in ``named_modules``; the tree follows the dots.
    kind : str
        Class of the module.
    shape : tuple of int
        (channels, m, n) of its output as a map; () where the output is no map.
    cam : bool
        Whether Grad-CAM and its relatives can take it as a target layer.
    concepts : bool
        Whether the network can be split behind it for CRAFT.
    reason : str
        Why `concepts` or `cam` is False, or what `clamped` means here, and what to take instead.
    clamped : bool
        Whether concepts are made there with values below 0 taken for 0; how much that changes
        is told by `ConceptBank.clamp_agreement`.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    cam: bool
    concepts: bool
    reason: str = ""
    clamped: bool = False


@dataclass(frozen=True, slots=True)
class ReviewedFile:
    """An image file that a call may be compared with, and what people say of it.

    Attributes
    ----------
    path, page
        Where it is.
    name, label, state : str
        What it is called, its class, and how far its review is; "" where unknown.
    """

    path: Path
    page: int = 0
    name: str = ""
    label: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class NearestRequest:
    """Ask which files a classifier sees as most like an image; answered by `Nearest`.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        8-bit grey.
    classifier, device : str
        See the module `explain`.
    files : tuple of ReviewedFile
        Where to look; what cannot be read is left out.
    count : int
        How many to find.
    """

    image: NDArray[np.uint8]
    classifier: str
    files: tuple[ReviewedFile, ...]
    count: int = 5
    device: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The files most like an image, most like first.

    Attributes
    ----------
    files : tuple of ReviewedFile, length n
        Of the request.
    similarities : ndarray of float32, shape (n,)
        Cosine of the features, which the class is read from; at most 1.
    crops : ndarray of uint8, shape (n, p, p)
        The files as small pictures.
    """

    files: tuple[ReviewedFile, ...]
    similarities: NDArray[np.float32]
    crops: NDArray[np.uint8]
