"""``semxai evaluate``: masks and maps against the truth of a data set."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from napari_semxai.algorithms.statistics.evaluation import (
    ImageScores,
    compare_methods,
    method_tables,
    tuning_split,
)
from napari_semxai.cli.batch.batch import add_batch_options
from napari_semxai.cli.common.options import (
    add_explain_options,
    add_foreground_option,
    add_ignore_option,
    add_mask_options,
    crop,
    fraction,
    named_folder,
    number,
    place,
)
from napari_semxai.cli.common.sources import DATASET_HELP
from napari_semxai.cli.works.evaluate import (
    BOTH,
    EXPLANATIONS,
    MAPS,
    PREDICTED,
    RENDERINGS,
    TRUE,
    EvaluateWork,
    Reading,
    Runner,
    has_maps,
    readings_of,
)
from napari_semxai.cli.works.record import run_values
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError
from napari_semxai.types.settings import ALGORITHMS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.datasets.dataset import TruthImage

DEFAULT_TUNE_SHARE = 0.2
AUTO = "auto"
BASELINES = ("empty", "centre disc", "Otsu")


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
    parser.add_argument("dataset", type=place, metavar="DATASET", help=DATASET_HELP)
    parser.add_argument("-o", "--output", type=place, required=True, metavar="DIR")
    _add_method_options(parser)
    _add_threshold_options(parser)
    add_explain_options(parser)
    add_mask_options(parser, methods=True)
    add_foreground_option(parser)
    add_ignore_option(parser)
    add_batch_options(parser)
    parser.set_defaults(run=run)


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("methods, in the order of the table")
    group.add_argument(
        "--explanations",
        action="append",
        default=[],
        type=named_folder,
        metavar="[NAME=]DIR",
        help="<image>.npy (map), <image>_rendering.png, <image>_mask.png or <image>.png (mask) "
        "of a method; can be given again",
    )
    group.add_argument(
        "--method",
        action="append",
        default=[],
        choices=[*ALGORITHMS, *EXPLANATIONS],
        metavar="METHOD",
        help="make the masks of Algorithm 1 (robust, paper) as semxai mask does, or maps as "
        "semxai explain does, with their options; can be given again: "
        f"{', '.join((*ALGORITHMS, *EXPLANATIONS))}",
    )
    group.add_argument(
        "--explained-class",
        choices=(PREDICTED, TRUE, BOTH),
        default=PREDICTED,
        help="class that --method explains in each image: predicted, as the classifier says, or "
        "true, as the data set labels it; both: one row of the tables each (default %(default)s)",
    )
    group.add_argument(
        "--masks-from",
        choices=(MAPS, RENDERINGS, BOTH),
        default=MAPS,
        help="maps: above tau of the maximum; renderings: by the published Algorithms 2 and 3 "
        "(default %(default)s)",
    )
    group.add_argument(
        "--crop",
        type=crop,
        metavar="R0,C0,R1,C1",
        help="where the heat map lies within every rendering: rows and columns, half open",
    )
    group.add_argument(
        "--faithfulness",
        action="store_true",
        help="score every map by insertion, deletion and ROAD; takes seconds per image",
    )


def _add_threshold_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "thresholds, tuned on images of their own, which are left out of the scores"
    )
    group.add_argument(
        "--tau",
        type=fraction_or_auto,
        default=None,
        metavar="auto|T",
        help="of maps and Algorithm 2, a share of the maximum (default auto: tuned)",
    )
    group.add_argument(
        "--delta",
        type=number_or_auto,
        default=None,
        metavar="auto|D",
        help="of Algorithm 3, a distance of colours (default auto: tuned)",
    )
    group.add_argument(
        "--tune-alpha-beta",
        action="store_true",
        help="choose alpha and beta of Algorithm 1 on those images, as semxai sweep does",
    )
    group.add_argument(
        "--tune-share",
        type=fraction,
        default=DEFAULT_TUNE_SHARE,
        metavar="X",
        help="share of the images to tune on (default %(default)s)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Evaluate, write everything and print the table."""
    if not options.explanations and not options.method:
        raise InputError("nothing to evaluate: give --explanations DIR or --method METHOD")
    if options.faithfulness and options.masks_from == RENDERINGS:
        raise InputError("--faithfulness scores maps: give --masks-from maps or both")
    # A method that is named twice would run twice, into one folder.
    options.method = list(dict.fromkeys(options.method))
    runner = Runner(options, output)
    images = runner.images()
    runner.explain(images)
    folders = [*options.explanations, *((name, runner.folder(name)) for name in runner.methods)]
    readings = [reading for one in folders for reading in readings_of(one, images, options)]
    readings, tuned = _tuned(readings, images, options, runner)
    # Scored on images that chose no threshold: the others would make every method look better
    # than it is.
    rest = [image for image in images if image.name not in tuned["tuned_on"]]
    # After tuning, which gives the alpha and beta that these masks are made with.
    for algorithm in _algorithms(options):
        runner.make_masks(algorithm, rest, tuned["alpha_beta"].get(algorithm))
    results = runner.collect(EvaluateWork(tuple(readings)), rest)
    rows = [row for result in results.values() for row in result["rows"]]
    if rows and options.faithfulness:
        rows = _with_faithfulness(rows, readings, rest, runner)
    if rows:
        _report(options, rows, tuned, output, runner.failed)
    return output.conclude(runner.failed, rows)


