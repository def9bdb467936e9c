"""What ``semxai evaluate`` does with each image; needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.localisation import (
    Localisation,
    RankedMap,
    trivial_baselines,
)
from napari_semxai.algorithms.explanations.masks import (
    color_distances,
    gradcam_mask,
    resized_mask,
    threshold_mask,
)
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.statistics.evaluation import ImageScores
from napari_semxai.store.datasets.results import read_given_mask, read_map, read_rendering
from napari_semxai.store.images.read import read_image
from napari_semxai.types import BoolMask, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.store.datasets.dataset import TruthImage

TAUS = np.linspace(0.0, 1.0, 101)
DELTAS = np.linspace(0.0, 400.0, 101)
"""Tolerances of Algorithm 3; no two colours differ by more than 442."""
DEFAULT_TAU, DEFAULT_DELTA = 0.5, 120.0
SHOWN_CONCEPTS = 5
"""Concepts in a rendering of CRAFT, the most important ones."""
GIVEN, ALGORITHM_2, ALGORITHM_3 = "", "Algorithm 2", "Algorithm 3"


@dataclass(frozen=True, slots=True)
class Reading:
    """How the explanations of a method become masks.

    Attributes
    ----------
    method : str
        What the tables call it.
    folder : Path
        Where its maps, renderings and masks are.
    algorithm : str
        `GIVEN`: the mask, or the map above tau of its maximum; or a published algorithm, which
        reads the rendering.
    threshold : float or None
        Tau or delta; None while it is to be tuned.
    crop : (row0, col0, row1, col1) or None
        Where the heat map lies within a rendering.
    """

    method: str
    folder: Path
    algorithm: str = GIVEN
    threshold: float | None = None
    crop: tuple[int, int, int, int] | None = None

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """What is tried when the threshold is tuned."""
        return DELTAS if self.algorithm == ALGORITHM_3 else TAUS

    def masks(self, image: TruthImage, thresholds: NDArray[np.float64]) -> list[BoolMask]:
        """Return the masks that a published algorithm makes of a rendering."""
        rendering = read_rendering(self.folder, image)
        if rendering is None:
            raise InputError(f"{self.folder}: has no {image.name}_rendering.png")
        try:
            if self.algorithm == ALGORITHM_2:
                return [gradcam_mask(rendering.rgb, tau, crop=self.crop) for tau in thresholds]
            if not rendering.colors:
                raise InputError(f"{self.folder}: {image.name}.json names no colours of concepts")
            colors = rendering.colors[:SHOWN_CONCEPTS]
            nearest = color_distances(rendering.rgb, colors, crop=self.crop).min(axis=0)
        except ValueError as error:
            raise InputError(f"{self.folder}: rendering of {image.name}: {error}") from error
        return [nearest <= delta for delta in thresholds]

    def scored(self, image: TruthImage, truth: BoolMask) -> ImageScores:
        """Score the method on an image."""
        values = read_map(self.folder, image)
        if values is not None and values.shape != truth.shape:
            raise InputError(f"{self.folder}: the map of {image.name} has not the image's size")
        localisation: Localisation | None = None
        if values is not None and not self.algorithm:
            localisation = RankedMap(values).localisation(truth)
        if self.algorithm:
            default = DEFAULT_DELTA if self.algorithm == ALGORITHM_3 else DEFAULT_TAU
            threshold = default if self.threshold is None else self.threshold
            mask = self.masks(image, np.array([threshold]))[0]
        elif values is not None:
            mask = threshold_mask(
                values, DEFAULT_TAU if self.threshold is None else self.threshold
            )
        else:
            mask = read_given_mask(self.folder, image)
        counted = scores(_fitted(mask, truth), truth)
        return ImageScores(image.name, image.label, self.method, counted, localisation)


@dataclass(frozen=True, slots=True)
class EvaluateWork:
    """Scores every method on an image.

    Attributes
    ----------
    readings : tuple of Reading
        The methods.
    """

    readings: tuple[Reading, ...]

    def load(self) -> None:
        """No network is needed."""

    def do(self, loaded: None, image: TruthImage) -> dict[str, Any]:
        """Return the scores of every method and baseline."""
        gray = read_image(image.path, image.page).gray
        truth = image.truth.read(gray.shape)
        rows = [reading.scored(image, truth) for reading in self.readings]
        rows += [
            ImageScores(image.name, image.label, name, scores(mask, truth))
            for name, mask in trivial_baselines(gray).items()
        ]
        return {"rows": rows}


@dataclass(frozen=True, slots=True)
class TuneWork:
    """Computes the Dice of a method at every threshold."""

    reading: Reading

    def load(self) -> None:
        """No network is needed."""

    def do(self, loaded: None, image: TruthImage) -> dict[str, Any]:
        """Return the curve; empty where the method has a mask only."""
        thresholds = self.reading.thresholds
        if self.reading.algorithm:
            masks = self.reading.masks(image, thresholds)
            truth = image.truth.read()
            return {"curve": [scores(_fitted(mask, truth), truth).dice for mask in masks]}
        values = read_map(self.reading.folder, image)
        if values is None:
            return {"curve": ()}
        truth = image.truth.read((values.shape[0], values.shape[1]))
        return {"curve": RankedMap(values).dice_curve(truth, thresholds)}


def _fitted(mask: BoolMask, truth: BoolMask) -> BoolMask:
    if mask.shape == truth.shape:
        return mask
    return resized_mask(mask, (truth.shape[0], truth.shape[1]))
