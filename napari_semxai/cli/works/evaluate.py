"""What ``semxai evaluate`` does with each image, and the masks and maps that it makes itself."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
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
from napari_semxai.algorithms.statistics.evaluation import ImageScores, best_threshold
from napari_semxai.cli.batch.batch import Stopwatch, batch_options, run_batch
from napari_semxai.cli.common.options import settings_from
from napari_semxai.cli.common.sources import Source, open_images, with_ignored
from napari_semxai.cli.works.masks import DEFAULT_ALPHAS, DEFAULT_BETAS, MaskWork, SweepWork
from napari_semxai.store.datasets.dataset import (
    MAP_ENDING,
    read_given_mask,
    read_map,
    read_rendering,
)
from napari_semxai.store.images.read import read_image
from napari_semxai.types import CAM_METHODS, BoolMask, InputError
from napari_semxai.types.settings import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_semxai.cli.batch.workers import Work
    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.datasets.dataset import TruthImage
    from napari_semxai.types import Faithfulness


CRAFT = "craft"
EXPLANATIONS = (*(method.name for method in CAM_METHODS), CRAFT)
MAPS, RENDERINGS, BOTH = "maps", "renderings", "both"
PREDICTED, TRUE = "predicted", "true"
OF_TRUE_CLASS = ", true class"
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
            # The distances once, then every δ is one comparison.
            nearest = color_distances(rendering.rgb, colors, crop=self.crop).min(axis=0)
        except ValueError as error:
            raise InputError(f"{self.folder}: rendering of {image.name}: {error}") from error
        return [nearest <= delta for delta in thresholds]

    def scored(self, image: TruthImage, truth: BoolMask) -> ImageScores:
        """Score the method on an image."""
        values = read_map(self.folder, image)
        if values is not None and values.shape != truth.shape:
            raise InputError(f"{self.folder}: the map of {image.name} has not the image's size")
        ignored = image.region((truth.shape[0], truth.shape[1]))
        localisation: Localisation | None = None
        # Localisation is of the float map, and belongs to its row, not to that of the rendering.
        if values is not None and not self.algorithm:
            localisation = RankedMap(values).without(ignored).localisation(truth)
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
        counted = scores(_fitted(mask, truth), truth, ignored)
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
        truth, ignored = image.truth.read(gray.shape), image.region(gray.shape)
        rows = [reading.scored(image, truth) for reading in self.readings]
        rows += [
            ImageScores(image.name, image.label, name, scores(mask, truth, ignored))
            for name, mask in trivial_baselines(gray).items()
        ]
        return {"rows": rows}


@dataclass(frozen=True, slots=True)
class TuneWork:
    """Computes the Dice of a method at every threshold.

    Attributes
    ----------
    reading : Reading
        How explanations are read.
    complete : bool
        Whether every image must have one: those of a tuning split are scored nowhere else, so
        nobody would hear of it.
    """

    reading: Reading
    complete: bool = False

    def load(self) -> None:
        """No network is needed."""

    def do(self, loaded: None, image: TruthImage) -> dict[str, Any]:
        """Return the curve; empty where the method has a mask only."""
        thresholds = self.reading.thresholds
        if self.reading.algorithm:
            masks = self.reading.masks(image, thresholds)
            truth = image.truth.read()
            ignored = image.region((truth.shape[0], truth.shape[1]))
            fitted = (_fitted(mask, truth) for mask in masks)
            return {"curve": [scores(mask, truth, ignored).dice for mask in fitted]}
        values = read_map(self.reading.folder, image)
        if values is None:
            if self.complete:
                # Raises where there is no mask either.
                read_given_mask(self.reading.folder, image)
            return {"curve": ()}
        shape = values.shape[0], values.shape[1]
        ranked = RankedMap(values).without(image.region(shape))
        return {"curve": ranked.dice_curve(image.truth.read(shape), thresholds)}


def _fitted(mask: BoolMask, truth: BoolMask) -> BoolMask:
    if mask.shape == truth.shape:
        return mask
    return resized_mask(mask, (truth.shape[0], truth.shape[1]))


class Runner:
    """Does works on images, and gathers what failed.

    Parameters
    ----------
    options : argparse.Namespace
        Of the command.
    output : Output
        Where it is said.

    Attributes
    ----------
    failed : dict
        Why, of each image that failed.
    """

    def __init__(self, options: argparse.Namespace, output: Output) -> None:
        self.options, self.output = options, output
        self.failed: dict[str, str] = {}

    @property
    def methods(self) -> list[str]:
        """Names of the command's own methods, one for each row of the tables."""
        chosen = self.options.explained_class
        endings = {PREDICTED: [""], TRUE: [OF_TRUE_CLASS], BOTH: ["", OF_TRUE_CLASS]}[chosen]
        return [
            method + ending
            for method in self.options.method
            for ending in ([""] if method in ALGORITHMS else endings)
        ]

    def images(self) -> list[TruthImage]:
        """List the images of the command's data set."""
        given = self.options
        found = open_images(
            given.dataset, given.output, self.output, self.failed, given.foreground
        )
        sources = with_ignored(sources_of(found), given.ignore)
        return [
            replace(image, ignored_file=source.ignored)
            for image, source in zip(found, sources, strict=True)
        ]

    def collect(self, work: Work, items: Iterable[Any]) -> dict[Any, dict[str, Any]]:
        """Do all items; return the results of those that succeeded, in the order given."""
        # Generators are given, too, but the number is needed before the first is done.
        items = list(items)
        watch = Stopwatch(len(items))
        results = {}
        for answer in run_batch(work, items, batch_options(self.options)):
            self.output.progress(watch.tick(answer))
            if answer.result is None:
                # What is missing later follows from it.
                self.failed.setdefault(answer.item.name, answer.error)
            else:
                results[answer.item] = answer.result
        self.output.progress("")
        return {item: results[item] for item in items if item in results}

    def explain(self, images: Sequence[TruthImage]) -> None:
        """Make the maps of every wanted explanation below the output folder."""
        methods = [method for method in self.methods if method not in ALGORITHMS]
        if not methods:
            return
        if self.options.target is not None and self.options.explained_class != PREDICTED:
            raise InputError("--target asks for one class: leave it out with --explained-class")
        # Imports torch.
        from napari_semxai.cli.works.explain_setup import works_of_classes

        for method in methods:
            of_method = argparse.Namespace(**vars(self.options))
            # On a copy of the options, as if `semxai explain` had been called for each.
            of_method.method, of_method.output, of_method.tau = (
                method.removesuffix(OF_TRUE_CLASS),
                self.folder(method),
                DEFAULT_TAU,
            )
            every = sources_of(images)
            labels = None
            if method.endswith(OF_TRUE_CLASS):
                labels = dict(zip(every, (image.label for image in images), strict=True))
            for work, sources in works_of_classes(of_method, every, self.output, labels):
                self.collect(work, sources)

    def make_masks(
        self, algorithm: str, images: Sequence[TruthImage], plane: tuple[float, float] | None
    ) -> None:
        """Make the masks of Algorithm 1, at a tuned alpha and beta where there are some."""
        settings = settings_from(self.options, algorithm)
        if plane is not None:
            tuned = replace(settings.algorithm, alpha=plane[0], beta=plane[1])
            settings = replace(settings, algorithm=tuned)
        self.collect(MaskWork(settings, self.folder(algorithm)), sources_of(images))

    def tune_plane(
        self, algorithm: str, images: Sequence[TruthImage]
    ) -> tuple[float, float] | None:
        """Return the alpha and beta with the best mean Dice on some images."""
        from napari_semxai.algorithms.algorithm1.sweep import sweep_set

        pools = self.options.output / "pools"
        settings = settings_from(self.options, algorithm)
        work = SweepWork(settings, DEFAULT_ALPHAS, DEFAULT_BETAS, pools)
        planes = [result["plane"] for result in self.collect(work, images).values()]
        if not planes:
            return None
        found = sweep_set(planes, np.linspace(*DEFAULT_ALPHAS), np.linspace(*DEFAULT_BETAS))
        self.output.say(
            f"{algorithm}: α {found.alpha:.3g}, β {found.beta:.3g}, Dice "
            f"{found.mean[found.best]:.3f} on {len(planes)} images"
        )
        return found.alpha, found.beta

    def tune(self, reading: Reading, images: Sequence[TruthImage]) -> Reading:
        """Return a reading with the threshold of the best mean Dice on some images."""
        results = self.collect(TuneWork(reading, complete=True), images).values()
        curves = np.array([result["curve"] for result in results if len(result["curve"])])
        if not curves.size:
            return reading
        threshold, dice = best_threshold(reading.thresholds, curves)
        name = "delta" if reading.algorithm == ALGORITHM_3 else "tau"
        self.output.say(
            f"{reading.method}: {name} {threshold:.2f}, Dice {dice:.3f} on {len(curves)} images"
        )
        return replace(reading, threshold=threshold)

    def faithfulness(
        self, readings: Sequence[Reading], images: Sequence[TruthImage]
    ) -> dict[tuple[Path, str], Faithfulness]:
        """Ask the classifier about every map; return scores by folder and image."""
        # Imports torch.
        from napari_semxai.cli.works.explainers import FaithfulnessWork

        folders = dict.fromkeys(reading.folder for reading in readings if has_maps(reading.folder))
        kept = self.options.output / "faithfulness"
        found: dict[tuple[Path, str], Faithfulness] = {}
        for folder in folders:
            work = FaithfulnessWork(self.options.classifier, folder, kept)
            scored = self.collect(work, images)
            found |= {(folder, image.name): one["scores"] for image, one in scored.items()}
        return found

    def folder(self, method: str) -> Path:
        """Return where the results of an own method lie."""
        return Path(self.options.output / method)


