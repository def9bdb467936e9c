"""What a classifier is, as far as everybody but the network itself needs to know."""

from __future__ import annotations

from dataclasses import dataclass, replace


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

    @property
    def key(self) -> str:
        """Text that differs whenever the answers may: another file or another description."""
        return repr(replace(self, name=""))
