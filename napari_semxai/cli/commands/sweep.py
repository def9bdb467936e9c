"""``semxai sweep``: Algorithm 1 over alpha and beta, on every image with a true mask."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.cli.batch.batch import Stopwatch, add_batch_options, batch_options, run_batch
from napari_semxai.cli.batch.tasks import KEPT
from napari_semxai.cli.common.datasets import DATASET_HELP, open_images
from napari_semxai.cli.common.options import (
    add_foreground_option,
    add_mask_options,
    number,
    place,
    settings_from,
)
from napari_semxai.cli.common.output import BAD_INPUT, DONE, SOME_FAILED, plain
from napari_semxai.cli.works.pipeline import Pipeline
from napari_semxai.cli.works.record import content_key, run_values
from napari_semxai.store.datasets.results import read_pool, write_pool
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.images.read import auto_border, read_image
from napari_semxai.types import MaskSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, SweepResult
    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.datasets.dataset import TruthImage

Axis = tuple[float, float, int]
DEFAULT_ALPHAS: Axis = (0.0, 10.0, 41)
DEFAULT_BETAS: Axis = (0.0, 0.8, 41)


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    # It uses this module too.
    from napari_semxai.cli.commands.evaluate import named_folder

    parser = commands.add_parser(
        "sweep",
        parents=[common],
        help="suggest alpha and beta from images with true masks",
        description="Score Algorithm 1 at every alpha and beta on images with true masks (see "
        "semxai evaluate for the layouts). The network runs once per image; its candidates are "
        "kept in DIR/pools. Writes the plane as CSV and as a picture, and suggests a point with "
        "the evidence for it. With --explanations it scores every tau and delta of those instead.",
    )
    parser.add_argument("dataset", type=place, metavar="DATASET", help=DATASET_HELP)
    parser.add_argument("-o", "--output", type=place, required=True, metavar="DIR")
    parser.add_argument(
        "--explanations",
        action="append",
        default=[],
        type=named_folder,
        metavar="[NAME=]DIR",
        help="maps (<image>.npy) and renderings (<image>_rendering.png) of a method, as semxai "
        "explain writes them; can be given again",
    )
    add_mask_options(parser, plane=True)
    # Algorithm 1 is defined for these: the centre bias is a power, the surface a share.
    for name, default, most in (("alpha", DEFAULT_ALPHAS, inf), ("beta", DEFAULT_BETAS, 1.0)):
        parser.add_argument(
            f"--{name}",
            type=partial(axis, most=most),
            default=default,
            metavar=f"{name[0].upper()}0:{name[0].upper()}1:N",
            help="first, last and number of values (default {:g}:{:g}:{})".format(*default),
        )
    add_foreground_option(parser)
    add_batch_options(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class SweepWork:
    """Scores the plane of one image; the network's answer is kept and used again.

    Attributes
    ----------
    settings : MaskSettings
        Of network, filters and components.
    alphas, betas : tuple
        First, last and number of values.
    pools : Path
        Where candidates are kept.
    """

    settings: MaskSettings
    alphas: Axis
    betas: Axis
    pools: Path

    def load(self) -> Pipeline:
        """Load the network, whose digest tells whether kept candidates are its own."""
        pipeline = Pipeline(self.settings)
        pipeline.load()
        return pipeline

    def do(self, pipeline: Pipeline, item: TruthImage) -> dict[str, Any]:
        """Return the plane of one image."""
        # scikit-image takes half a second.
        from napari_semxai.algorithms.algorithm1.automatic import stage_two
        from napari_semxai.algorithms.algorithm1.sweep import sweep_image

        image = read_image(item.path, item.page)
        path = self.pools / f"{item.name}.npz"
        own = self.settings
        # Of the settings only what decides the candidates: the rest may change from run to run.
        key = content_key(
            item.path, item.page, own.generate, own.filters, pipeline.load().info.sha256
        )
        pool = read_pool(path, key)
        kept = pool is not None
        if pool is None:
            pool = pipeline.run(image).pool
            write_pool(path, pool, key)
        plane = sweep_image(
            pool,
            item.truth.read(pool.shape),
            np.linspace(*self.alphas),
            np.linspace(*self.betas),
            stage_two(own.algorithm, image.gray, own.algorithm.border(auto_border(image))),
        )
        return {"plane": plane, KEPT: kept}


def run(options: argparse.Namespace, output: Output) -> int:
    """Sweep every image, put them together and write everything."""
    if options.explanations:
        # It uses this module too.
        from napari_semxai.cli.commands.sweep_thresholds import sweep_thresholds

        return sweep_thresholds(options, output)
    failed: dict[str, str] = {}
    images = open_images(options.dataset, options.output, output, failed, options.foreground)
    axes, asked = (options.alpha, options.beta), run_values(options)
    options.alpha = options.beta = 0.0
    work = SweepWork(settings_from(options), *axes, options.output / "pools")
    planes: dict[TruthImage, ImagePlane] = {}
    watch = Stopwatch(len(images))
    for answer in run_batch(work, images, batch_options(options)):
        output.progress(watch.tick(answer))
        if answer.result is None:
            failed[answer.item.name] = answer.error
        else:
            planes[answer.item] = answer.result["plane"]
    ordered = {image: planes[image] for image in images if image in planes}
    if ordered:
        _report(options.output, ordered, axes, asked, output)
    for message in failed.values():
        output.error(message)
    if failed:
        return SOME_FAILED if ordered else BAD_INPUT
    return DONE


def axis(text: str, most: float = inf) -> Axis:
    """Parse first:last:number, from 0 to `most`."""
    parts = text.split(":")
    if len(parts) != 3 or not parts[2].isdecimal() or int(parts[2]) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not FIRST:LAST:NUMBER, for example 0:8:17")
    first, last = number(parts[0]), number(parts[1])
    if not (0 <= first <= most and 0 <= last <= most):
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and {most:g}")
    return first, last, int(parts[2])


def _report(
    folder: Path,
    planes: dict[TruthImage, ImagePlane],
    axes: tuple[Axis, Axis],
    asked: dict[str, Any],
    output: Output,
) -> None:
    from napari_semxai.algorithms.algorithm1.sweep import advice, sweep_set
    from napari_semxai.reports.figures import save_figures
    from napari_semxai.reports.sweep import sweep_figure
    from napari_semxai.store.datasets.results import write_sweep
    from napari_semxai.store.disk.tables import write_records

    alphas, betas = (np.linspace(*own) for own in axes)
    result = sweep_set(list(planes.values()), alphas, betas)
    only = next(iter(planes.values())) if len(planes) == 1 else None
    files = [
        write_records(folder / "plane.csv", _plane_rows(result)),
        write_records(folder / "images.csv", _image_rows(planes, result)),
        *save_figures(sweep_figure(result, only), folder / "sweep"),
        write_sweep(folder / "sweep.npz", result),
    ]
    values = {
        **asked,
        "alpha": result.alpha,
        "beta": result.beta,
        "mean_dice": result.mean[result.best],
        "mean_iou": result.mean_iou[result.best],
        "interval": result.interval,
        "mean_dice_left_out": float(np.mean(result.left_out)),
        "images": len(planes),
        "advice": advice(result),
    }
    write_json(folder / "sweep.json", plain(values))
    output.say("{algorithm}: ".format_map(asked["settings"]) + values["advice"])
    output.say(f"Table and pictures: {folder}")
    output.result({**values, "files": files})


def _image_rows(planes: dict[TruthImage, ImagePlane], result: SweepResult) -> list[dict[str, Any]]:
    return [
        {
            "image": image.name,
            "label": image.label,
            "dice": plane.dice[result.best],
            "iou": plane.iou[result.best],
            "dice_left_out": left_out,
            "alpha_left_out": alpha,
            "beta_left_out": beta,
            "best_dice": plane.dice.max(),
        }
        for (image, plane), left_out, (alpha, beta) in zip(
            planes.items(), result.left_out, result.left_out_at, strict=True
        )
    ]


def _plane_rows(result: SweepResult) -> list[dict[str, Any]]:
    columns: dict[str, NDArray[np.float64]] = {
        "mean_dice": result.mean,
        "median_dice": result.median,
        "worst_dice": result.worst,
        "mean_iou": result.mean_iou,
        "median_iou": result.median_iou,
        "worst_iou": result.worst_iou,
    }
    return [
        {"alpha": alpha, "beta": beta, **{n: v[row, column] for n, v in columns.items()}}
        for row, beta in enumerate(result.betas)
        for column, alpha in enumerate(result.alphas)
    ]
