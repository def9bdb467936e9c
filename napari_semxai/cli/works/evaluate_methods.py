"""Masks and maps that ``semxai evaluate`` makes itself, and what its thresholds are tuned on."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.statistics.evaluation import best_threshold
from napari_semxai.cli.batch.batch import Stopwatch, batch_options, run_batch
from napari_semxai.cli.commands.mask import MaskWork
from napari_semxai.cli.commands.sweep import DEFAULT_ALPHAS, DEFAULT_BETAS, SweepWork
from napari_semxai.cli.common.options import settings_from
from napari_semxai.cli.common.sources import Source
from napari_semxai.cli.works.evaluate_works import (
    ALGORITHM_2,
    ALGORITHM_3,
    DEFAULT_TAU,
    GIVEN,
    Reading,
    TuneWork,
)
from napari_semxai.store.datasets.results import MAP_ENDING, read_rendering
from napari_semxai.types import CAM_METHODS
from napari_semxai.types.settings import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_semxai.cli.batch.tasks import Work
    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.datasets.dataset import TruthImage
    from napari_semxai.types import Faithfulness

CRAFT = "craft"
EXPLANATIONS = (*(method.name for method in CAM_METHODS), CRAFT)
MAPS, RENDERINGS, BOTH = "maps", "renderings", "both"


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

    def collect(self, work: Work, items: Iterable[Any]) -> list[dict[str, Any]]:
        """Do all items; return their results in the order of the items."""
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
        return [results[item] for item in items if item in results]

    def explain(self, images: Sequence[TruthImage]) -> None:
        """Make the maps of every wanted explanation below the output folder."""
        methods = [method for method in self.options.method if method not in ALGORITHMS]
        if not methods:
            return
        # Imports torch.
        from napari_semxai.cli.works.explain_setup import works_of_classes

        for method in methods:
            own = argparse.Namespace(**vars(self.options))
            own.method, own.output, own.tau = method, self.folder(method), DEFAULT_TAU
            for work, sources in works_of_classes(own, sources_of(images), self.output):
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
        planes = [result["plane"] for result in self.collect(work, images)]
        if not planes:
            return None
        found = sweep_set(planes, np.linspace(*DEFAULT_ALPHAS), np.linspace(*DEFAULT_BETAS))
        self.output.say(
            f"{algorithm}: alpha {found.alpha:g}, beta {found.beta:g}, Dice "
            f"{found.mean[found.best]:.3f} on {len(planes)} images"
        )
        return found.alpha, found.beta

    def tune(self, reading: Reading, images: Sequence[TruthImage]) -> Reading:
        """Return a reading with the threshold of the best mean Dice on some images."""
        results = self.collect(TuneWork(reading), images)
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
        from napari_semxai.cli.works.faithfulness_work import FaithfulnessWork

        folders = dict.fromkeys(own.folder for own in readings if has_maps(own.folder))
        kept = self.options.output / "faithfulness"
        found: dict[tuple[Path, str], Faithfulness] = {}
        for folder in folders:
            work = FaithfulnessWork(self.options.classifier, folder, kept)
            found |= {(folder, one["name"]): one["scores"] for one in self.collect(work, images)}
        return found

    def folder(self, method: str) -> Path:
        """Return where the results of an own method lie."""
        return Path(self.options.output / method)


def sources_of(images: Iterable[TruthImage]) -> list[Source]:
    """Return the images of a data set as inputs of other commands."""
    return [Source(image.path, image.page, image.name, Path(image.name)) for image in images]


def readings_of(
    named: tuple[str, Path], images: Sequence[TruthImage], options: argparse.Namespace
) -> list[Reading]:
    """Say how a method's explanations are read: one row of the tables each."""
    method, folder = named
    given = Reading(method, folder, GIVEN, options.tau)
    if options.masks_from == MAPS:
        return [given]
    rendering = next(filter(None, (read_rendering(folder, image) for image in images)), None)
    if rendering is None:
        return [given]
    algorithm = ALGORITHM_3 if rendering.colors else ALGORITHM_2
    threshold = options.delta if rendering.colors else options.tau
    read = Reading(f"{method} ({algorithm})", folder, algorithm, threshold, options.crop)
    return [given, read] if options.masks_from == BOTH else [read]


def has_maps(folder: Path) -> bool:
    """Whether a method has float maps."""
    return any(not path.name.endswith("_concepts.npy") for path in folder.rglob(f"*{MAP_ENDING}"))