def sources_of(images: Iterable[TruthImage]) -> list[Source]:
    """Return the images of a data set as inputs of other commands."""
    return [
        Source(image.path, image.page, image.name, Path(image.name), ignored=image.ignored_file)
        for image in images
    ]


def readings_of(
    named: tuple[str, Path], images: Sequence[TruthImage], options: argparse.Namespace
) -> list[Reading]:
    """Say how a method's explanations are read: one row of the tables each."""
    method, folder = named
    given = Reading(method, folder, GIVEN, options.tau)
    if options.masks_from == MAPS:
        return [given]
    read = rendered_reading(named, images)
    if read is None:
        return [given]
    threshold = options.delta if read.algorithm == ALGORITHM_3 else options.tau
    read = replace(read, threshold=threshold, crop=options.crop)
    return [given, read] if options.masks_from == BOTH else [read]


def rendered_reading(named: tuple[str, Path], images: Sequence[TruthImage]) -> Reading | None:
    """Return how a published algorithm reads a method's renderings; None where it has none."""
    method, folder = named
    # The first that there is: a method may have left images out.
    rendering = next(filter(None, (read_rendering(folder, image) for image in images)), None)
    if rendering is None:
        return None
    algorithm = ALGORITHM_3 if rendering.colors else ALGORITHM_2
    return Reading(f"{method} ({algorithm})", folder, algorithm)


def has_maps(folder: Path) -> bool:
    """Whether a method has float maps."""
    return any(not path.name.endswith("_concepts.npy") for path in folder.rglob(f"*{MAP_ENDING}"))