def fraction_or_auto(text: str) -> float | None:
    """Parse "auto" (None) or a number from 0 to 1."""
    return None if text == AUTO else fraction(text)


def number_or_auto(text: str) -> float | None:
    """Parse "auto" (None) or a number."""
    return None if text == AUTO else number(text)


def _algorithms(options: argparse.Namespace) -> list[str]:
    return [method for method in options.method if method in ALGORITHMS]


def _tuned(
    readings: Sequence[Reading],
    images: Sequence[TruthImage],
    options: argparse.Namespace,
    runner: Runner,
) -> tuple[list[Reading], dict[str, Any]]:
    """Tune what is not given on images of their own; say with what and on which."""
    # A map or a rendering has a threshold, a given mask has none.
    open_ones = [
        reading
        for reading in readings
        if reading.threshold is None and (reading.algorithm or has_maps(reading.folder))
    ]
    planes = _algorithms(options) if options.tune_alpha_beta else []
    chosen: list[TruthImage] = []
    if open_ones or planes:
        split = tuning_split([image.name for image in images], options.tune_share)
        chosen = [image for image, tune in zip(images, split, strict=True) if tune]
    found = [
        runner.tune(reading, chosen) if reading in open_ones else reading for reading in readings
    ]
    tuned = {
        "tau": {
            reading.method: reading.threshold
            for reading in found
            if reading.threshold is not None and (reading.algorithm or has_maps(reading.folder))
        },
        "alpha_beta": {algorithm: runner.tune_plane(algorithm, chosen) for algorithm in planes},
        "tuned_on": sorted(image.name for image in chosen),
    }
    return found, tuned


def _with_faithfulness(
    rows: Sequence[ImageScores],
    readings: Sequence[Reading],
    images: Sequence[TruthImage],
    runner: Runner,
) -> list[ImageScores]:
    found = runner.faithfulness(readings, images)
    folders = {reading.method: reading.folder for reading in readings if not reading.algorithm}
    return [
        # Of the map, so not for the rows of renderings of the same folder.
        replace(row, faithfulness=found.get((folders[row.method], row.image)))
        if row.method in folders
        else row
        for row in rows
    ]


def _report(
    options: argparse.Namespace,
    rows: Sequence[ImageScores],
    settings: dict[str, Any],
    output: Output,
    failed: dict[str, str],
) -> None:
    # matplotlib takes half a second.
    from napari_semxai.cli.common.output import plain
    from napari_semxai.reports.tables import markdown_map_table, markdown_table, write_evaluation

    tables, comparisons = method_tables(rows), compare_methods(rows)
    files = write_evaluation(options.output, rows, tables, comparisons)
    values = {
        **run_values(options),
        **settings,
        "methods": [asdict(table) for table in tables],
        "comparisons": [asdict(entry) for entry in comparisons],
        "failed": failed,
    }
    write_json(options.output / "evaluation.json", plain(values))
    output.say(markdown_table(tables).rstrip())
    if maps := markdown_map_table(tables):
        output.say(f"\n{maps.rstrip()}")
    for entry in comparisons:
        # Files hold all pairs; on the screen those with a baseline would bury the others.
        if entry.metric == "dice" and not {entry.first, entry.second} & set(BASELINES):
            output.say(
                f"Dice, {entry.first} against {entry.second}: median difference "
                f"{entry.test.median_difference:+.3f}, Wilcoxon p = {entry.test.p_value:.2g} "
                f"(Holm {entry.p_holm:.2g}), rank-biserial {entry.test.rank_biserial:+.2f}, "
                f"n = {entry.test.n}"
            )
    output.say(f"Tables and figures: {options.output}")
    output.result({**values, "files": files})
