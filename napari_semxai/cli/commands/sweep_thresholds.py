"""``semxai sweep --explanations``: Dice over tau and delta on every image with a true mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.localisation import ThresholdCurve
from napari_semxai.algorithms.statistics.evaluation import best_threshold, bootstrap_interval
from napari_semxai.cli.common.datasets import open_images
from napari_semxai.cli.common.output import BAD_INPUT, DONE, SOME_FAILED, plain
from napari_semxai.cli.works.evaluate_methods import Runner, has_maps
from napari_semxai.cli.works.evaluate_works import (
    ALGORITHM_2,
    ALGORITHM_3,
    Reading,
    TuneWork,
)
from napari_semxai.store.datasets.results import read_rendering
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.datasets.dataset import TruthImage


def sweep_thresholds(options: argparse.Namespace, output: Output) -> int:
    """Score every threshold of the explanations, put them together and write everything."""
    runner = Runner(options, output)
    images = open_images(
        options.dataset, options.output, output, runner.failed, options.foreground
    )
    readings = [own for named in options.explanations for own in _readings(named, images)]
    if not readings:
        raise InputError("the explanations hold neither maps (.npy) nor renderings of the images")
    curves, rows, values = [], [], {}
    for reading in readings:
        results = runner.collect(TuneWork(reading), images)
        found = np.array([result["curve"] for result in results if len(result["curve"])])
        if found.size:
            curve, evidence = _summary(reading, found)
            curves.append(curve)
            rows += _rows(curve, found)
            values[reading.method] = evidence
            output.say("{}: {advice}".format(reading.method, **evidence))
        elif results:
            # Of other images, or a folder too high: explain mirrors the folders of its inputs.
            missing = f"{reading.folder} has nothing of the images, such as {images[0].name}.npy"
            runner.failed.setdefault(reading.method, f"{reading.method}: {missing}")
    if curves:
        _write(options.output, curves, rows, values, output)
    for message in runner.failed.values():
        output.error(message)
    if runner.failed:
        return SOME_FAILED if curves else BAD_INPUT
    return DONE


def _readings(named: tuple[str, Path], images: Sequence[TruthImage]) -> list[Reading]:
    """Return what of a method has a threshold: its maps, its renderings, or both."""
    name, folder = named
    found = [Reading(name, folder)] if has_maps(folder) else []
    rendering = next(filter(None, (read_rendering(folder, image) for image in images)), None)
    if rendering is not None:
        algorithm = ALGORITHM_3 if rendering.colors else ALGORITHM_2
        found.append(Reading(f"{name} ({algorithm})", folder, algorithm))
    return found


def _summary(
    reading: Reading, curves: NDArray[np.float64]
) -> tuple[ThresholdCurve, dict[str, Any]]:
    """Return the mean curve, and its best threshold with the evidence."""
    parameter = "delta" if reading.algorithm == ALGORITHM_3 else "tau"
    mean = ThresholdCurve(reading.method, parameter, reading.thresholds, curves.mean(axis=0))
    threshold, dice = mean.best
    own = curves[:, np.searchsorted(reading.thresholds, threshold)]
    low, high = bootstrap_interval(own)
    left_out = _left_out(reading.thresholds, curves)
    advice = (
        f"{parameter} {threshold:.3g}, mean Dice {dice:.3f} over {len(curves)} images, 95 % "
        f"bootstrap interval {low:.3f} to {high:.3f}, worst image {own.min():.3f}; chosen without "
        f"the image that is scored: {left_out:.3f}"
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


def _rows(curve: ThresholdCurve, curves: NDArray[np.float64]) -> list[dict[str, Any]]:
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


def _write(
    folder: Path,
    curves: list[ThresholdCurve],
    rows: list[dict[str, Any]],
    values: dict[str, Any],
    output: Output,
) -> None:
    # matplotlib takes half a second.
    from napari_semxai.reports.figures import save_figures
    from napari_semxai.reports.sweep import curves_figure
    from napari_semxai.store.disk.tables import write_records

    files = [
        write_records(folder / "thresholds.csv", rows),
        *save_figures(curves_figure(curves), folder / "thresholds"),
    ]
    write_json(folder / "thresholds.json", plain(values))
    output.say(f"Table and pictures: {folder}")
    output.result({"thresholds": values, "files": files})
