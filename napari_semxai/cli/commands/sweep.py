"""``semxai sweep``: every alpha and beta, or tau and delta, on images with true masks."""

from __future__ import annotations

import argparse
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.localisation import ThresholdCurve
from napari_semxai.algorithms.statistics.evaluation import best_threshold, bootstrap_interval
from napari_semxai.cli.batch.batch import add_batch_options
from napari_semxai.cli.common.options import (
    add_foreground_option,
    add_ignore_option,
    add_mask_options,
    count,
    named_folder,
    number,
    place,
    settings_from,
)
from napari_semxai.cli.common.output import plain
from napari_semxai.cli.common.sources import DATASET_HELP
from napari_semxai.cli.works.evaluate import (
    ALGORITHM_3,
    Reading,
    Runner,
    TuneWork,
    has_maps,
    rendered_reading,
)
from napari_semxai.cli.works.masks import DEFAULT_ALPHAS, DEFAULT_BETAS, Axis, SweepWork
from napari_semxai.cli.works.record import run_values
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, SweepResult
    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.datasets.dataset import TruthImage


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
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
    add_ignore_option(parser)
    add_batch_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Sweep every image, put them together and write everything."""
    if options.explanations:
        return sweep_thresholds(options, output)
    runner = Runner(options, output)
    images = runner.images()
    axes, asked = (options.alpha, options.beta), run_values(options)
    # The pools are the same for every point of the plane; the settings must not claim one.
    options.alpha = options.beta = 0.0
    work = SweepWork(settings_from(options), *axes, options.output / "pools")
    results = runner.collect(work, images)
    planes = {image: result["plane"] for image, result in results.items()}
    if planes:
        _report(options.output, planes, axes, asked, output)
    return output.conclude(runner.failed, planes)


def axis(text: str, most: float = inf) -> Axis:
    """Parse first:last:number, from 0 to `most`."""
    parts = text.split(":")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text} is not FIRST:LAST:NUMBER, for example 0:8:17")
    first, last, points = number(parts[0]), number(parts[1]), count(parts[2])
    if not (0 <= first <= most and 0 <= last <= most):
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and {most:g}")
    return first, last, points


def _report(
    folder: Path,
    planes: dict[TruthImage, ImagePlane],
    axes: tuple[Axis, Axis],
    asked: dict[str, Any],
    output: Output,
) -> None:
    from napari_semxai.algorithms.algorithm1.sweep import advice, sweep_set
    from napari_semxai.reports.figures import save_figures, sweep_figure
    from napari_semxai.store.datasets.dataset import write_sweep
    from napari_semxai.store.disk.tables import write_records

    alphas, betas = (np.linspace(*axis) for axis in axes)
    result = sweep_set(list(planes.values()), alphas, betas)
    # The picture of a single image shows its own plane, not a mean of one.
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
        "points_as_good": int(result.tied.sum()),
        "points": result.mean.size,
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


def sweep_thresholds(options: argparse.Namespace, output: Output) -> int:
    """Score every threshold of the explanations, put them together and write everything."""
    runner = Runner(options, output)
    images = runner.images()
    readings = [reading for named in options.explanations for reading in _readings(named, images)]
    if not readings:
        raise InputError("the explanations hold neither maps (.npy) nor renderings of the images")
    curves, rows, values = [], [], {}
    for reading in readings:
        results = runner.collect(TuneWork(reading), images).values()
        found = np.array([result["curve"] for result in results if len(result["curve"])])
        if found.size:
            curve, evidence = _summary(reading, found)
            curves.append(curve)
            rows += _threshold_rows(curve, found)
            values[reading.method] = evidence
            output.say("{}: {advice}".format(reading.method, **evidence))
        elif results:
            # Of other images, or a folder too high: explain mirrors the folders of its inputs.
            missing = f"{reading.folder} has nothing of the images, such as {images[0].name}.npy"
            runner.failed.setdefault(reading.method, f"{reading.method}: {missing}")
    if curves:
        _report_thresholds(options.output, curves, rows, values, output)
    return output.conclude(runner.failed, curves)


def _readings(named: tuple[str, Path], images: Sequence[TruthImage]) -> list[Reading]:
    """Return what of a method has a threshold: its maps, its renderings, or both."""
    maps = Reading(*named) if has_maps(named[1]) else None
    return [reading for reading in (maps, rendered_reading(named, images)) if reading is not None]


def _summary(
    reading: Reading, curves: NDArray[np.float64]
) -> tuple[ThresholdCurve, dict[str, Any]]:
    """Return the mean curve, and its best threshold with the evidence."""
    parameter = "delta" if reading.algorithm == ALGORITHM_3 else "tau"
    mean = ThresholdCurve(reading.method, parameter, reading.thresholds, curves.mean(axis=0))
    threshold, dice = mean.best
    at_best = curves[:, np.searchsorted(reading.thresholds, threshold)]
    low, high = bootstrap_interval(at_best)
    # The best threshold of the images it was chosen on flatters; this says by how much.
    left_out = _left_out(reading.thresholds, curves)
    tied = reading.thresholds[mean.dice >= dice - 1e-12]
    advice = (
        f"{parameter} {threshold:.3g}, mean Dice {dice:.3f} over {len(curves)} images, 95 % "
        f"bootstrap interval {low:.3f} to {high:.3f}, worst image {at_best.min():.3f}; chosen "
        f"without the image that is scored: {left_out:.3f}"
    )
    if len(tied) > 1:
        advice += (
            f"; {len(tied)} of {len(reading.thresholds)} values are as good, {tied[0]:.3g} to "
            f"{tied[-1]:.3g}"
        )
    evidence = {
        "parameter": parameter,
        "threshold": threshold,
        "mean_dice": dice,
        "interval": (low, high),
        "mean_dice_left_out": left_out,
        "images": len(curves),
        "advice": advice,
    }
    return mean, evidence


def _left_out(thresholds: NDArray[np.float64], curves: NDArray[np.float64]) -> float:
    """Return the mean Dice of each image at the threshold that the others suggest."""
    if len(curves) < 2:
        return float("nan")
    chosen = [
        best_threshold(thresholds, np.delete(curves, number, axis=0))[0]
        for number in range(len(curves))
    ]
    columns = np.searchsorted(thresholds, chosen)
    return float(np.mean(curves[np.arange(len(curves)), columns]))


def _threshold_rows(curve: ThresholdCurve, curves: NDArray[np.float64]) -> list[dict[str, Any]]:
    return [
        {
            "method": curve.name,
            "parameter": curve.parameter,
            "threshold": threshold,
            "mean_dice": dice.mean(),
            "median_dice": np.median(dice),
            "worst_dice": dice.min(),
        }
        for threshold, dice in zip(curve.thresholds, curves.T, strict=True)
    ]


def _report_thresholds(
    folder: Path,
    curves: list[ThresholdCurve],
    rows: list[dict[str, Any]],
    values: dict[str, Any],
    output: Output,
) -> None:
    # matplotlib takes half a second.
    from napari_semxai.reports.figures import curves_figure, save_figures
    from napari_semxai.store.disk.tables import write_records

    files = [
        write_records(folder / "thresholds.csv", rows),
        *save_figures(curves_figure(curves), folder / "thresholds"),
    ]
    write_json(folder / "thresholds.json", plain(values))
    output.say(f"Table and pictures: {folder}")
    output.result({"thresholds": values, "files": files})
