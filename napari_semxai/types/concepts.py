"""The concepts that a classifier knows a class by, where its layers look, and requests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.image import BoolMask, Border, SemImage

PIECES = {"crops": "Enlarged crops, as published", "cells": "Cells of whole images"}
"""What concepts are found in, by name, with its title; the first is the reference."""


@dataclass(frozen=True, slots=True, eq=False)
class CraftSweepRequest:
    """Try every combination of layers, k and patch sizes; see `napari_semxai.types.explain`.

    Attributes
    ----------
    images, classifier, device, target
        As in `CraftFitRequest`.
    layers : tuple of str
        Split layers by dotted name; () takes the default and earlier stages.
    n_concepts, patch_sizes : tuple of int
        What else to try.
    masks : tuple of (ndarray of bool, shape (M, N), or None)
        Validated mask of each image, to measure localisation with; () for none.
    refinement : str
        The maps that localisation is measured on, as in `CraftTransformRequest`.
    seeds : tuple of int
        Runs to compare for stability.
    pieces : str
        As in `CraftFitRequest`; cells are the same for all patch sizes, so the first is tried.
    """

    images: tuple[Path | SemImage | NDArray[np.uint8], ...]
    classifier: str
    target: int
    layers: tuple[str, ...] = ()
    n_concepts: tuple[int, ...] = (5, 10, 15)
    patch_sizes: tuple[int, ...] = (64, 96)
    masks: tuple[BoolMask | None, ...] = ()
    refinement: str = "none"
    seeds: tuple[int, ...] = (0, 1)
    device: str = "auto"
    pieces: str = "crops"


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One setting and what came of it.

    Attributes
    ----------
    layer, n_concepts, patch_size
        The setting.
    r2 : float
        Share of the activations' variance that the concepts reconstruct.
    agreement : float
        Share of images whose predicted class is the same from reconstructed activations.
    stability : float
        Mean cosine of concepts matched between two runs; NaN with fewer than two seeds.
    n_important : int
        Concepts with a total Sobol index above 0.01.
    iou : float
        Mean over the masked images of the importance-weighted map's IoU at the one threshold
        that suits them best, refined as asked for; NaN without masks.
    seconds : float
        What the setting took.
    """

    layer: str
    n_concepts: int
    patch_size: int
    r2: float
    agreement: float
    stability: float
    n_important: int
    iou: float
    seconds: float


