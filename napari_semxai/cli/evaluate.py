"""``semxai evaluate``: masks and maps against the truth of a data set."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.evaluation import (
    ImageScores,
    best_threshold,
    compare_methods,
    method_tables,
    tuning_split,
)
from napari_semxai.algorithms.explanation_masks import resized_mask, threshold_mask
from napari_semxai.algorithms.localisation import Localisation, RankedMap, trivial_baselines
from napari_semxai.algorithms.metrics import scores
from napari_semxai.cli.batch import Stopwatch, add_batch_options, batch_options, run_batch
from napari_semxai.cli.mask import MaskWork
from napari_semxai.cli.options import add_mask_options, fraction, settings_from
from napari_semxai.cli.output import BAD_INPUT, DONE, SOME_FAILED
from napari_semxai.cli.sources import Source
from napari_semxai.store.atomic import write_json
from napari_semxai.store.dataset import TruthImage, open_dataset
from napari_semxai.store.explanations import read_given_mask, read_map
from napari_semxai.store.images import read_image
from napari_semxai.store.masks import read_mask
from napari_semxai.types import BoolMask, InputError, Scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_semxai.cli.batch import BatchOptions, Work
    from napari_semxai.cli.output import Output

TAUS = np.linspace(0.0, 1.0, 101)
DEFAULT_TUNE_SHARE = 0.2
OWN_METHODS = ("paper",)
DEFAULT_TAU = 0.5


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "evaluate",
        parents=[common],
        help="score masks and explanations against true masks",
        description="Score masks and float maps against the true masks of a data set: a project, "
        "Carinthia-S, a table, or folders of images and masks. Writes scores of every image, "
        "mean and standard deviation as CSV, Markdown and LaTeX, paired comparisons, and a "
        "figure. The trivial baselines stand beside the methods.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--explanations",
        action="append",
        default=[],
        type=named_folder,
        metavar="[NAME=]DIR",
        help="<image>.npy (map), <image>_mask.png or <image>.png (mask) of a method; can be "
        "given again",
    )
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        choices=OWN_METHODS,
        help="make the masks as semxai mask does, with its options; can be given again",
    )
    parser.add_argument(
        "--tau",
        type=tau_or_auto,
        default=None,
        metavar="auto|T",
        help="threshold of maps as a share of their maximum; auto, the default, tunes it on "
        "images that are then left out of the scores",
    )
    parser.add_argument(
        "--tune-share",
        type=fraction,
        default=DEFAULT_TUNE_SHARE,
        metavar="X",
        help="share of the images to tune on (default %(default)s)",
    )
    add_mask_options(parser)
    add_batch_options(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class EvaluateWork:
    """Scores every method on an image.

    Attributes
    ----------
    methods : tuple of (str, Path)
        Name and folder of each.
    taus : tuple of (str, float)
        Threshold of each method with maps.
    """

    methods: tuple[tuple[str, Path], ...]
    taus: tuple[tuple[str, float], ...] = ()

    def load(self) -> None:
        """No network is needed."""

    def do(self, loaded: None, image: TruthImage) -> dict[str, Any]:
        """Return the scores of every method and baseline."""
        gray = read_image(image.path, image.page).gray
        truth = read_mask(image.truth, gray.shape)
        taus = dict(self.taus)
        found = [
            _scored(method, folder, image, truth, taus.get(method))
            for method, folder in self.methods
        ]
        for name, mask in trivial_baselines(gray).items():
            found.append((name, scores(mask, truth), None))
        return {
            "rows": [
                ImageScores(image.name, image.label, name, counted, localisation)
                for name, counted, localisation in found
            ]
        }


@dataclass(frozen=True, slots=True)
class TuneWork:
    """Computes the Dice of a method's map at every tau."""

    folder: Path

    def load(self) -> None:
        """No network is needed."""

    def do(self, loaded: None, image: TruthImage) -> dict[str, Any]:
        """Return the curve; empty where the method has a mask only."""
        values = read_map(self.folder, image)
        if values is None:
            return {"curve": ()}
        truth = read_mask(image.truth, (values.shape[0], values.shape[1]))
        return {"curve": RankedMap(values).dice_curve(truth, TAUS)}


def run(options: argparse.Namespace, output: Output) -> int:
    """Evaluate, write everything and print the table."""
    failed: dict[str, str] = {}
    images = open_dataset(options.dataset, failed)
    batch = batch_options(options)
    methods = [*options.explanations, *_own_methods(options, images, output, failed)]
    if not methods:
        raise InputError("nothing to evaluate: give --explanations DIR or --method paper")
    taus, tuned_on = _tune(options, images, methods, batch, output)
    rest = [image for image in images if image.name not in tuned_on]
    work = EvaluateWork(tuple(methods), tuple(taus.items()))
    results = _collect(work, rest, batch, output, failed)
    rows = [row for result in results for row in result["rows"]]
    if rows:
        _report(options, rows, {"tau": taus, "tuned_on": sorted(tuned_on)}, output, failed)
    for message in failed.values():
        output.error(message)
    if failed:
        return SOME_FAILED if rows else BAD_INPUT
    return DONE


