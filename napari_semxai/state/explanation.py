"""What one viewer shows of explanations: fields are replaced, never mutated, and say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroupDescriptor

from napari_semxai.types import (
    IDLE,
    BoolMask,
    Checks,
    Classification,
    ConceptBank,
    ConceptMaps,
    Heatmap,
    Nearest,
    NetworkLayers,
    Progress,
    SemImage,
    SweepAdvice,
    SweepRow,
)

HEAT_MAP, PICTURE, UNION, WEIGHTED = "heat map", "picture", "concepts, union", "concepts, weighted"
CONCEPTS = "concept"
FitImage: TypeAlias = Path | SemImage


@dataclass(frozen=True, slots=True)
class ClassifierChoice:
    """The network that is explained, and where it runs.

    Attributes
    ----------
    classifier, device : str
        As in requests.
    changed : tuple of int
        When the files were written: an edited description is another classifier.
    """

    classifier: str = "bundled"
    device: str = "auto"
    changed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CamSettings:
    """Which heat map is wanted.

    Attributes
    ----------
    method : str
        A name of `CAM_METHODS`.
    layers : tuple of str
        Target layers; () takes the default.
    inside_mask : bool
        Explain the evidence inside the defect mask only.
    as_drawn : bool
        Leave the map where the library draws it, instead of where the layers look.
    """

    method: str = "gradcam"
    layers: tuple[str, ...] = ()
    inside_mask: bool = False
    as_drawn: bool = False


@dataclass(frozen=True, slots=True)
class CraftSettings:
    """Which concepts are wanted; fields as in `CraftFitRequest` and `CraftTransformRequest`."""

    layer: str = ""
    n_concepts: int = 10
    patch_size: int = 64
    seed: int = 0
    # The best of all maps on defects; paper mode reads renderings, which know no refinement.
    refinement: str = "fine"
    as_drawn: bool = False
    # No crop is enlarged, and none has to be encoded: seconds instead of minutes.
    pieces: str = "cells"


@dataclass(frozen=True, slots=True)
class ExplanationMaskSettings:
    """How masks are taken from explanations.

    Attributes
    ----------
    tau : float
        Share of a heat map's maximum; Algorithm 2's threshold in paper mode.
    concept_tau : float
        Share of a concept map's maximum; unused in paper mode.
    delta : float
        Algorithm 3's tolerance, in 8-bit colour values; used in paper mode only.
    paper : bool
        Go through rendered colours as published, instead of the float maps.
    concepts : frozenset of int
        The concepts that are shown and joined.
    local : bool
        Weight concepts by their importance for this image instead of for the class.
    """

    tau: float = 0.5
    concept_tau: float = 0.5
    delta: float = 60.0
    paper: bool = False
    concepts: frozenset[int] = frozenset(range(3))
    local: bool = False


@dataclass(frozen=True, slots=True)
class Heatmaps:
    """The heat maps of the current image: the one that is looked at, and all."""

    active: Heatmap | None = None
    all: tuple[Heatmap, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ExplanationMasks:
    """The masks of the current image's explanations by name.

    Attributes
    ----------
    masks : dict of str to ndarray of bool, shape (M, N)
        `HEAT_MAP`, "concept 1" …, `UNION`, `WEIGHTED`, `PICTURE`, "picture, concept 1" …, those
        that there are.
    labels : dict of str to ndarray of bool or uint8, shape (M, N)
        By family, what the layer of its masks shows: at each pixel the number of the most
        important mask, from 1; 0 for none.
    """

    masks: dict[str, BoolMask]
    labels: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ExplanationPicture:
    """A rendered explanation that was made elsewhere.

    Attributes
    ----------
    rgb : ndarray of uint8, shape (m, n, 3)
        The picture.
    name : str
        Its file.
    method : str
        "gradcam" reads it by Algorithm 2, "craft" by Algorithm 3.
    crop : (row0, col0, row1, col1) or None
        Where the heat map lies; None for the whole picture.
    colors : tuple of (int, int, int)
        Concept colours for Algorithm 3.
    """

    rgb: NDArray[np.uint8]
    name: str
    method: str = "gradcam"
    crop: tuple[int, int, int, int] | None = None
    colors: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """A place to look at: (row0, col0, row1, col1), half open, in pixels of an image."""

    image: FitImage
    box: tuple[int, int, int, int]


@dataclass
class Explanation:
    """The explanations of the current image and how they are asked for.

    `image_key` names the current image by its pixels once that is known; "" before. `alone` is
    `HEAT_MAP` or `CONCEPTS` where a person looks at one of them without the other, else "".
    `compare` draws all heat maps by one scale, with a map of how the first two differ.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    # Computed in a thread, after the image has opened: answers that come before are of no image.
    image_key: str = ""
    choice: ClassifierChoice = field(default_factory=ClassifierChoice)
    network: NetworkLayers | None = None
    classification: Classification | None = None
    target: int | None = None
    nearest: Nearest | None = None
    cam: CamSettings = field(default_factory=CamSettings)
    follow: bool = True
    heatmaps: Heatmaps = field(default_factory=Heatmaps)
    compare: bool = False
    # Of the active heat map.
    checks: Checks | None = None
    craft: CraftSettings = field(default_factory=CraftSettings)
    fit_images: tuple[FitImage, ...] = ()
    bank: ConceptBank | None = None
    # Those that `bank` was made of; `fit_images` may have changed since.
    bank_images: tuple[FitImage, ...] = ()
    concepts: ConceptMaps | None = None
    alone: str = ""
    sweep: tuple[SweepRow, ...] = ()
    advice: SweepAdvice | None = None
    mask_settings: ExplanationMaskSettings = field(default_factory=ExplanationMaskSettings)
    picture: ExplanationPicture | None = None
    focus: Focus | None = None
    masks: ExplanationMasks = field(default_factory=lambda: ExplanationMasks({}))
    classifying: Progress = IDLE
    explaining: Progress = IDLE
    fitting: Progress = IDLE

    @property
    def hides_heat_map(self) -> bool:
        """Whether the concepts are looked at without the heat map."""
        # What is not there hides nothing: else a new image would show nothing at all.
        return self.alone == CONCEPTS and self.concepts is not None

    @property
    def hides_concepts(self) -> bool:
        """Whether the heat map is looked at without the concepts."""
        return self.alone == HEAT_MAP and self.heatmaps.active is not None