@dataclass(frozen=True, slots=True)
class SweepAdvice:
    """The end of a sweep.

    Attributes
    ----------
    rows : tuple of SweepRow
        All settings that ran.
    suggested : int
        Index of the suggested row.
    reasons : tuple of str
        Why, one sentence each.
    skipped : tuple of str
        Settings that could not run, one sentence each.
    """

    rows: tuple[SweepRow, ...]
    suggested: int
    reasons: tuple[str, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CraftFitRequest:
    """Ask for the concepts of a class; answered by a `ConceptBank`, from the cache if it is there.

    Attributes
    ----------
    images : tuple of Path, SemImage, or ndarray of uint8, shape (M, N)
        Images of the class; files are read in the engine. Their borders are left out.
    classifier, device : str
        See the module.
    target : int
        Index of the class.
    layer : str
        Where to split the network; "" takes the default.
    n_concepts : int
        Number of concepts k.
    patch_size : int
        Side of the square crops in pixels of the network's input.
    seed : int
        Of the factorization.
    as_drawn : bool
        Take the images whole, as the library does.
    pieces : str
        What is factorized, a name of `PIECES`: crops of `patch_size`, enlarged to the network's
        input, or cells of the layer's map of whole images.
    """

    images: tuple[Path | SemImage | NDArray[np.uint8], ...]
    classifier: str
    target: int
    layer: str = ""
    n_concepts: int = 10
    patch_size: int = 64
    seed: int = 0
    device: str = "auto"
    as_drawn: bool = False
    pieces: str = "crops"


@dataclass(frozen=True, slots=True)
class CraftOpenRequest:
    """Ask for the concepts in a file; answered by a `ConceptBank`.

    Attributes
    ----------
    bank : Path
        The file; its description lies beside it as JSON.
    classifier, device : str
        The classifier that the bank was made with; another one is refused.
    """

    bank: Path
    classifier: str
    device: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class ConceptBank:
    """Concepts of a class; the first axis is the concept, most important first.

    Attributes
    ----------
    path : Path
        The saved bank, for `CraftTransformRequest`.
    key : str
        Names network, layer, class, k, patch, images and seed by a digest.
    target, class_name, layer, n_concepts, patch_size, seed
        As asked for, the default layer by its name.
    sha256 : str
        Digest of the classifier's weights.
    importances : ndarray of float32, shape (k,)
        Total Sobol indices (global), descending.
    colors : ndarray of uint8, shape (k, 3)
        One colour per concept, to be used wherever the concept is shown.
    crops : ndarray of uint8, shape (k, c, p, p)
        The c = 10 crops (fewer where there are fewer) that show each concept most, best first.
    crop_images : ndarray of int32, shape (k, c)
        Index of the crop's image in the request's `images`.
    crop_boxes : ndarray of int32, shape (k, c, 4)
        (row0, col0, row1, col1), half open, in pixels of that image.
    r2 : float
        Share of the activations' variance that the concepts reconstruct.
    agreement : float
        Share of images whose predicted class is the same from reconstructed activations.
    n_images : int
        Images the bank was made from.
    clamp_agreement : float
        Share of them whose predicted class is the same when values of the layer below 0 are
        taken for 0, as the factorization does; 1 where there are none.
    names : tuple of str
        What a person calls each concept, "" where nothing; () for none.
    pieces : str
        As asked for.
    """

    path: Path
    key: str
    target: int
    class_name: str
    layer: str
    n_concepts: int
    patch_size: int
    seed: int
    sha256: str
    importances: NDArray[np.float32]
    colors: NDArray[np.uint8]
    crops: NDArray[np.uint8]
    crop_images: NDArray[np.int32]
    crop_boxes: NDArray[np.int32]
    r2: float
    agreement: float
    n_images: int
    clamp_agreement: float = 1.0
    names: tuple[str, ...] = ()
    pieces: str = "crops"

    def name(self, concept: int) -> str:
        """Return what a person calls a concept; "" where nothing."""
        return self.names[concept] if concept < len(self.names) else ""


@dataclass(frozen=True, slots=True, eq=False)
class CraftTransformRequest:
    """Ask for the concepts in one image; answered by `ConceptMaps`.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        8-bit grey.
    classifier, device : str
        The classifier that the bank was made with; another one is refused.
    bank : Path
        `ConceptBank.path`.
    refinement : str
        "none"; "guided": upsampling that follows the edges of the image; or "fine": put where
        the network looks, sharpened by an earlier layer, and guided.
    as_drawn : bool
        Leave the maps where the library draws them, instead of where the layer looks, and take
        the image whole.
    picture_rows : int or None
        Rows above a known info bar.
    """

    image: NDArray[np.uint8]
    classifier: str
    bank: Path
    refinement: str = "none"
    device: str = "auto"
    as_drawn: bool = False
    picture_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """Where a layer of a network looks, beside where its map is drawn by resizing alone.

    Attributes
    ----------
    layer : str
        Its dotted name.
    offset : tuple of float
        Down and right, as shares of the image's sides: the layer looks that far from where its
        map is drawn, so its map is moved by as much. The median over bright and dark discs.
    bright, dark : tuple of float
        The same for the discs of one sign alone.
    scatter : float
        Largest standard deviation over the discs, in cells of the map; NaN where the layer
        answers to none.
    """

    layer: str
    offset: tuple[float, float]
    bright: tuple[float, float]
    dark: tuple[float, float]
    scatter: float

    @property
    def moves(self) -> bool:
        """Whether maps are moved: the discs agree within half a cell."""
        return self.scatter <= 0.5

    @property
    def shift(self) -> tuple[float, float]:
        """How far maps are moved, down and right, as shares of the sides."""
        return self.offset if self.moves else (0.0, 0.0)

    def text(self, shape: tuple[int, int], as_drawn: bool = False) -> str:
        """Say in a line what was measured, in pixels of an image (M, N), and what is done."""
        if not self.moves:
            return f"{self.layer} scatters more than half a cell: not moved"
        down, right = (round(s * side) for s, side in zip(self.offset, shape, strict=True))
        places = [
            f"{abs(size)} px {words[size > 0]}"
            for size, words in ((down, ("above", "below")), (right, ("left of", "right of")))
            if size
        ]
        done = "as the library draws it" if as_drawn else "moved"
        if not places:
            return f"{self.layer} looks where the library draws it"
        return f"{self.layer} looks {' and '.join(places)} where the library draws it: {done}"


@dataclass(frozen=True, slots=True, eq=False)
class ConceptMaps:
    """Concepts of a bank in one image; the first axis is the concept, most important first.

    Attributes
    ----------
    maps : ndarray of float32, shape (k, M, N)
        How strongly each concept acts at each pixel, not negative, in the bank's own unit, so
        that maps of different images compare; all 0 where a concept is absent.
    low_maps : ndarray of float32, shape (k, m, n)
        The same at the resolution of the split layer, before upsampling; of what lies inside
        `border` alone.
    importances : ndarray of float32, shape (k,)
        Total Sobol indices over the bank's images (global).
    local_importances : ndarray of float32, shape (k,)
        Total Sobol indices for this image alone; NaN while they are not known.
    colors : ndarray of uint8, shape (k, 3)
        One colour per concept, the same for every image of the bank.
    rendering : ndarray of uint8, shape (M, N, 3)
        The five most important concepts in pure colours on black, each shown above its own
        90th percentile as CRAFT's figures do.
    target : int
        Index of the explained class.
    layers : tuple of str
        Dotted names of the split layers; one, except for a combination.
    sha256 : str
        Digest of the classifier's weights.
    bank : str
        Key of the bank.
    refinement : str
        "none", "guided" or "fine", see `CraftTransformRequest`.
    registrations : tuple of Registration
        Of the split layers.
    as_drawn : bool
        Whether `maps` were left where the library draws them; `rendering` always is.
    border : tuple of int
        (top, right, bottom, left): info bars and edge strips that no concept was looked for in;
        `maps` and `rendering` are 0 there.
    """

    maps: NDArray[np.float32]
    low_maps: NDArray[np.float32]
    importances: NDArray[np.float32]
    # Filled in by a second answer: they take far longer than the maps.
    local_importances: NDArray[np.float32]
    colors: NDArray[np.uint8]
    rendering: NDArray[np.uint8]
    target: int
    layers: tuple[str, ...]
    sha256: str
    bank: str
    refinement: str = "none"
    registrations: tuple[Registration, ...] = ()
    as_drawn: bool = False
    border: Border = (0, 0, 0, 0)

    def rgb(self) -> NDArray[np.uint8]:
        """Return the picture of all concepts, shape (M, N, 3): what Algorithm 3 reads."""
        return self.rendering