def named_folder(text: str) -> tuple[str, Path]:
    """Parse NAME=DIR, or DIR, which is its own name."""
    name, equals, folder = text.rpartition("=")
    path = Path(folder)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{folder} is no folder")
    return (name if equals else path.resolve().name), path


def tau_or_auto(text: str) -> float | None:
    """Parse "auto" (None) or a number from 0 to 1."""
    return None if text == "auto" else fraction(text)


def _scored(
    method: str, folder: Path, image: TruthImage, truth: BoolMask, tau: float | None
) -> tuple[str, Scores, Localisation | None]:
    values = read_map(folder, image)
    if values is None:
        mask = read_given_mask(folder, image)
        if mask.shape != truth.shape:
            mask = resized_mask(mask, (truth.shape[0], truth.shape[1]))
        return method, scores(mask, truth), None
    if values.shape != truth.shape:
        raise InputError(f"{folder}: the map of {image.name} has not the image's size")
    mask = threshold_mask(values, DEFAULT_TAU if tau is None else tau)
    return method, scores(mask, truth), RankedMap(values).localisation(truth)


def _own_methods(
    options: argparse.Namespace,
    images: Sequence[TruthImage],
    output: Output,
    failed: dict[str, str],
) -> list[tuple[str, Path]]:
    """Make what `--method` asks for below the output folder."""
    made = []
    for method in dict.fromkeys(options.method):
        folder = options.output / method
        work = MaskWork(settings_from(options), folder)
        sources = [Source(i.path, i.page, i.name, Path(i.name)) for i in images]
        _collect(work, sources, batch_options(options), output, failed)
        made.append((method, folder))
    return made


def _tune(
    options: argparse.Namespace,
    images: Sequence[TruthImage],
    methods: Sequence[tuple[str, Path]],
    batch: BatchOptions,
    output: Output,
) -> tuple[dict[str, float], set[str]]:
    """Return the tau of each method with maps, and the images it was tuned on."""
    with_maps = [(name, folder) for name, folder in methods if any(folder.rglob("*.npy"))]
    if options.tau is not None:
        return {name: options.tau for name, _ in with_maps}, set()
    if not with_maps:
        return {}, set()
    chosen = tuning_split([image.name for image in images], options.tune_share)
    own = [image for image, tune in zip(images, chosen, strict=True) if tune]
    taus = {}
    for name, folder in with_maps:
        results = _collect(TuneWork(folder), own, batch, output, {})
        curves = np.array([result["curve"] for result in results if len(result["curve"])])
        if curves.size:
            taus[name], dice = best_threshold(TAUS, curves)
            output.say(f"{name}: tau {taus[name]:.2f}, Dice {dice:.3f} on {len(curves)} images")
    return taus, {image.name for image in own}


def _collect(
    work: Work,
    items: Iterable[Any],
    batch: BatchOptions,
    output: Output,
    failed: dict[str, str],
) -> list[dict[str, Any]]:
    """Do all items; what fails goes into `failed`. In the order of the items."""
    items = list(items)
    watch = Stopwatch(len(items))
    results = {}
    for answer in run_batch(work, items, batch):
        output.progress(watch.tick())
        if answer.result is None:
            failed[answer.item.name] = answer.error
        else:
            results[answer.item] = answer.result
    output.progress("")
    return [results[item] for item in items if item in results]


def _report(
    options: argparse.Namespace,
    rows: Sequence[ImageScores],
    settings: dict[str, Any],
    output: Output,
    failed: dict[str, str],
) -> None:
    # matplotlib takes half a second.
    from napari_semxai.cli.output import plain
    from napari_semxai.reports.evaluation import write_evaluation
    from napari_semxai.reports.tables import markdown_table

    tables, comparisons = method_tables(rows), compare_methods(rows)
    files = write_evaluation(options.output, rows, tables, comparisons)
    values = {
        **settings,
        "methods": [asdict(table) for table in tables],
        "comparisons": [asdict(entry) for entry in comparisons],
        "failed": failed,
    }
    write_json(options.output / "evaluation.json", plain(values))
    output.say(markdown_table(tables).rstrip())
    for entry in comparisons:
        if entry.metric == "dice" and entry.first in dict(options.explanations):
            output.say(
                f"Dice, {entry.first} against {entry.second}: median difference "
                f"{entry.test.median_difference:+.3f}, Wilcoxon p = {entry.test.p_value:.2g} "
                f"(Holm {entry.p_holm:.2g}), rank-biserial {entry.test.rank_biserial:+.2f}, "
                f"n = {entry.test.n}"
            )
    output.say(f"Tables and figures: {options.output}")
    output.result({**values, "files": files})
